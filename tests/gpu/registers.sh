#!/usr/bin/env bash
# registers.sh REASON SOURCES_FOLDER OBJECTS_FOLDER: no CUDA kernel spills registers, by the assembler's own reports
# (OBJECT.ptxas, kept by cmake/ptxas_report.sh), no wgmma is serialised, and every .cu file has a report. With a REASON
# there is nothing to check.
set -euo pipefail
if [[ $1 ]]; then
  echo "skipped: $1"
  exit 77
fi
sources=$2 objects=$3 missing=0
while read -r source; do
  report=$(find "$objects" -name "$(basename "$source").o.ptxas" -path "*${source#"$sources"/}*")
  if [[ -z $report ]] || ! grep -q 'Compiling entry function' "$report"; then
    echo "no report of a kernel in $source"
    missing=1
  fi
done < <(find "$sources" -name '*.cu')
find "$objects" -name '*.ptxas' -exec cat {} + | awk '
  /Compiling entry function/ { split($0, part, "\x27"); kernel = part[2]; target = part[4] }
  /bytes stack frame/        { stack = $1; spill = $5 + $9 }
  /Used [0-9]+ registers/    { match($0, /Used [0-9]+/); registers = substr($0, RSTART + 5, RLENGTH - 5)
                               printf "%3d registers, %d bytes of stack, %d of spills: %s (%s)\n", registers, stack,
                                      spill, kernel, target
                               ++kernels; bad += spill > 0 }
  END { printf "%d kernels, %d spill\n", kernels, bad; exit bad > 0 || kernels == 0 }'
if find "$objects" -name '*.ptxas' -exec grep -l 'instructions are serialized' {} + ; then
  echo 'products of warpgroups are serialised in the files above'
  missing=1
fi
exit $missing
