#!/usr/bin/env bash
# Every `orrery` command that the README and the documents show, in a block or in a line, is one that the program has: the
# verb, and each of its options. What needs no placeholder and ends at once is run.
#
#   commands.sh PROGRAM SOURCE
set -uo pipefail
program=$(realpath -- "$1")
cd -- "$2"
broken=0

# Commands, one a line: from fenced blocks (continued lines joined, comments cut) and from `code`. Messages of the program
# look like "orrery: ..." and are none.
commands() {
  awk '
    /^```/ { inside = !inside; next }
    inside { line = line $0; if (sub(/\\$/, "", line)) next; if (line ~ /^(\.\/)?orrery [a-z-]/) print line; line = ""; next }
    { rest = $0
      while (match(rest, /`(\.\/)?orrery [a-z][^`]*`/)) {
        print substr(rest, RSTART + 1, RLENGTH - 2); rest = substr(rest, RSTART + RLENGTH) } }' "$@" |
    sed -E 's/^(\.\/)?orrery //; s/   .*//; s/ +#.*//'
}

count=0
while read -r line; do
  ((++count))
  verb=${line%% *}
  [[ $verb == test ]] && continue   # of the script ./orrery (tests/launcher)
  help=$("$program" "$verb" --help 2>&1) || { echo "no such verb: orrery $line"; broken=1; continue; }
  for option in $(grep -oE -- '--[a-z][a-z-]*' <<<"$line"); do
    grep -qE -- "(^|[ ,])$option( |,|$)" <<<"$help" || { echo "orrery $verb has no $option: orrery $line"; broken=1; }
  done
  case $line in
    schema | "policies target" | "policies --json") "$program" $line >/dev/null || { echo "fails: orrery $line"; broken=1; } ;;
  esac
done < <(commands README.md docs/*.md docs/adr/*.md)

((count >= 30)) || { echo "only $count commands were found in the documents"; broken=1; }
((broken == 0)) && echo "$count commands"
