#!/usr/bin/env bash
# On a machine with a GPU: builds the kernels for it, checks each against its double reference (new random inputs,
# poisoned outputs), measures them against their baselines, and leaves small JSON files with date and machine.
#
#   kernels/gpu_session/run.sh OUT [PACKAGES] [--build-only] [--sanitize]
#
# OUT        folder for the results; PACKAGES: folder of .deb files (or of what they unpack to) with what this machine
#            lacks: libgtest-dev libgmock-dev nlohmann-json3-dev libeigen3-dev libcli11-dev. Fetch them elsewhere with
#            apt-get download; nothing is installed, they are unpacked beside the build.
# --build-only   stops after the build: no GPU is needed
# --sanitize     also runs the checks under compute-sanitizer (memcheck), where it is
#
#   BUILD=DIR      build there (default: build/gpu)
#   CHECK_SEEDS=N  rounds of the checks, each with its own random inputs (default 3)
set -uo pipefail
root=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/../.." && pwd)
out= packages= build_only= sanitize=
for argument in "$@"; do
  case $argument in
    --build-only) build_only=1 ;;
    --sanitize) sanitize=1 ;;
    -*) echo "run.sh: unknown option $argument" >&2; exit 1 ;;
    *) if [[ ! $out ]]; then out=$argument; else packages=$argument; fi ;;
  esac
done
[[ $out ]] || { echo 'usage: run.sh OUT [PACKAGES] [--build-only] [--sanitize]' >&2; exit 1; }
mkdir -p "$out"
out=$(readlink -f -- "$out")
build=${BUILD:-$root/build/gpu}
failed=0

# step NAME COMMAND...: its time, its output in OUT/NAME.log, and its last lines here.
step() {
  local name=$1 start=$SECONDS status=0
  shift
  "$@" >"$out/$name.log" 2>&1 || status=$?
  tail -n "${LINES_SHOWN:-6}" "$out/$name.log"
  echo "=== $name: status $status, $((SECONDS - start)) s"
  if ((status)); then failed=1; fi
  return $status
}

prefix=()
if [[ $packages ]]; then
  packages=$(readlink -f -- "$packages")
  unpacked=$build/packages
  mkdir -p "$unpacked"
  for deb in "$packages"/*.deb; do
    if [[ -f $deb ]]; then dpkg -x "$deb" "$unpacked"; fi
  done
  if [[ -d $packages/usr ]]; then unpacked=$packages; fi
  prefix=(-DCMAKE_PREFIX_PATH="$unpacked/usr")
fi

# The compute capability of device 0, or Hopper's where there is none.
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader -i 0 2>/dev/null | tr -d '. \n')
[[ $capability =~ ^[0-9]+$ ]] || capability=90
step configure cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DORRERY_CUDA=ON -DORRERY_TESTS=ON \
  -DORRERY_CUDA_ARCHITECTURE="$capability" "${prefix[@]}" || exit 1
grep -q 'CUDA kernels: nvcc' "$out/configure.log" || { grep 'CUDA kernels' "$out/configure.log"; exit 1; }
step build ninja -C "$build" kernels_gpu_check gpu_session orrery_gpu_abi || exit 1
if [[ $build_only ]]; then
  ls -l "$build"/tests/gpu_kernels/kernels_gpu_check "$build"/kernels/gpu_session/{gpu_session,liborrery_gpu_abi.so}
  exit $failed
fi

condition() { nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem,power.draw,temperature.gpu --format=csv; }
condition >"$out/before.csv" 2>&1

# cuBLASLt: on the loader's path, in the toolkit, or in PyTorch's packages.
if [[ ! ${ORRERY_CUBLASLT:-} ]] && ! ldconfig -p | grep -q 'libcublasLt\.so\.13'; then
  for folder in /usr/local/cuda/lib64 /usr/local/cuda/lib "$(python3 -c '
import pathlib, sys
for place in sys.path:
    for file in pathlib.Path(place or ".").glob("nvidia/**/libcublasLt.so.13"):
        print(file.parent)' 2>/dev/null | head -n 1)"; do
    if [[ -e $folder/libcublasLt.so.13 ]]; then
      export ORRERY_CUBLASLT=$folder/libcublasLt.so.13
      break
    fi
  done
fi
echo "cuBLASLt: ${ORRERY_CUBLASLT:-of the loader}"

check=$build/tests/gpu_kernels/kernels_gpu_check
for ((i = 1; i <= ${CHECK_SEEDS:-3}; ++i)); do
  ORRERY_TEST_SEED=$((RANDOM * 32768 + RANDOM)) LINES_SHOWN=12 \
    step "check-$i" "$check" --gtest_output="json:$out/check-$i.json"
done
if [[ $sanitize ]] && command -v compute-sanitizer >/dev/null; then
  step sanitize compute-sanitizer --error-exitcode 9 "$check"
fi
LINES_SHOWN=400 step measure "$build/kernels/gpu_session/gpu_session" "$out/kernels.json"
if python3 -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
  LINES_SHOWN=60 step compare python3 "$root/kernels/gpu_session/compare_torch.py" \
    "$build/kernels/gpu_session/liborrery_gpu_abi.so" "$out/torch.json"
else
  echo '=== compare: skipped, no PyTorch with CUDA'
fi
condition >"$out/after.csv" 2>&1
exit $failed
