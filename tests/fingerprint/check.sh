#!/usr/bin/env bash
# Same fingerprints of 500 random scenarios (fingerprints.cpp) by g++ -O3, g++ -O0, g++ -O3 -march=native and clang++ -O2,
# and with the C library's CPU variants switched off.
#
#   check.sh                builds the program in these ways below build/fingerprints: 2 to 4 minutes on two cores
#   check.sh PROGRAM...     compares builds of it that exist; the first is taken as right
set -uo pipefail
root=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")/../.." && pwd)
folder=$root/build/fingerprints
broken=0
if (($#)); then folder=$(mktemp -d); trap 'rm -rf -- "$folder"' EXIT; fi
mkdir -p "$folder"

# made NAME CMAKE_ARGUMENTS...
made() {
  local name=$1
  shift
  { cmake -S "$root" -B "$folder/$name" -G Ninja "$@" && ninja -C "$folder/$name" orrery_fingerprints; } \
    >"$folder/$name.log" 2>&1 || { tail -n 20 "$folder/$name.log"; exit 1; }
  run "$name" "$folder/$name/tests/fingerprint/orrery_fingerprints"
}

# run NAME PROGRAM
run() {
  "$2" >"$folder/$1.txt" || broken=1
  same "$1"
}

same() {
  cmp -s "$folder/release.txt" "$folder/$1.txt" && { echo "$1: $(wc -l <"$folder/$1.txt") fingerprints equal"; return; }
  echo "$1: other fingerprints than release:"
  diff "$folder/release.txt" "$folder/$1.txt" | head -n 6
  broken=1
}

if (($#)); then run release "$1"; else made release -DCMAKE_BUILD_TYPE=Release; fi
GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX512F,-AVX2_Usable,-AVX2,-FMA_Usable,-FMA,-FMA4_Usable,-AVX_Fast_Unaligned_Load \
  run plain-cpu "${1:-$folder/release/tests/fingerprint/orrery_fingerprints}"
if (($#)); then
  for ((i = 2; i <= $#; ++i)); do run "build $i" "${!i}"; done
  exit $broken
fi
made debug -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O0
made native -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS=-march=native
made clang -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_CXX_FLAGS_RELEASE=-O2
exit $broken
