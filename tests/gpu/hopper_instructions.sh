#!/usr/bin/env bash
# hopper_instructions.sh REASON NVCC ROOT: what *_sm90.cu is made for is in its PTX: wgmma, and bulk tensor copies where
# the source asks for them (TensorMap); in one file at least.
set -euo pipefail
if [[ $1 ]]; then
  echo "skipped: $1"
  exit 77
fi
nvcc=$2 root=$3 failed=0 files=0 bulk=0
ptx=$(mktemp)
trap 'rm -f "$ptx"' EXIT
while read -r source; do
  ((++files))
  "$nvcc" -std=c++20 --expt-relaxed-constexpr -I"$root" -ptx -arch=compute_90a "$source" -o "$ptx"
  wanted=(wgmma.mma_async)
  if grep -q TensorMap "$source"; then
    wanted+=(cp.async.bulk)
    ((++bulk))
  fi
  for instruction in "${wanted[@]}"; do
    if ! grep -q "$instruction" "$ptx"; then
      echo "${source#"$root"/}: no $instruction in its PTX"
      failed=1
    fi
  done
  echo "${source#"$root"/}: $(grep -c wgmma.mma_async "$ptx" || true) wgmma," \
    "$(grep -c cp.async.bulk "$ptx" || true) bulk copies"
done < <(find "$root/kernels" -name '*_sm90.cu')
if ((files == 0)); then
  echo 'skipped: there is no *_sm90.cu'
  exit 77
fi
if ((bulk == 0)); then
  echo 'no file has bulk tensor copies'
  failed=1
fi
exit $failed
