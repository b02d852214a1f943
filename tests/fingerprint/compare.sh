#!/usr/bin/env bash
# Same config and seed, same result: runs every case of cases.txt with program A, then with each of the other ways, and
# compares all of summary.json but what is about the run of the program itself.
#
#   compare.sh A                          A twice, stepping, and with the C library's CPU variants switched off
#   compare.sh A B...                     A and other builds of it
set -uo pipefail
here=$(dirname -- "$(readlink -f -- "$0")")
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
broken=0 compared=0

# result PROGRAM [OPTION...]: the summary, without what is about the program's own work (wall times, the number of steps
# that it took), versions and paths
result() {
  "$1" run "$here/base.json" "${sets[@]}" --json --no-rows "${@:2}" 2>"$work/errors" |
    sed -e '/"simulator": {/,/}/d' -e '/"provenance": {/,/^  }/d' >"$work/out"
  grep -q '"fingerprint"' "$work/out" || { echo "$name: no result from $1 ${*:2}"; cat "$work/errors"; broken=1; }
  cat "$work/out"
}

# same LABEL COMMAND...
same() {
  local label=$1
  shift
  "$@" >"$work/other"
  ((++compared))
  cmp -s "$work/first" "$work/other" && return
  echo "$name: $label differs:"
  diff "$work/first" "$work/other" | head -n 10
  broken=1
}

while read -r name pointers; do
  [[ $name && $name != \#* ]] || continue
  sets=()
  for set in $pointers; do sets+=(--set "$set"); done
  result "$1" >"$work/first"
  if (($# == 1)); then
    same 'a second run' result "$1"
    same 'stepping' result "$1" --no-fast-forward
    GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX512F,-AVX2_Usable,-AVX2,-FMA_Usable,-FMA,-FMA4_Usable,-AVX_Fast_Unaligned_Load \
      same 'without the CPU variants of the C library' result "$1"
  else
    for other in "${@:2}"; do same "$other" result "$other"; done
  fi
done <"$here/cases.txt"
((broken)) && exit 1
echo "$compared results equal"
