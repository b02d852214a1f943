/// One sweep point each, on a GPU: what is launched, over which buffers. See gpu_backend.hpp.
///
///   std::unique_ptr<Trial> t = make_gpu_trial(arena, model, point);       // null: whole steps are the backend's
#pragma once

#include <memory>

#include "calibrate/sweep/backend.hpp"
#include "calibrate/sweep/gpu_arena.hpp"

namespace orrery::ORRERY_GPU {

std::unique_ptr<Trial> make_gpu_trial(GpuArena& arena, const ModelShape& model, const SweepPoint& point);

}  // namespace orrery::ORRERY_GPU
