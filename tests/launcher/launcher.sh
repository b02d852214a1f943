#!/usr/bin/env bash
# Facts about ./orrery that need no compiler: launcher.sh SOURCE. Prints each broken one; exits 1 if there is any.
set -uo pipefail
source=$(realpath -- "$1")
unset ORRERY_BUILD   # CI sets it for its own clone; here every clone builds in itself
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
clone="$work/a clone"
broken=0

# is WHAT EXPECTED ACTUAL
is() {
  [[ $2 == "$3" ]] && return
  printf 'broken: %s\n  expected: %s\n  actual:   %s\n' "$1" "$2" "$3"
  broken=1
}

mkdir -p "$clone/cmake" "$clone/sim" "$work/tools"
cp "$source/orrery" "$clone/"
cp "$source/cmake/packages.txt" "$clone/cmake/"
for tool in bash dirname readlink sed grep awk mkdir flock find xargs cat dpkg env tail; do
  ln -s "$(command -v $tool)" "$work/tools/$tool"
done
program_packages=$(sed -n 's/^program  *\([^ ]*\).*/\1/p' "$source/cmake/packages.txt" | tr '\n' ' ')
program_packages=${program_packages% }

# Another distribution, nothing there: says what, does nothing, stops.
out=$(PATH="$work/tools" "$clone/orrery" run x.json 2>&1)
is 'exit code without apt-get' 1 $?
is 'names what it did not find' 1 "$(grep -c 'not found here: g++ cmake ninja. There is no apt-get' <<<"$out")"

# Debian, nothing there, nobody who may install: the exact command. (Root may; then this is asked of user nobody.)
printf '#!/bin/sh\nexit 1\n' | tee "$work/tools/dpkg-query" >"$work/tools/apt-get"
chmod +x "$work/tools/dpkg-query" "$work/tools/apt-get"
chmod -R a+rX "$work"
drop=()
((EUID)) || drop=(setpriv --reuid=65534 --regid=65534 --clear-groups)
out=$(cd / && "${drop[@]}" env PATH="$work/tools" ORRERY_BUILD=/nowhere "$clone/orrery" run x.json 2>&1)
is 'exit code without rights' 1 $?
is 'the command that would install' "orrery:   apt-get update && apt-get install -y --no-install-recommends $program_packages" \
  "$(tail -n 1 <<<"$out")"

# Built and nothing changed: the program's own output and exit code, whatever the folder, with little time added.
mkdir -p "$clone/build/program"
printf '#!/bin/sh\nprintf "[%%s]" "$@"\nexit 7\n' >"$clone/build/program/orrery"
chmod +x "$clone/build/program/orrery"
echo "$clone" >"$clone/build/program/built"
out=$(cd / && "$clone/orrery" run 'a b.json' --set '/x="y"' 2>&1)
is 'exit code of the program' 7 $?
is 'arguments as given, nothing else on stdout or stderr' '[run][a b.json][--set][/x="y"]' "$out"
ln -s "$clone/orrery" "$work/link"
is 'through a link' '[v]' "$("$work/link" v)"
best=1000000
for _ in {1..10}; do
  before=${EPOCHREALTIME/./}
  "$clone/orrery" v >/dev/null
  took=$((${EPOCHREALTIME/./} - before))
  ((took < best)) && best=$took
done
is 'milliseconds added, below 100' yes "$( ((best < 100000)) && echo yes || echo "$best us")"

# A changed source, and a clone that was moved: not up to date any more (the build is tried, and fails for want of tools).
touch -d '+1 minute' "$clone/sim/new.cpp"
PATH="$work/tools" "$clone/orrery" v >/dev/null 2>&1
is 'exit code after an edit' 1 $?
rm "$clone/sim/new.cpp"
touch -d '-1 minute' "$clone/sim"
is 'up to date again' '[v]' "$("$clone/orrery" v)"
mv "$clone" "$work/moved"
PATH="$work/tools" "$work/moved/orrery" v >/dev/null 2>&1
is 'exit code after a move' 1 $?

"$source/orrery" test --nonsense >/dev/null 2>&1
is 'exit code for an unknown test option' 1 $?
((broken)) && exit 1
echo 'all as promised'
