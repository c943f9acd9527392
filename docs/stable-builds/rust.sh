#!/bin/sh
# What each change of a Rust program costs, by how it is built: rust/, with regex and serde_json.
# Needs cargo, and `rustup target add wasm32-unknown-unknown`.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/measure.sh"
export CARGO_INCREMENTAL=0

# Builds version $1 into $work/$1.wasm, with the features $2.
build() {
  (cd "$work/program" && CARGO_TARGET_DIR="$work/target" cargo build --quiet --release \
    --target wasm32-unknown-unknown --features "$2")
  cp "$work/target/wasm32-unknown-unknown/release/stable_builds.wasm" "$work/$1.wasm"
}

variant() { # title; the environment says how
  rm -rf "$work/target" "$work/program"
  cp -r "$here/rust" "$work/program"
  build old ''
  for edit in body text function generic dynamic; do
    build $edit $edit
  done
  sed -i 's/^version = "0.1.0"/version = "0.1.1"/' "$work/program/Cargo.toml"
  build version ''
  lost "$1" 'a constant in a body' "$work/old.wasm" "$work/body.wasm"
  lost "$1" 'a longer message' "$work/old.wasm" "$work/text.wasm"
  lost "$1" 'a function more' "$work/old.wasm" "$work/function.wasm"
  lost "$1" 'a generic type instantiated' "$work/old.wasm" "$work/generic.wasm"
  lost "$1" 'a trait object more' "$work/old.wasm" "$work/dynamic.wasm"
  lost "$1" "the crate's version" "$work/old.wasm" "$work/version.wasm"
}

header
variant 'release'
growable='-C link-arg=--growable-table'
RUSTFLAGS=$growable variant 'release, growable table'
CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 RUSTFLAGS=$growable variant 'growable table, codegen-units = 1'
CARGO_INCREMENTAL=1 RUSTFLAGS=$growable variant 'growable table, incremental'
CARGO_PROFILE_RELEASE_LTO=thin RUSTFLAGS=$growable variant 'growable table, lto = "thin"'
CARGO_PROFILE_RELEASE_LTO=fat CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 RUSTFLAGS=$growable \
  variant 'growable table, lto = "fat", codegen-units = 1'
CARGO_PROFILE_RELEASE_OPT_LEVEL=s RUSTFLAGS=$growable variant "growable table, opt-level = 's'"
