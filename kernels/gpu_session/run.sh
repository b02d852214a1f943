#!/usr/bin/env bash
# On a machine with a GPU: builds the kernels and the program for it, checks each kernel and the engine against the
# double reference (new random inputs, poisoned outputs), measures the kernels against their baselines, calibrates a
# hardware model, validates it against the CUDA engine under three policies at three loads, and leaves what is to be
# committed. What fails, hangs or runs out of time is told, and the rest goes on; what is there is kept at any time.
#
#   kernels/gpu_session/run.sh OUT [PACKAGES] [--stage NAME]... [--build-only] [--sanitize]
#
# OUT        folder for the results; PACKAGES: folder of .deb files (or of what they unpack to) with what this machine
#            lacks: libgtest-dev libgmock-dev nlohmann-json3-dev libeigen3-dev libcli11-dev. Fetch them elsewhere with
#            apt-get download; nothing is installed, they are unpacked beside the build.
# --stage    these only, where a call may take ten minutes only; in this order (all of them without it):
#              build       needs no GPU; without --stage, only where the programs are not there or do not start
#              check       kernels_gpu_check with several seeds: correctness first
#              smoke       a few requests on the CUDA engine: OUT/smoke.json
#              calibrate   OUT/NAME.json and its samples; called again, it goes on where it was
#              validate-POLICY   of the policies below: OUT/validate-POLICY-LOAD.json, the record in OUT/NAME.json
#              measure     OUT/kernels-GROUP.json, and OUT/torch-GROUP.json where there is PyTorch
#              results     OUT/commit/: hwmodels/gpus/NAME.json and docs/results/*.json, with date and machine
# --build-only   the same as --stage build
# --sanitize     also runs the checks under compute-sanitizer (memcheck), where it is
#
#   BUILD=DIR      build there (default: build/gpu)
#   PROGRAMS=DIR   the four programs (default: BUILD/programs, where the build puts them: 26 MB). Built elsewhere for
#                  x86-64 with a C library no newer than this machine's, they spare the build here
#   ARCHIVE=FILE   after every step, all of OUT as one .tar.gz: for machines that give back few files, or only some
#   LIMIT=SECONDS  of this call: what would go beyond is cut, what is left is told as not begun (default: none)
#   CHECK_SEEDS=N  rounds of the checks, each with its own random inputs (default 3)
#   NAME=NAME      of the hardware model (default: h200-sxm-measured on an H200, h100-sxm-measured on an H100 SXM, else
#                  made of the device's name)
#   LOADS=...      of validate-POLICY, separated by commas (default: 0.65,0.5,0.8)
#   POLICIES=...   batching policies (default: sarathi vllm-v1 vllm, as experiments/examples/validate-h200.json)
set -uo pipefail
here=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
root=$(cd -- "$here/../.." && pwd)
policies=${POLICIES:-sarathi vllm-v1 vllm}
stages="build check smoke calibrate $(printf 'validate-%s ' $policies)measure results"
out= packages= chosen= sanitize=
while (($#)); do
  case $1 in
    --stage)
      if [[ " $stages " != *" ${2:-} "* ]]; then
        echo "run.sh: unknown stage ${2:-}; stages: $stages" >&2
        exit 1
      fi
      chosen="$chosen $2"
      shift
      ;;
    --build-only) chosen=" build" ;;
    --sanitize) sanitize=1 ;;
    -*) echo "run.sh: unknown option $1" >&2; exit 1 ;;
    *) if [[ ! $out ]]; then out=$1; else packages=$1; fi ;;
  esac
  shift
done
[[ $out ]] || { echo 'usage: run.sh OUT [PACKAGES] [--stage NAME]... [--build-only] [--sanitize]' >&2; exit 1; }
mkdir -p "$out" || exit 1
out=$(readlink -f -- "$out")
build=${BUILD:-$root/build/gpu}
programs=${PROGRAMS:-$build/programs}
check=$programs/kernels_gpu_check session=$programs/gpu_session program=$programs/orrery
. "$here/steps.sh"
. "$here/checks.sh"
trap pack EXIT

# wanted NAME: is it this stage's turn?
wanted() { [[ ! $chosen || " $chosen " == *" $1 "* ]]; }

# All programs are there and start on this machine.
programs_start() {
  [[ -e $programs/liborrery_gpu_abi.so ]] && "$check" --gtest_list_tests && "$session" --groups && "$program" --version
} >/dev/null 2>&1

build_all() {
  local prefix=() unpacked=$build/packages capability
  if [[ $packages ]]; then
    packages=$(readlink -f -- "$packages")
    mkdir -p "$unpacked"
    for deb in "$packages"/*.deb; do
      if [[ -f $deb ]]; then dpkg -x "$deb" "$unpacked" || return 1; fi
    done
    if [[ -d $packages/usr ]]; then unpacked=$packages; fi
    prefix=(-DCMAKE_PREFIX_PATH="$unpacked/usr")
  fi
  # The compute capability of device 0, or Hopper's where there is none.
  capability=$(timeout -k 5 20 nvidia-smi --query-gpu=compute_cap --format=csv,noheader -i 0 2>/dev/null | tr -d '. \n')
  [[ $capability =~ ^[0-9]+$ ]] || capability=90
  step configure 120 cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DORRERY_CUDA=ON \
    -DORRERY_TESTS=ON -DORRERY_CUDA_ARCHITECTURE="$capability" ${prefix[@]+"${prefix[@]}"} || return 1
  grep -q 'CUDA kernels: nvcc' "$out/configure.log" || { grep 'CUDA kernels' "$out/configure.log"; return 1; }
  step build 1800 ninja -C "$build" kernels_gpu_check gpu_session orrery_gpu_abi orrery || return 1
  mkdir -p "$programs"
  install "$build/tests/gpu_kernels/kernels_gpu_check" "$build/orrery" \
    "$build"/kernels/gpu_session/{gpu_session,liborrery_gpu_abi.so} "$programs" || return 1
  ls -l "$programs"
}

if [[ $chosen == *" build"* ]] || { [[ ! $chosen ]] && ! programs_start; }; then build_all || exit 1; fi
if [[ $chosen == " build" ]]; then exit $failed; fi
for file in "$check" "$session" "$program"; do
  [[ -x $file ]] || { echo "run.sh: $file is missing: --stage build comes first" >&2; exit 1; }
done

condition() {
  timeout -k 5 20 nvidia-smi --format=csv \
    --query-gpu=name,driver_version,clocks.sm,clocks.mem,power.draw,temperature.gpu
}
condition >"$out/before-${chosen// /-}.csv" 2>&1

# The device that CUDA gives the programs: names, figures and configs follow it.
device=$(timeout -k 5 60 "$session" --device 2>"$out/device.log") || { cat "$out/device.log" >&2; exit 1; }
case $device in
  *H200*NVL*) name=h200-nvl-measured config=validate-h200.json ;;
  *H200*) name=h200-sxm-measured config=validate-h200.json ;;
  *H100*HBM3*) name=h100-sxm-measured config=validate-h100.json ;;
  *) name=$(tr 'A-Z ' 'a-z-' <<<"$device" | tr -cd 'a-z0-9-' | sed 's/^nvidia-//')-measured config=validate-h100.json ;;
esac
name=${NAME:-$name}
hardware=$out/$name.json
echo "device: $device; hardware model: $name; validated by $config"

# cuBLASLt: on the loader's path, in the toolkit, or in PyTorch's packages.
if [[ ! ${ORRERY_CUBLASLT:-} ]] && [[ $(ldconfig -p 2>/dev/null) != *libcublasLt.so.13* ]]; then
  for folder in /usr/local/cuda/lib64 /usr/local/cuda/lib /usr/local/cuda/targets/x86_64-linux/lib "$(python3 -c '
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

if wanted check; then
  for ((i = 1; i <= ${CHECK_SEEDS:-3}; ++i)); do check_all "check-$i" $((RANDOM * 32768 + RANDOM)); done
  if [[ $sanitize ]] && command -v compute-sanitizer >/dev/null; then
    step sanitize 400 compute-sanitizer --error-exitcode 9 "$check"
  fi
fi

examples=$root/experiments/examples
if wanted smoke; then
  json smoke 120 "$program" run "$examples/$config" --executor cuda --json --set /workload/requests=8
fi

# Points that end the device's work are left out when it is called again, so it is, a few times.
if wanted calibrate; then
  for _ in 1 2 3 4 5; do
    LINES_SHOWN=60 step calibrate 540 "$program" calibrate --backend cuda --out "$hardware"
    if [[ -s $hardware ]] || (($(time_for 60) < 30)); then break; fi
  done
fi

for policy in $policies; do
  if wanted "validate-$policy"; then
    for load in $(tr ',' ' ' <<<"${LOADS:-0.65,0.5,0.8}"); do
      LINES_SHOWN=2 json "validate-$policy-$load" 420 "$program" validate "$examples/$config" --backend cuda --json \
        --record --set "/validate/batching=\"$policy\"" --set "/validate/loads=[$load]" \
        --set "/hardware={\"name\": \"$hardware\", \"cost\": \"steps\"}"
    done
  fi
done

if wanted measure; then
  for group in $("$session" --groups); do
    LINES_SHOWN=100 step "kernels-$group" 120 "$session" "$out/kernels-$group.json" "$group"
  done
  if timeout 60 python3 -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
    for group in prefill warpgroups decode operators; do
      LINES_SHOWN=40 step "torch-$group" 120 python3 "$here/compare_torch.py" "$programs/liborrery_gpu_abi.so" \
        "$out/torch-$group.json" "$group"
    done
  else
    echo '=== torch: skipped, no PyTorch with CUDA'
  fi
fi

if wanted results; then
  mkdir -p "$out/commit/hwmodels/gpus" "$out/commit/docs/results"
  for file in "$out"/{kernels-*,torch-*,smoke,validate-*,check-*}.json; do
    if [[ -s $file ]]; then cp "$file" "$out/commit/docs/results/$name-$(basename "$file")"; fi
  done
  if [[ -s $hardware ]]; then cp "$hardware" "$out/commit/hwmodels/gpus/"; fi
  printf '{"date": "%s", "device": "%s", "failed": %s}\n' "$(date -u +%FT%TZ)" "$device" \
    "$(grep -sv 'status 0,' "$out/steps.txt" | wc -l)" >"$out/commit/docs/results/$name-session.json"
  find "$out/commit" -type f | sort
fi
condition >"$out/after-${chosen// /-}.csv" 2>&1
echo "--- all steps so far"
cat "$out/steps.txt" 2>/dev/null
exit $failed
