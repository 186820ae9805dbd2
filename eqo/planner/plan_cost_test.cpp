#include "eqo/planner/plan_cost.h"

#include <gtest/gtest.h>

#include "eqo/core/bits.h"
#include "eqo/model/testing/random_model.h"
#include "eqo/model/testing/small_models.h"
#include "eqo/net/testing/expect_error.h"

namespace eqo {
namespace {

constexpr std::uint64_t kSeeds = 150;

ExecOptions options_of(std::uint64_t seed) {
  ExecOptions o;
  o.ot.softspoken_k = 1 + static_cast<unsigned>(seed % 8);
  o.compare.levels = 3 + static_cast<unsigned>(seed / 8 % 4);
  return o;
}

TEST(PlanCost, StepsAndSessionAddUpToTheTotalsAndTheTrace) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE("random_model(" + std::to_string(seed) + ")");
    const PublicPlan plan = testing::random_model(seed).plan;
    const PlanCost cost = plan_cost(plan, options_of(seed), 1 + seed % 3, true);
    ASSERT_EQ(cost.steps.size(), plan.nodes.size());
    Cost setup, online;
    const auto add = [](Cost& sum, const Cost& c) {
      for (std::size_t p = 0; p < 2; ++p) {
        sum.bytes[p] += c.bytes[p];
        sum.cots[p] += c.cots[p];
      }
      sum.flights += c.flights;
    };
    add(setup, cost.session.cost);
    add(setup, cost.setup_cots.cost);
    add(setup, cost.ready.cost);
    add(online, cost.request.cost);
    add(online, cost.online_cots.cost);
    add(online, cost.opening.cost);
    for (std::size_t i = 0; i < cost.steps.size(); ++i) {
      EXPECT_EQ(cost.steps[i].name, plan.nodes[i].name);
      EXPECT_EQ(cost.steps[i].layer, plan.nodes[i].layer);
      EXPECT_EQ(cost.steps[i].op, op_name(plan.nodes[i].op));
      add(setup, cost.steps[i].setup);
      add(online, cost.steps[i].online);
    }
    setup.bytes[static_cast<std::size_t>(Party::kClient)] += framed_bytes(kControlBytes);  // the goodbye
    EXPECT_EQ(setup, cost.setup);
    EXPECT_EQ(online, cost.online);
    std::array<std::uint64_t, 2> traced_setup{}, traced_online{};
    for (const Message& m : cost.setup_trace) traced_setup[static_cast<std::size_t>(m.from)] += framed_bytes(m.bytes);
    for (const Message& m : cost.online_trace) traced_online[static_cast<std::size_t>(m.from)] += framed_bytes(m.bytes);
    traced_setup[static_cast<std::size_t>(Party::kClient)] += framed_bytes(kControlBytes);
    EXPECT_EQ(traced_setup, cost.setup.bytes);
    EXPECT_EQ(traced_online, cost.online.bytes);
    EXPECT_EQ(cost.online_trace.front(), (Message{Party::kClient, kControlBytes}));
    const Node& output = plan.nodes[static_cast<std::size_t>(plan.output)];
    EXPECT_EQ(cost.online_trace.back(),
              (Message{Party::kServer, packed_bytes(tensor_words(output, 1 + seed % 3), output.type.ring_bits)}));
    EXPECT_EQ(cost.setup_trace.back(), (Message{Party::kServer, kControlBytes}));
  }
}

TEST(PlanCost, WithoutATraceNothingElseChanges) {
  const PublicPlan plan = testing::random_model(3).plan;
  const PlanCost with = plan_cost(plan, {}, 2, true), without = plan_cost(plan, {}, 2);
  EXPECT_EQ(with.setup, without.setup);
  EXPECT_EQ(with.online, without.online);
  EXPECT_TRUE(without.setup_trace.empty() && without.online_trace.empty());
}

TEST(PlanCost, SetupDoesNotDependOnTheBatchAndOnlineGrowsWithIt) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE("random_model(" + std::to_string(seed) + ")");
    const PublicPlan plan = testing::random_model(seed).plan;
    const ExecOptions options = options_of(seed);
    PlanCost last = plan_cost(plan, options, 1);
    for (std::uint64_t batch = 2; batch <= 5; ++batch) {
      const PlanCost cost = plan_cost(plan, options, batch);
      EXPECT_EQ(cost.setup, last.setup);
      EXPECT_GE(cost.online.total_bytes(), last.online.total_bytes());
      EXPECT_GE(cost.online.cots[0], last.online.cots[0]);
      last = cost;
    }
  }
}

// 1 x 2 weights of 8 bits in a ring of 16: 16 bits of weights, one COT each in setup. Online the client sends a 16-bit
// row element for each bit i of a weight, less the i bits that the ring cuts off.
TEST(PlanCost, AProductByHand) {
  const Model model = testing::dot_product({1, 2}, 3, 16, 8);
  const PlanCost cost = plan_cost(model.plan, {}, 1, true);
  const StepCost& conv = cost.steps[1];
  const auto client = static_cast<std::size_t>(Party::kClient);
  std::uint64_t bits = 0;
  for (unsigned i = 0; i < 8; ++i) bits += 2 * (16 - i);
  EXPECT_EQ(conv.online.bytes[client], framed_bytes((bits + 7) / 8));
  EXPECT_EQ(conv.online.bytes[1 - client], 0U);
  EXPECT_EQ(cost.opening.cost.bytes[1 - client], framed_bytes(2));
  EXPECT_EQ(cost.opening.cost.bytes[client], 0U);
  EXPECT_EQ(cost.online.total_bytes(), framed_bytes(16) + framed_bytes((bits + 7) / 8) + framed_bytes(2));
  EXPECT_EQ(cost.online.flights, 2U);  // request and row together, then the answer
  const Cost setup = dry_run([&](CostMeter& m) { step_setup_protocol(m, model.plan, model.plan.nodes[1], {}); });
  EXPECT_EQ(setup.cots[client], 16U);
  EXPECT_EQ(setup.cots[1 - client], 0U);
  EXPECT_EQ(setup.total_bytes(), framed_bytes(2));  // corrections of the choices
}

TEST(PlanCost, TensorWordsAreBounded) {
  Node node;
  node.name = "large";
  node.type.shape = {4, 8, 16};
  EXPECT_EQ(tensor_words(node, 1), 512U);
  EXPECT_EQ(tensor_words(node, std::uint64_t{1} << 22), std::uint64_t{1} << 31);
  EQO_EXPECT_ERROR(tensor_words(node, (std::uint64_t{1} << 22) + 1), Category::kResource, "'large'");
  EQO_EXPECT_ERROR(tensor_words(node, UINT64_MAX), Category::kResource, "2^31");
}

TEST(PlanCost, BatchesThatCannotBe) {
  const PublicPlan plan = testing::random_model(1).plan;
  EQO_EXPECT_ERROR(plan_cost(plan, {}, 0), Category::kUsage, "at least one image");
  EQO_EXPECT_ERROR(plan_cost(plan, {}, UINT64_MAX), Category::kResource, "2^31");
  EQO_EXPECT_ERROR(plan_cost(plan, {}, std::uint64_t{1} << 32), Category::kResource, "2^31");
}

}  // namespace
}  // namespace eqo
