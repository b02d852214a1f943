#!/usr/bin/env bash
# On a machine with a GPU: builds the kernels and the program for it, checks each kernel and the engine against the
# double reference (new random inputs, poisoned outputs), measures the kernels against their baselines, calibrates a
# hardware model, validates it against the CUDA engine under three policies at three loads, and leaves what is to be
# committed.
#
#   kernels/gpu_session/run.sh OUT [PACKAGES] [--stage NAME] [--build-only] [--sanitize]
#
# OUT        folder for the results; PACKAGES: folder of .deb files (or of what they unpack to) with what this machine
#            lacks: libgtest-dev libgmock-dev nlohmann-json3-dev libeigen3-dev libcli11-dev. Fetch them elsewhere with
#            apt-get download; nothing is installed, they are unpacked beside the build.
# --stage    one of the stages, where a call may take ten minutes only; in this order (all of them without it):
#              build       needs no GPU
#              check       kernels_gpu_check with several seeds: correctness first
#              measure     OUT/kernels.json, and OUT/torch.json where there is PyTorch
#              smoke       a few requests on the CUDA engine: OUT/smoke.json
#              calibrate   OUT/NAME.json and its samples; called again, it goes on where it was
#              validate-POLICY   of the policies below: OUT/validate-POLICY.json, the record in OUT/NAME.json
#              results     OUT/commit/: hwmodels/gpus/NAME.json and docs/results/*.json, with date and machine
# --build-only   the same as --stage build
# --sanitize     also runs the checks under compute-sanitizer (memcheck), where it is
#
#   BUILD=DIR      build there (default: build/gpu)
#   CHECK_SEEDS=N  rounds of the checks, each with its own random inputs (default 3)
#   NAME=NAME      of the hardware model (default: h200-sxm-measured on an H200, else made of the device's name)
#   LOADS=...      of validate-POLICY, separated by commas (default: 0.5,0.65,0.8); fewer if ten minutes are too short
#   POLICIES=...   batching policies (default: sarathi vllm-v1 vllm, as experiments/examples/validate-h200.json)
set -uo pipefail
root=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/../.." && pwd)
policies=${POLICIES:-sarathi vllm-v1 vllm}
stages="build check measure smoke calibrate $(printf 'validate-%s ' $policies)results"
out= packages= stage= sanitize=
while (($#)); do
  case $1 in
    --stage) stage=${2:-}; shift ;;
    --build-only) stage=build ;;
    --sanitize) sanitize=1 ;;
    -*) echo "run.sh: unknown option $1" >&2; exit 1 ;;
    *) if [[ ! $out ]]; then out=$1; else packages=$1; fi ;;
  esac
  shift
done
[[ $out ]] || { echo 'usage: run.sh OUT [PACKAGES] [--stage NAME] [--build-only] [--sanitize]' >&2; exit 1; }
if [[ $stage && " $stages " != *" $stage "* ]]; then
  echo "run.sh: unknown stage $stage; stages: $stages" >&2
  exit 1
fi
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

# wanted NAME: is it this stage's turn?
wanted() { [[ ! $stage || $stage == "$1" ]]; }

build_all() {
  local prefix=() unpacked=$build/packages capability
  if [[ $packages ]]; then
    packages=$(readlink -f -- "$packages")
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
    -DORRERY_CUDA_ARCHITECTURE="$capability" "${prefix[@]}" || return 1
  grep -q 'CUDA kernels: nvcc' "$out/configure.log" || { grep 'CUDA kernels' "$out/configure.log"; return 1; }
  step build ninja -C "$build" kernels_gpu_check gpu_session orrery_gpu_abi orrery || return 1
  ls -l "$check" "$program" "$build"/kernels/gpu_session/{gpu_session,liborrery_gpu_abi.so}
}

check=$build/tests/gpu_kernels/kernels_gpu_check
program=$build/orrery
if wanted build; then build_all || exit 1; fi
if [[ $stage == build ]]; then exit $failed; fi
for file in "$check" "$program"; do
  [[ -x $file ]] || { echo "run.sh: $file is missing: --stage build comes first" >&2; exit 1; }
done

condition() { nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem,power.draw,temperature.gpu --format=csv; }
condition >"$out/before-${stage:-all}.csv" 2>&1

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

device=$(nvidia-smi --query-gpu=name --format=csv,noheader -i 0 2>/dev/null | head -n 1)
name=${NAME:-}
if [[ ! $name ]]; then
  case $device in
    *H200*) name=h200-sxm-measured ;;
    *) name=$(tr 'A-Z ' 'a-z-' <<<"${device:-no gpu}" | tr -cd 'a-z0-9-' | sed 's/^nvidia-//')-measured ;;
  esac
fi
hardware=$out/$name.json

if wanted check; then
  for ((i = 1; i <= ${CHECK_SEEDS:-3}; ++i)); do
    ORRERY_TEST_SEED=$((RANDOM * 32768 + RANDOM)) LINES_SHOWN=12 \
      step "check-$i" "$check" --gtest_output="json:$out/check-$i.json"
  done
  if [[ $sanitize ]] && command -v compute-sanitizer >/dev/null; then
    step sanitize compute-sanitizer --error-exitcode 9 "$check"
  fi
fi
if wanted measure; then
  LINES_SHOWN=400 step measure "$build/kernels/gpu_session/gpu_session" "$out/kernels.json"
  if python3 -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
    LINES_SHOWN=60 step compare python3 "$root/kernels/gpu_session/compare_torch.py" \
      "$build/kernels/gpu_session/liborrery_gpu_abi.so" "$out/torch.json"
  else
    echo '=== compare: skipped, no PyTorch with CUDA'
  fi
fi

# json NAME COMMAND...: a step whose standard output is OUT/NAME.json.
json() {
  local name=$1
  shift
  step "$name" bash -c 'file=$1; shift; "$@" >"$file"' _ "$out/$name.json" "$@"
}

examples=$root/experiments/examples
if wanted smoke; then
  json smoke "$program" run "$examples/validate-h200.json" --executor cuda --json --set /workload/requests=8 || exit 1
fi
if wanted calibrate; then
  LINES_SHOWN=60 step calibrate "$program" calibrate --backend cuda --out "$hardware"
fi
for policy in $policies; do
  if wanted "validate-$policy"; then
    LINES_SHOWN=2 json "validate-$policy${LOADS:+-$LOADS}" "$program" validate "$examples/validate-h200.json" \
      --backend cuda --json --record --set "/validate/batching=\"$policy\"" \
      --set "/validate/loads=[${LOADS:-0.5,0.65,0.8}]" --set "/hardware={\"name\": \"$hardware\", \"cost\": \"steps\"}"
  fi
done
if wanted results; then
  mkdir -p "$out/commit/hwmodels/gpus" "$out/commit/docs/results"
  for file in "$out"/{kernels,torch,smoke,validate-*,check-*}.json; do
    if [[ -s $file ]]; then cp "$file" "$out/commit/docs/results/$name-$(basename "$file")"; fi
  done
  if [[ -s $hardware ]]; then cp "$hardware" "$out/commit/hwmodels/gpus/"; fi
  printf '{"date": "%s", "device": "%s", "failed": %s}\n' "$(date -u +%FT%TZ)" "$device" "$failed" \
    >"$out/commit/docs/results/$name-session.json"
  find "$out/commit" -type f | sort
fi
condition >"$out/after-${stage:-all}.csv" 2>&1
exit $failed
