#!/usr/bin/env bash
# hopper_instructions.sh REASON NVCC ROOT: what *_sm90.cu is made for is in its PTX: wgmma and bulk tensor copies.
set -euo pipefail
if [[ $1 ]]; then
  echo "skipped: $1"
  exit 77
fi
nvcc=$2 root=$3 failed=0 files=0
ptx=$(mktemp)
trap 'rm -f "$ptx"' EXIT
while read -r source; do
  ((++files))
  "$nvcc" -std=c++20 --expt-relaxed-constexpr -I"$root" -ptx -arch=compute_90a "$source" -o "$ptx"
  for instruction in wgmma.mma_async cp.async.bulk; do
    if ! grep -q "$instruction" "$ptx"; then
      echo "${source#"$root"/}: no $instruction in its PTX"
      failed=1
    fi
  done
  echo "${source#"$root"/}: $(grep -c wgmma.mma_async "$ptx") wgmma, $(grep -c cp.async.bulk "$ptx") bulk copies"
done < <(find "$root/kernels" -name '*_sm90.cu')
if ((files == 0)); then
  echo 'skipped: there is no *_sm90.cu'
  exit 77
fi
exit $failed
