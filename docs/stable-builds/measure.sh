# What the measurements share. IBID is the command, WORK a directory for what is built.
IBID=${IBID:-ibid}
work=${WORK:-$(mktemp -d)}
mkdir -p "$work"

# Where cargo has the sources of the package $1, which the workspace depends on.
sources() {
  cargo metadata --format-version 1 --manifest-path "$here/../../Cargo.toml" |
    python3 -c 'import json, os, sys
for package in json.load(sys.stdin)["packages"]:
    if package["name"] == sys.argv[1]: print(os.path.dirname(package["manifest_path"]))' "$1" |
    tail -n 1
}

header() {
  echo '| build | change | functions | lost | of bodies | causes |'
  echo '|---|---|---|---|---|---|'
}

# A line of the table: how the build $1 does after the change $2, from the module $3 to $4. The
# old module is compiled first, so that it is known which code takes other addresses.
lost() {
  cache=$(mktemp -d -p "$work")
  "$IBID" compile "$3" -o "$work/old.cwasm" --cache "$cache" >/dev/null
  "$IBID" explain "$3" "$4" --cache "$cache" --json --top 0 |
    python3 -c 'import json, sys
said = json.load(sys.stdin)
total, lost = said["total"], said["lost"]
causes = [c for c in said["causes"] if c["is_lost"]]
causes.sort(key=lambda c: -c["body_bytes"])
words = ", ".join("{} {}".format(c["cause"].replace("_", " "), c["functions"]) for c in causes)
share = 100 * lost["body_bytes"] / max(1, total["body_bytes"])
print("| {} | {} | {:,} | {} | {:.1f} % | {} |".format(
    sys.argv[1], sys.argv[2], total["functions"], lost["functions"], share, words))' "$1" "$2"
  rm -rf "$cache"
}
