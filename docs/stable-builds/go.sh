#!/bin/sh
# What each change of a Go program costs, by how it is built: go/main.go, with the standard library.
# Needs Go (measured with 1.19); GOOS=js, which every release has.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/measure.sh"
export GOOS=${GOOS:-js} GOARCH=wasm

# Builds version $1, the program after the script $2 of sed, and its package `early` after $4; $3
# are flags of `go build`.
build() {
  rm -rf "$work/program"
  cp -r "$here/go" "$work/program"
  sed -i "$2" "$work/program/main.go"
  sed -i "${4:-}" "$work/program/early/early.go"
  (cd "$work/program" && eval "go build $3 -o '$work/$1.wasm' .")
}

variant() { # title, flags
  build old '' "$2"
  build body 's/\^ 7 \/\/ BODY/^ 9/' "$2"
  build code 's/return length<<3 ^ 7 \/\/ BODY/if length > 12 { return length*5 }; return length<<3 ^ 9/' "$2"
  build text 's/bad document:/this document could not be read, nothing is counted:/' "$2"
  last='s/^const report/\/\/go:noinline\nfunc half(n int) int { return n*3 \/ 2 }\n&/'
  call='s/return all \/\/ CALL/all[0].Weight = half(len(all)); return all/'
  build function "$last; $call" "$2"
  early='s/^\/\/go:noinline/&\nfunc half(n int) int { return n*3 \/ 2 }\n\n&/; s/return n \/\/ CALL/return half(n)/'
  build early '' "$2" "$early"
  lost "$1" 'a constant in a body' "$work/old.wasm" "$work/body.wasm"
  lost "$1" 'a branch more in a body' "$work/old.wasm" "$work/code.wasm"
  lost "$1" 'a longer message' "$work/old.wasm" "$work/text.wasm"
  lost "$1" 'a function more in main' "$work/old.wasm" "$work/function.wasm"
  lost "$1" 'a function more in a package without imports' "$work/old.wasm" "$work/early.wasm"
}

header
variant 'go build' ''
variant 'go build -trimpath -ldflags="-s -w"' '-trimpath -ldflags="-s -w"'
variant 'go build -gcflags=all=-l' '-gcflags=all=-l'
