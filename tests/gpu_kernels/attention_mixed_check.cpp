#include "kernels/attention_mixed/attention_mixed_gpu.hpp"

#include <gtest/gtest.h>

#include "kernels/attention_decode/attention_decode_gpu.hpp"
#include "tests/gpu_kernels/prefill_cases.hpp"

namespace orrery::ORRERY_GPU {
namespace {

class MixedAttention : public GpuCheck {};

TEST_F(MixedAttention, IsTheTwoApart) {
  for (const AttentionShape shape : {AttentionShape{4, 2, 64}, AttentionShape{4, 1, 128}, AttentionShape{17, 1, 64}}) {
    const PrefillShapeCase chunks{.shape = shape, .chunks = {{8, 200, 60}, {9, 0, 30}}};
    const DecodeShapeCase decodes{.shape = shape, .held = {{1, 1}, {3, 65}, {5, 300}}, .page_tokens = 64};
    PrefillCase p(chunks), p2(chunks);
    DecodeCase d(decodes), d2(decodes);
    attention_prefill(p.args(), nullptr);
    attention_decode(d.args(), nullptr);
    const LaunchPlan plan = plan_mixed(p2.plan, d2.plan);
    const DeviceBuffer<LaunchTile> tiles(plan.tiles, "mixed tiles");
    attention_mixed({p2.args(), d2.args(), tiles.data(), static_cast<std::int64_t>(plan.tiles.size())}, nullptr);
    EXPECT_TRUE(same_bits(p.out.download(), p2.out.download()));
    EXPECT_TRUE(same_bits(d.out.download(), d2.out.download()));
    EXPECT_LT(relative_error(p2.out.download(), p2.reference()), kBf16Bound);
    EXPECT_LT(relative_error(d2.out.download(), d2.reference()), kBf16Bound);
  }
}

}  // namespace
}  // namespace orrery::ORRERY_GPU
