#include "eqo/planner/ot_choice.h"

#include <gtest/gtest.h>

#include "eqo/model/testing/random_model.h"
#include "eqo/planner/plan_cost.h"

namespace eqo {
namespace {

// ReLUs of a few hundred thousand elements: enough COTs that their kind matters.
PublicPlan many_relus() {
  PublicPlan plan;
  Node input;
  input.op = Op::kInput;
  input.type = {{64, 64, 64}, 16, -128, 127};
  Node relu;
  relu.op = Op::kRelu;
  relu.inputs = {0};
  relu.type = {{64, 64, 64}, 16, 0, 127};
  plan.nodes = {input, relu};
  plan.output = 1;
  return plan;
}

TEST(OtChoice, FastLinksGetSoftSpokenAndSlowOnesSilent) {
  const PublicPlan plan = many_relus();
  EXPECT_EQ(choose_ot(plan, {}, LinkSpec{10e9, 1e-4}, {}).kind, OtKind::kSoftSpoken);
  EXPECT_EQ(choose_ot(plan, {}, LinkSpec{100e6, 1e-4}, {}).kind, OtKind::kSilent);
  EXPECT_EQ(choose_ot(plan, {}, {}, {}).kind, OtKind::kSilent);
}

TEST(OtChoice, AForcedKindIsTaken) {
  const PublicPlan plan = many_relus();
  for (const std::optional<LinkSpec>& link : {std::optional<LinkSpec>{}, std::optional(LinkSpec{10e9, 1e-4})})
    for (const OtKind kind : {OtKind::kSilent, OtKind::kSoftSpoken})
      EXPECT_EQ(choose_ot(plan, {}, link, kind).kind, kind);
}

TEST(OtChoice, TheSameAnswerEveryTime) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const PublicPlan plan = testing::random_model(seed).plan;
    const LinkSpec link{1e6 * static_cast<double>(1 << seed), 1e-3};
    EXPECT_EQ(choose_ot(plan, {}, link, {}), choose_ot(plan, {}, link, {}));
  }
}

TEST(OtChoice, MoreCotsOnASlowLinkMakeTheSetsLarger) {
  const PublicPlan plan = many_relus();
  ExecOptions small, large;
  small.ot = choose_ot(plan, {}, LinkSpec{1e9, 1e-3}, OtKind::kSilent);
  large.ot = choose_ot(plan, {}, LinkSpec{1e6, 1e-3}, OtKind::kSilent);
  EXPECT_LE(plan_cost(plan, large, 1).setup.total_bytes(), plan_cost(plan, small, 1).setup.total_bytes());
}

}  // namespace
}  // namespace eqo
