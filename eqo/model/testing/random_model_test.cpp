#include "eqo/model/testing/random_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>

#include "eqo/model/plan_io.h"
#include "eqo/model/types.h"

namespace eqo::testing {
namespace {

constexpr std::uint64_t kSeeds = 3000;

TEST(RandomModel, IsValidSmallAndAFunctionOfItsSeed) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    const Model model = random_model(seed);
    EXPECT_NO_THROW(validate(model));
    EXPECT_LE(model.plan.nodes.size(), 40U);
    for (const Node& node : model.plan.nodes) EXPECT_LE(node.type.shape.size(), 2000);
  }
  EXPECT_EQ(plan_digest(random_model(7).plan), plan_digest(random_model(7).plan));
  EXPECT_EQ(random_image(random_model(7).plan, 3), random_image(random_model(7).plan, 3));
}

TEST(RandomModel, CoversEveryStepWidthAndKnowledge) {
  std::array<int, 17> steps{};
  std::set<unsigned> rings, weight_bits;
  int winograd = 0, taps = 0, grouped = 0, dilated = 0, known_sign = 0, guarded = 0, unknown = 0, negative_offset = 0;
  int direct = 0, relied = 0, merged = 0;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const PublicPlan plan = random_model(seed).plan;
    for (const Node& node : plan.nodes) {
      ++steps.at(static_cast<std::size_t>(node.op));
      rings.insert(node.type.ring_bits);
      winograd += node.domain == ConvDomain::kWinograd ? 1 : 0;
      taps += node.codes.size() == 16 ? 1 : 0;
      grouped += node.groups > 1 ? 1 : 0;
      dilated += node.op == Op::kConv && node.window.dilation_h > 1 ? 1 : 0;
      for (const WeightCode& code : node.codes) {
        weight_bits.insert(code.bits());
        negative_offset += code.offset < 0 ? 1 : 0;
      }
      direct += node.op == Op::kRequantize && !node.method.staged ? 1 : 0;
      relied += node.method.use_interval ? 1 : 0;
      merged += node.method.merged ? 1 : 0;
      if (node.op != Op::kExtend) continue;
      const TensorType& in = plan.nodes[static_cast<std::size_t>(node.inputs[0])].type;
      const std::int64_t guard = in.ring_bits > 2 ? ring_hi(in.ring_bits - 1) : 0;
      if (in.non_negative()) {
        ++known_sign;
      } else if (in.hi <= guard && in.lo >= -guard) {
        ++guarded;
      } else {
        ++unknown;
      }
    }
  }
  for (std::size_t op = 0; op < steps.size(); ++op) EXPECT_GT(steps[op], 100) << op_name(static_cast<Op>(op));
  EXPECT_EQ(rings.size(), 64U);
  EXPECT_EQ(weight_bits.size(), 8U);
  for (const int n :
       {winograd, taps, grouped, dilated, known_sign, guarded, unknown, negative_offset, direct, relied, merged})
    EXPECT_GT(n, 100);
}

TEST(RandomModel, OtherWeightsKeepThePlan) {
  const Model a = random_model(11);
  const Model b = with_random_weights(a.plan, 5);
  EXPECT_NO_THROW(validate(b));
  EXPECT_EQ(plan_digest(a.plan), plan_digest(b.plan));
}

}  // namespace
}  // namespace eqo::testing
