#!/usr/bin/env bash
# Launches nvcc: ptxas_report.sh NVCC ARGUMENTS... What ptxas says of registers goes to OBJECT.ptxas, the rest through.
set -uo pipefail
object=
for ((i = 1; i < $#; ++i)); do
  if [[ ${!i} == -o ]]; then
    next=$((i + 1))
    object=${!next}
  fi
done
[[ $object ]] || exec "$@"
"$@" 2>"$object.ptxas"
status=$?
grep -vE '^ptxas info|bytes stack frame|^$' "$object.ptxas" >&2
exit $status
