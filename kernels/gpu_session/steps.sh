# What run.sh is made of: commands with a time limit, whose output and success are kept whatever happens to them.
# Needs: out, the folder of results. LIMIT: seconds that the whole call may take; ARCHIVE: a file.
#
#   step NAME SECONDS COMMAND...    OUT/NAME.log; its last lines here; cut after so many seconds, or when the call ends
#   json NAME SECONDS COMMAND...    the same, standard output in OUT/NAME.json; kept only if it has any
#   pack                            all of OUT into ARCHIVE, if that is named: complete at any time
failed=0

# What is left of SECONDS before the call's limit, less what cutting and packing takes.
time_for() {
  local seconds=$1 left
  if [[ ${LIMIT:-} ]]; then
    left=$((LIMIT - SECONDS - 15))
    if ((left < seconds)); then seconds=$left; fi
  fi
  echo "$seconds"
}

pack() {
  if [[ ${ARCHIVE:-} ]]; then
    tar -czf "$ARCHIVE.part" -C "$out" . 2>/dev/null && mv -f "$ARCHIVE.part" "$ARCHIVE"
  fi
}

# told NAME STATUS SECONDS: a line here and in OUT/steps.txt.
told() {
  local what="status $2"
  if [[ $2 == 124 || $2 == 137 ]]; then what="CUT after its time ($2)"; fi
  if [[ $2 == later ]]; then what='NOT BEGUN, no time is left'; fi
  if [[ $2 != 0 ]]; then failed=1; fi
  echo "=== $1: $what, $3 s" | tee -a "$out/steps.txt"
  pack
}

step() {
  local name=$1 limit start=$SECONDS status=0
  limit=$(time_for "$2")
  shift 2
  if ((limit < 5)); then
    told "$name" later 0
    return 1
  fi
  timeout -k 5 "$limit" "$@" >"$out/$name.log" 2>&1 || status=$?
  tail -n "${LINES_SHOWN:-6}" "$out/$name.log"
  told "$name" "$status" $((SECONDS - start))
  return "$status"
}

json() {
  local name=$1 limit=$2 status=0
  shift 2
  step "$name" "$limit" bash -c 'file=$1; shift; "$@" >"$file.part"' _ "$out/$name.json" "$@" || status=$?
  if [[ -s $out/$name.json.part ]]; then mv -f "$out/$name.json.part" "$out/$name.json"; fi
  rm -f "$out/$name.json.part"
  pack
  return "$status"
}
