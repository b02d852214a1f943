# The checks of all kernels, each suite in a process of its own, four at once: an illegal address ends all later work of
# its process, and a hang all of it. Suites that fail are run again test by test, so that one loses no other.
# Needs steps.sh and `check`, the program.
#
#   check_all NAME SEED             OUT/NAME.txt: "passed|failed|cut SUITE[.TEST]"; OUT/NAME.json; OUT/NAME/*.log
suite_seconds=${SUITE_SECONDS:-150} test_seconds=${TEST_SECONDS:-60}

# one_check FOLDER FILTER SECONDS DEADLINE: a line of the table; DEADLINE: of the call, in seconds of the day.
one_check() {
  local log=$1/${2//[\/*]/_}.log status=0 how=failed seconds=$(($4 - $(date +%s)))
  if ((seconds > $3)); then seconds=$3; fi
  if ((seconds < 3)); then
    echo "later ${2%.\*}"
    return
  fi
  timeout -k 5 "$seconds" "$check" --gtest_filter="$2" >"$log" 2>&1 || status=$?
  case $status in
    0) if grep -q '\[  SKIPPED \]' "$log"; then how=skipped; else how=passed; fi ;;
    124 | 137) how=cut ;;
  esac
  echo "$how ${2%.\*}"
}

# check_table FOLDER SECONDS: of filters, a line each; four at once.
check_table() {
  local deadline=$(($(date +%s) + $(time_for 100000)))
  export check
  export -f one_check
  xargs -r -d '\n' -P 4 -I '{}' bash -c 'one_check "$@"' _ "$1" '{}' "$2" "$deadline"
}

# Suites and tests, as a filter names them.
suites_of() { "$check" --gtest_list_tests | awk '/^[^ ].*\.$/ { print $1 "*" }'; }
tests_of() { "$check" --gtest_filter="$1.*" --gtest_list_tests | awk '/^[^ ].*\.$/ { s = $1 } /^  / { print s $1 }'; }

check_all() {
  local name=$1 start=$SECONDS folder=$out/$1 table=$out/$1.txt bad
  export ORRERY_TEST_SEED=$2
  mkdir -p "$folder"
  suites_of | check_table "$folder" "$suite_seconds" >"$folder.suites"
  grep -E '^(passed|skipped|later) ' "$folder.suites" >"$table"
  bad=$(sed -nE 's/^(failed|cut) //p' "$folder.suites")
  for suite in $bad; do tests_of "$suite" | check_table "$folder" "$test_seconds" >>"$table"; done
  sort -k 2 -o "$table" "$table"
  rm -f "$folder.suites"
  grep -v '^passed ' "$table"
  for suite in $(sed -nE 's/^(failed|cut) //p' "$table"); do
    echo "--- $suite"
    grep -vE '^\[|^Note|^Running' "$folder/${suite//[\/*]/_}.log" | head -n 12
  done
  awk -v seed="$2" 'BEGIN { printf "{\"seed\": %s, \"checks\": [", seed }
    { printf "%s\n{\"name\": \"%s\", \"result\": \"%s\"}", (NR > 1 ? "," : ""), $2, $1 }
    END { print "\n]}" }' "$table" >"$out/$name.json"
  # Where all was skipped there is no GPU, and nothing has been checked.
  told "$name ($(grep -c '^passed ' "$table") passed)" \
    "$(if [[ -s $table ]] && ! grep -qv '^passed ' "$table"; then echo 0; else echo 1; fi)" $((SECONDS - start))
}
