#!/usr/bin/env bash
# The README shows what the program does: its config is the quickstart, its output is the program's (but for the first
# line, which has the time it took), and every command line it gives is accepted.
#
#   check.sh PROGRAM SOURCE             check.sh PROGRAM SOURCE --update writes the present output into the README
set -uo pipefail
program=$(realpath -- "$1")
cd -- "$2"
example=experiments/examples/quickstart.json
broken=0

# block LANGUAGE N: the N-th fenced block of that language.
block() {
  awk -v fence="\`\`\`$1" -v n="$2" '
    /^```/ { inside = !inside; if (inside && $0 == fence) ++seen; wanted = inside && $0 == fence && seen == n; next }
    wanted { print }' README.md
}

"$program" run $example >/tmp/orrery_readme.$$ || broken=1
trap 'rm -f /tmp/orrery_readme.$$' EXIT
if [[ ${3:-} == --update ]]; then
  awk -v out=/tmp/orrery_readme.$$ '
    /^```/ { inside = !inside; if (inside && $0 == "```") ++seen; print
             if (inside && $0 == "```" && seen == 2) { while ((getline line < out) > 0) print line; skip = 1 } else skip = 0
             next }
    !skip { print }' README.md >README.new && mv README.new README.md
  exit
fi

diff <(block json 1) $example || { echo 'the README shows another config than the quickstart'; broken=1; }
diff <(block '' 2 | tail -n +2) <(tail -n +2 /tmp/orrery_readme.$$) ||
  { echo 'the README shows another output; if the change is meant: tests/readme/check.sh PROGRAM SOURCE --update'; broken=1; }

while read -r line; do
  arguments=$(sed 's/^.\/orrery //; s/   .*//; s/ --out DIR//; s|CONFIG|'$example'|' <<<"$line")
  "$program" $arguments >/dev/null || { echo "does not work: $line"; broken=1; }
done < <(block '' 3 | grep '^./orrery')
((broken == 0))
