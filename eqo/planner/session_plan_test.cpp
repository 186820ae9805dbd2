#include <gtest/gtest.h>

#include <cmath>

#include "eqo/core/error.h"
#include "eqo/model/testing/random_model.h"
#include "eqo/model/testing/small_models.h"
#include "eqo/planner/plan_cost.h"
#include "eqo/planner/work_rates.h"

namespace eqo {
namespace {

constexpr std::uint64_t kSeeds = 60;

ExecOptions options_of(std::uint64_t seed) {
  ExecOptions o;
  o.ot.kind = seed % 2 == 0 ? OtKind::kSilent : OtKind::kSoftSpoken;
  o.prefetch = static_cast<std::uint8_t>(seed % 3);
  return o;
}

TEST(SessionPlan, LaterBatchesMakeTheirOwnCots) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE(::testing::Message() << "random_model(" << seed << ")");
    const PublicPlan plan = testing::random_model(seed).plan;
    ExecOptions options = options_of(seed);
    options.ot.kind = OtKind::kSoftSpoken;
    SessionPlan session(plan, options);
    const PlanCost first = session.next(1), second = session.next(1), third = session.next(1);
    if (options.prefetch >= 1) {
      EXPECT_EQ(first.online_cots.cost, Cost{});
    }
    if (options.prefetch <= 1) {
      EXPECT_EQ(second.online, third.online);
    }
    for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
      EXPECT_EQ(first.steps[i].online.bytes, second.steps[i].online.bytes);
      EXPECT_EQ(first.steps[i].setup, second.steps[i].setup);
    }
    EXPECT_EQ(first.setup, third.setup);
  }
}

// All but one message a convolution moves from the batch to its preparing; nothing is made for a batch that is not
// meant.
TEST(SessionPlan, PreparingMovesProductsAndCots) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE(::testing::Message() << "random_model(" << seed << ")");
    const PublicPlan plan = testing::random_model(seed).plan;
    ExecOptions options = options_of(seed);
    options.ot.kind = OtKind::kSoftSpoken;
    options.prefetch = 0;
    const std::uint64_t batch = 1 + seed % 3;
    SessionPlan session(plan, options), whole(plan, options);
    const PlanCost made = session.prepare(batch);
    const PlanCost between = session.next(batch);
    EXPECT_EQ(between.online.bytes, whole.next(batch).online.bytes);
    EXPECT_EQ(between.prepared, Cost{});
    EXPECT_THROW(session.next(batch + 1, BatchKind::kPrepared), Error);
    const PlanCost cost = session.next(batch, BatchKind::kPrepared);
    EXPECT_EQ(cost.prepared, made.prepared);
    EXPECT_EQ(cost.setup, between.setup);
    EXPECT_EQ(cost.online_cots.cost, Cost{});
    EXPECT_EQ(cost.prepared_cots.cost.bytes, between.online_cots.cost.bytes);
    EXPECT_EQ(session.prepared(), 0U);
    for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
      const Node& node = plan.nodes[i];
      if (node.op != Op::kConv) {
        EXPECT_EQ(cost.steps[i].online.bytes, between.steps[i].online.bytes);
        EXPECT_EQ(cost.steps[i].prepared, Cost{});
        continue;
      }
      EXPECT_EQ(cost.steps[i].prepared.bytes, between.steps[i].online.bytes);
      const TensorType& in = plan.nodes[static_cast<std::size_t>(node.inputs[0])].type;
      EXPECT_EQ(cost.steps[i].online.total_bytes(),
                framed_bytes((batch * static_cast<std::uint64_t>(in.shape.size()) * node.type.ring_bits + 7) / 8));
    }
    EXPECT_THROW(session.next(batch, BatchKind::kPrepared), Error);
  }
}

TEST(SessionPlan, APeersPlanPreparesNothing) {
  ExecOptions options;
  options.framework = Framework::kSirnn;
  options.ot = {.kind = OtKind::kSoftSpoken, .softspoken_k = 1};
  const PublicPlan plan = testing::dot_product({1, 2}, 3, 16, 8).plan;
  EXPECT_THROW(SessionPlan(plan, options).prepare(1), Error);
}

TEST(SessionPlan, PrefetchMovesBytesFromTheBatchToTheSetup) {
  const PublicPlan plan = testing::random_model(4).plan;
  ExecOptions now, later;
  later.prefetch = 0;
  const PlanCost a = plan_cost(plan, now, 1), b = plan_cost(plan, later, 1);
  EXPECT_LT(a.online.total_bytes(), b.online.total_bytes());
  EXPECT_GT(a.setup.total_bytes(), b.setup.total_bytes());
}

// The link alone: no step is over before its bytes have passed and its flights have flown.
TEST(SessionPlan, TheClockKeepsToTheLink) {
  const LinkSpec link{50e6, 0.03};
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE(::testing::Message() << "random_model(" << seed << ")");
    const PublicPlan plan = testing::random_model(seed).plan;
    const ExecOptions options = options_of(seed);
    SessionPlan timed(plan, options, {false, &link, nullptr});
    SessionPlan untimed(plan, options);
    double setup = timed.setup().session.seconds + timed.setup().setup_cots.seconds + timed.setup().ready.seconds;
    for (const StepCost& s : timed.setup().steps) setup += s.setup_seconds;
    EXPECT_NEAR(setup, timed.setup().setup_seconds, 1e-9);
    for (int i = 0; i < 2; ++i) {
      const PlanCost cost = timed.next(1 + seed % 2), same = untimed.next(1 + seed % 2);
      EXPECT_EQ(cost.online, same.online);
      EXPECT_EQ(same.online_seconds, 0);
      const auto busiest = static_cast<double>(std::max(cost.online.bytes[0], cost.online.bytes[1]));
      const double flights = static_cast<double>(cost.online.flights) * link.round_trip_seconds / 2;
      EXPECT_GE(cost.online_seconds, flights - 1e-9);
      EXPECT_GE(cost.online_seconds + link.round_trip_seconds, 8 * busiest / link.bits_per_second);
      EXPECT_LE(cost.online_seconds,
                flights + 8 * static_cast<double>(cost.online.total_bytes()) / link.bits_per_second + 1e-9);
      double steps = cost.online_cots.seconds + cost.request.seconds + cost.opening.seconds;
      for (const StepCost& s : cost.steps) steps += s.online_seconds;
      EXPECT_NEAR(steps, cost.online_seconds, 1e-9);
    }
  }
}

TEST(SessionPlan, WorkTakesTimeAndNoBytes) {
  const LinkSpec link{};
  const WorkRates work = measure_work_rates({OtKind::kSilent, 4, {0, 0}});
  for (double WorkRates::*field : {&WorkRates::base_ots, &WorkRates::cot, &WorkRates::key, &WorkRates::product_client,
                                   &WorkRates::product_server, &WorkRates::non_linear, &WorkRates::element}) {
    EXPECT_GT(work.*field, 0);
    EXPECT_LT(work.*field, 100);
  }
  const PublicPlan plan = testing::random_model(9).plan;
  SessionPlan idle(plan, {}, {false, &link, nullptr}), busy(plan, {}, {false, &link, &work});
  const PlanCost a = idle.next(1), b = busy.next(1);
  EXPECT_EQ(a.online, b.online);
  EXPECT_EQ(a.online_seconds, 0);
  EXPECT_GT(b.online_seconds, 0);
  EXPECT_GE(b.setup_seconds, work.base_ots);
}

}  // namespace
}  // namespace eqo
