#include "eqo/model/compare.h"

#include <gtest/gtest.h>

#include "eqo/core/error.h"
#include "eqo/model/testing/naive.h"
#include "eqo/model/testing/random_model.h"

namespace eqo {
namespace {

TEST(FirstDifference, NamesTheFirstStepAndElement) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const Model model = testing::random_model(seed);
    const Trace good = testing::naive_run(model, testing::random_image(model.plan, 1)).trace;
    EXPECT_FALSE(first_difference(model.plan, good, good).has_value());
    Trace bad = good;
    const std::size_t node = seed % good.size(), element = seed % good[node].size();
    bad[node][element] ^= 1;
    for (std::size_t later = node + 1; later < bad.size(); ++later) bad[later][0] ^= 1;  // it spreads
    const auto d = first_difference(model.plan, good, bad);
    ASSERT_TRUE(d.has_value());
    EXPECT_EQ(d->node, static_cast<int>(node));
    EXPECT_EQ(d->name, model.plan.nodes[node].name);
    EXPECT_EQ(d->element, element);
    EXPECT_EQ(d->expected, good[node][element]);
    EXPECT_EQ(d->got, bad[node][element]);
    EXPECT_NE(d->to_string(model.plan).find(d->name), std::string::npos);
    bad[node].clear();  // not recorded
    const auto next = first_difference(model.plan, good, bad);
    EXPECT_EQ(next.has_value(), node + 1 < good.size());
    EXPECT_TRUE(!next || next->node == static_cast<int>(node) + 1);
  }
}

TEST(FirstDifference, SaysWhereInTheTensorAndTheBatch) {
  PublicPlan plan;
  plan.nodes.resize(1);
  plan.nodes[0].name.assign(1, 'x');
  plan.nodes[0].type = {{2, 3, 4}, 8, -128, 127};
  Trace a{std::vector<Word>(48, 255)}, b = a;
  b[0][24 + 12 + 2 * 4 + 3] = 5;
  const auto d = first_difference(plan, a, b);
  ASSERT_TRUE(d.has_value());
  EXPECT_EQ(d->to_string(plan), "step 'x' (Input), image 1, channel 1, row 2, column 3: expected -1, got 5");
}

TEST(FirstDifference, RefusesTracesOfAnotherPlan) {
  const Model model = testing::random_model(1);
  const Trace good = testing::naive_run(model, testing::random_image(model.plan, 1)).trace;
  Trace bad = good;
  bad.pop_back();
  EXPECT_THROW(first_difference(model.plan, good, bad), Error);
  bad = good;
  bad[0].push_back(0);
  EXPECT_THROW(first_difference(model.plan, good, bad), Error);
}

}  // namespace
}  // namespace eqo
