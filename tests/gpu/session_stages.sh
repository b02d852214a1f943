#!/usr/bin/env bash
# session_stages.sh SOURCES: kernels/gpu_session/run.sh with programs that stand in for ours. Stages are told apart;
# what fails, hangs or has no time left costs nothing else; names follow the device; the archive has all there is.
set -uo pipefail
run=$1/kernels/gpu_session/run.sh
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
failed=0
complain() { printf '%s\n' "$*"; failed=1; }

expect() {   # expect TEXT ARGUMENTS...: exits 1 and says so
  local text=$1 said
  shift
  said=$(BUILD=$out/nothing bash "$run" "$@" 2>&1) && complain "no error: $*"
  [[ $said == "$text" ]] || complain "$(printf 'run.sh %s\n said:     %s\n expected: %s' "$*" "$said" "$text")"
}
for script in run steps checks; do bash -n "${run%/*}/$script.sh" || failed=1; done
expect 'usage: run.sh OUT [PACKAGES] [--stage NAME]... [--build-only] [--sanitize]'
expect 'run.sh: unknown option --fast' "$out" --fast
stages='build check smoke calibrate validate-sarathi validate-vllm-v1 validate-vllm measure results'
expect "run.sh: unknown stage nothing; stages: $stages" "$out" --stage nothing
expect "run.sh: $out/nothing/programs/kernels_gpu_check is missing: --stage build comes first" "$out" --stage calibrate

# Programs that stand in for ours: one suite fails in one of its tests, one hangs; one group of cases crashes.
programs=$out/programs
mkdir -p "$programs"
touch "$programs/liborrery_gpu_abi.so"
cat >"$programs/kernels_gpu_check" <<'FAKE'
#!/usr/bin/env bash
list='Good.\n  A\n  B\nBad.\n  Wrong\n  Right\nStuck.\n  Forever\n'
for a in "$@"; do case $a in --gtest_filter=*) filter=${a#*=} ;; --gtest_list_tests) listing=1 ;; esac; done
if [[ ${listing:-} ]]; then
  printf "$list" | awk -v f="${filter:-*}" '/^[^ ]/ { on = f == "*" || index(f, $1) == 1 } on'
  exit 0
fi
[[ ${NO_GPU:-} ]] && { echo '[  SKIPPED ] all'; exit 0; }
case $filter in
  Bad.\* | Bad.Wrong) echo 'expected 1, got 2'; exit 1 ;;
  Stuck*) sleep 60 ;;
esac
FAKE
cat >"$programs/gpu_session" <<'FAKE'
#!/usr/bin/env bash
case $1 in
  --device) [[ ${NO_GPU:-} ]] && { echo 'no GPU' >&2; exit 1; }; echo "${DEVICE:-NVIDIA H100 80GB HBM3}" ;;
  --groups) printf 'one\ntwo\nthree\n' ;;
  *) echo '{"results": []}' >"$1"; [[ $2 == two ]] && kill -SEGV $$; exit 0 ;;
esac
FAKE
cat >"$programs/orrery" <<'FAKE'
#!/usr/bin/env bash
case $1 in
  run) echo '{"smoke": 1}' ;;
  calibrate)   # ends at a point that the device does not survive, once
    while [[ $1 != --out ]]; do shift; done
    if [[ -e $2.tried ]]; then echo '{"model": 1}' >"$2"; else touch "$2.tried"; echo 'the device is lost'; exit 1; fi ;;
  validate)
    echo '{"validate": 1}'
    [[ $* == *0.5* ]] && exit 2
    exit 0 ;;
esac
FAKE
chmod +x "$programs"/*
# json FILE type|get [KEY]: of a file of the first session, by the parser that every build has.
cat >"$out/json.cmake" <<'PARSE'
file(READ ${FILE} text)
if(ASK STREQUAL "type")
  string(JSON answer TYPE "${text}")
else()
  string(JSON answer GET "${text}" ${KEY})
endif()
execute_process(COMMAND ${CMAKE_COMMAND} -E echo "${answer}")
PARSE
json() { cmake -DFILE="$out/a/$1" -DASK="$2" -DKEY="${3:-}" -P "$out/json.cmake"; }
session() { PROGRAMS=$programs SUITE_SECONDS=3 TEST_SECONDS=3 CHECK_SEEDS=1 bash "$run" "$@" 2>&1; }
said=$(ARCHIVE=$out/all.tgz session "$out/a") && complain 'failures, and exit code 0'
[[ $said == *'device: NVIDIA H100 80GB HBM3; hardware model: h100-sxm-measured; validated by validate-h100.json'* ]] ||
  complain "names do not follow the device: $said"
checks=$(cat "$out/a/check-1.txt")
wanted='passed Bad.Right
failed Bad.Wrong
passed Good
cut Stuck.Forever'
[[ $checks == "$wanted" ]] || complain "checks: $checks"
json check-1.json type >/dev/null || complain 'check-1.json is not JSON'
steps=$(sed -E 's/, [0-9]+ s$//; s/^=== //' "$out/a/steps.txt" | grep -v torch)
wanted='check-1 (2 passed): status 1
smoke: status 0
calibrate: status 1
calibrate: status 0
validate-sarathi-0.65: status 0
validate-sarathi-0.5: status 2
validate-sarathi-0.8: status 0
validate-vllm-v1-0.65: status 0
validate-vllm-v1-0.5: status 2
validate-vllm-v1-0.8: status 0
validate-vllm-0.65: status 0
validate-vllm-0.5: status 2
validate-vllm-0.8: status 0
kernels-one: status 0
kernels-two: status 139
kernels-three: status 0'
[[ $steps == "$wanted" ]] || complain "steps: $steps"
packed=$(tar -tzf "$out/all.tgz")
for file in check-1.json check-1/Stuck.Forever.log smoke.json h100-sxm-measured.json validate-vllm-0.5.json steps.txt \
  kernels-two.json commit/hwmodels/gpus/h100-sxm-measured.json commit/docs/results/h100-sxm-measured-kernels-one.json \
  commit/docs/results/h100-sxm-measured-session.json; do
  [[ $packed == *"./$file"* ]] || complain "the archive lacks $file"
done
((0$(json commit/docs/results/h100-sxm-measured-session.json get failed) >= 5)) ||
  complain 'session.json does not count what failed'

# Another device; only what is asked for; a call without time begins nothing and says so; without a GPU it is refused.
DEVICE='NVIDIA H200' session "$out/b" --stage smoke --stage results >/dev/null || complain 'smoke and results fail'
[[ -e $out/b/commit/docs/results/h200-sxm-measured-smoke.json && ! -e $out/b/check-1.txt ]] ||
  complain 'stages: two of them'
said=$(LIMIT=1 session "$out/c" --stage smoke) && complain 'no time, and exit code 0'
[[ $said == *'=== smoke: NOT BEGUN, no time is left, 0 s'* ]] || complain "no time: $said"
said=$(NO_GPU=1 session "$out/d" --stage check) && complain 'no GPU, and exit code 0'
[[ $said == 'no GPU' ]] || complain "no GPU: $said"
exit $failed
