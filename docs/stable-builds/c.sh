#!/bin/sh
# What each change of a C program costs, by how it is built: zstd as a library, and an application
# (c/app.c) that is edited. Needs clang and wasm-ld with wasi-libc, wasm-opt (Debian: clang lld
# wasi-libc libclang-rt-dev-wasm32 binaryen), and cargo, for zstd's sources.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/measure.sh"
zstd=${ZSTD:-$(sources zstd-sys)/zstd/lib}

compile() { # flags, source, object
  clang --target=wasm32-wasi -DZSTD_DISABLE_ASM=1 -I"$zstd" $1 -c "$2" -o "$3"
}

# The objects of the library and of each edit, with the compiler's flags $2, in the directory $1.
objects() {
  mkdir -p "$work/$1"
  for source in "$zstd"/common/*.c "$zstd"/compress/*.c "$zstd"/decompress/*.c; do
    compile "$2" "$source" "$work/$1/$(basename "$source").o"
  done
  for edit in 0 1 2 3 4 5 6; do
    compile "$2 -DEDIT=$edit" "$here/c/app.c" "$work/$1/app.$edit"
  done
}

# Links each edit: $1 the objects' directory, $2 whether the application comes first or last,
# $3 flags of the linker, $4 those of wasm-opt or nothing. At an optimization level clang would run
# wasm-opt on its own, if there is one.
variant() {
  for edit in 0 1 2 3 4 5 6; do
    case $2 in
      first) inputs="$work/$1/app.$edit $work/$1/*.o" ;;
      last) inputs="$work/$1/*.o $work/$1/app.$edit" ;;
    esac
    clang --target=wasm32-wasi $inputs $3 -o "$work/$edit.wasm"
    if [ -n "$4" ]; then wasm-opt $4 "$work/$edit.wasm" -o "$work/$edit.wasm"; fi
  done
}

measure() { # title
  number=1
  for change in 'a constant in a body' 'a longer message' 'a function more' \
      'a function of a new type' 'a function more in the table' '100 kB more data'; do
    lost "$1" "$change" "$work/0.wasm" "$work/$number.wasm"
    number=$((number + 1))
  done
}

objects plain -O2
objects reserve '-O2 -DRESERVE'
objects lto '-O2 -flto'
growable=-Wl,--growable-table
memory=-Wl,--initial-memory=16777216
header
variant plain first '' ''; measure 'application first'
variant plain last '' ''; measure 'application last'
variant plain last $growable ''; measure 'last, growable table'
variant reserve last "$growable $memory" ''
measure 'last, growable table, memory of fixed size, room for messages'
variant lto last "$growable" ''; measure 'last, growable table, -flto'
variant plain last "$growable" -O2; measure 'last, growable table, wasm-opt -O2'
variant plain last "$growable" '-O2 -ocimfs 0'
measure 'last, growable table, wasm-opt -O2 -ocimfs 0'
