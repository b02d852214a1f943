# Copies sim/engine and replaces some expressions by a choice between right and wrong (mutation.hpp), so that the engine
# itself has no hooks. Each expression must occur exactly once in its context, and that in the file; if the engine
# changes, change the entry here.
#
#   cmake -DSOURCE=<root> -DOUT=<folder> -P mutate.cmake
file(REMOVE_RECURSE ${OUT}/sim)
file(COPY ${SOURCE}/sim/engine DESTINATION ${OUT}/sim)
set(count 0)

# mutate(FILE RIGHT WRONG [CONTEXT]): numbers follow the order of the calls, from 1. CONTEXT: a longer text with RIGHT in it.
function(mutate file right wrong)
  set(context "${right}")
  if(ARGC GREATER 3)
    set(context "${ARGV3}")
  endif()
  math(EXPR number "${count} + 1")
  set(count ${number} PARENT_SCOPE)
  set(path ${OUT}/sim/engine/${file})
  file(READ ${path} text)
  string(FIND "${text}" "${context}" first)
  string(FIND "${text}" "${context}" last REVERSE)
  if(first EQUAL -1 OR NOT first EQUAL last)
    message(FATAL_ERROR "tests/mutation/mutate.cmake: mutation ${number}: `${context}` does not occur exactly once in ${file}")
  endif()
  string(REPLACE "${right}" "(orrery::g_mutation == ${number} ? (${wrong}) : (${right}))" mutated "${context}")
  string(REPLACE "${context}" "${mutated}" text "${text}")
  string(FIND "${text}" "mutation.hpp" included)
  if(included EQUAL -1)
    string(PREPEND text "#include \"tests/mutation/mutation.hpp\"\n")
  endif()
  file(WRITE ${path} "${text}")
endfunction()

# Fast-forward and its cuts.
mutate(station_step.cpp "ceil_div(gone, first)" "gone / first + 1")                                # an arrival at a boundary waits
mutate(station_plan.cpp "lane.run.valid" "std::int64_t{1} << 40")                                  # a cost knot is run over
mutate(station_plan.cpp "ledger_.available_without_copy() + lane.group.needed()" "ledger_.available_without_copy() + lane.group.needed() + Blocks{2}")
mutate(station_step.cpp "lane.steps_since_admission += lane.k" "lane.steps_since_admission += 1")
mutate(station_step.cpp "lane.run.first + lane.run.step" "lane.run.first" "itl_run(first, lane.run.first + lane.run.step")
mutate(station_step.cpp "lane.k" "lane.k - lane.k / 2" "lane.run.step, lane.k}")                     # what observers are told
mutate(station_plan.cpp "upto <= target" "true")                                                       # a prompt that has ended goes on
mutate(station_step.cpp "same_again_ = false" "same_again_ = same_again_" "same_again_ = false;\n  take_due")  # a plan outlives its members
# The decode group.
mutate(decode_group.hpp "joined(p) + ahead != e.clock" "false")                                    # stale entries are taken
mutate(decode_group.hpp "members_[place].index != e.slot" "false")                                       # those of another lane too
mutate(decode_group.hpp "wrap(p.computed.value() - joined(p))" "wrap(p.computed.value() - joined(p) + 1)")
# Pipelines.
mutate(station_plan.cpp "std::max(end + hop, stage_free_[s])" "end + hop")                         # two batches in a stage
# Swap, preemption, request-level batches.
mutate(station_step.cpp "lane.host_returning" "Tokens{}" "end_swap_in(lane.host_returning)")       # host memory leaks
mutate(station_step.cpp "ledger_.state().largest_lease()" "Tokens::max()")                         # never comes back
mutate(station_step.cpp "parts_.kv.contiguous || more > Tokens{}" "more > Tokens{}")               # comes back with no room
mutate(station_plan.cpp "p.emitted = Tokens32{}" "p.emitted")                                      # a restart that is none
# KV and its prefix cache.
mutate(ledger.cpp "target - 1_tok" "target")                                                       # the whole prompt is a hit
mutate(prefix_cache.cpp "oldest_" "newest_" "id = oldest_;")                                       # the wrong end is evicted
# Cached prefixes in host memory.
mutate(ledger.hpp "copies_prefixes_ ? free_ : available()" "available()")                          # copies within a run
mutate(station_plan.cpp "copies.in.value() * block" "std::int64_t{0}" "shape.host_in += parts_.kv_bytes_per_token * (copies.in.value() * block)")   # a free copy
mutate(prefix_cache.cpp "host_.held > host_.room" "host_.held > host_.room + 1_blk")                # one more than there is room for
mutate(prefix_cache.cpp "m.evictable += Blocks{take - n.cached}" "m.evictable += Blocks{0}")        # no room for what comes
mutate(prefix_cache.cpp "leave_host(pin.node, again)" "(void)again")                               # two copies of a block
mutate(buddy.cpp "order + 1 < kOrders" "false")                                              # free runs never merge
# Arrivals.
mutate(call_queue.hpp "std::upper_bound(first, items_.end(), id, before)" "first")
mutate(simulation.cpp "at + predicted(id)" "at + predicted(id) + Duration{1}")
mutate(simulation.cpp "rule.wait_before(job.attempts)" "rule.backoff")                               # back-off never doubles
mutate(simulation.cpp "job.gives_up > now_" "true")                                                  # tries again for nobody
mutate(simulation.cpp "(to_ps(now) / to_ps(staleness_) + 1) * to_ps(staleness_)" "to_ps(now) + to_ps(staleness_)")

file(WRITE ${OUT}/tests/mutation/count.hpp "#pragma once\nnamespace orrery {\ninline constexpr int kMutations = ${count};\n}  // namespace orrery\n")
