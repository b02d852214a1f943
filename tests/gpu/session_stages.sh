#!/usr/bin/env bash
# session_stages.sh SOURCES: the stages of kernels/gpu_session/run.sh are told apart before anything runs.
set -uo pipefail
run=$1/kernels/gpu_session/run.sh
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
failed=0
expect() {   # expect TEXT ARGUMENTS...: exits 1 and says so
  local text=$1 said
  shift
  said=$(BUILD=$out/nothing bash "$run" "$@" 2>&1) && { echo "no error: $*"; failed=1; }
  [[ $said == "$text" ]] || { printf 'run.sh %s\n said:     %s\n expected: %s\n' "$*" "$said" "$text"; failed=1; }
}
bash -n "$run" || failed=1
expect 'usage: run.sh OUT [PACKAGES] [--stage NAME] [--build-only] [--sanitize]'
expect 'run.sh: unknown option --fast' "$out" --fast
stages='build check measure smoke calibrate validate-sarathi validate-vllm-v1 validate-vllm results'
expect "run.sh: unknown stage nothing; stages: $stages" "$out" --stage nothing
expect "run.sh: $out/nothing/tests/gpu_kernels/kernels_gpu_check is missing: --stage build comes first" \
  "$out" --stage calibrate
exit $failed
