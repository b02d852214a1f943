/// A block bootstrap of a trace: what else the hour might have looked like, with the same hour-scale mix.
///
/// The trace is a circle of 32 equal stretches of time long; each stretch of the new trace is the stretch that starts
/// at a random instant of the old one. What starts in a stretch comes along whole: a session brings all its turns at
/// their own distances. A request that is drawn a second time shares prefixes only with others drawn a second time, so
/// copies do not inflate the hit rate. (Moving blocks: Kuensch, Ann. Statist. 1989; circular: Politis and Romano,
/// 1992.)
///
///   auto again = resample_source(*make_source(...), seed);      // same seed, same requests
///
/// Reads the whole source: memory is all its requests. Only for sources that do not wait for answers (wants_done()).
#pragma once

#include <cstdint>
#include <memory>

#include "sim/request.hpp"

namespace orrery {

std::unique_ptr<RequestSource> resample_source(RequestSource& source, std::uint64_t seed);

}  // namespace orrery
