#include "eqo/quantizer/width_search.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "eqo/core/error.h"

namespace eqo::quant {
namespace {

using Layers = std::vector<std::vector<WidthOption>>;

struct Sum {
  double cost = 0, loss = 0;
};
Sum sum_of(const Layers& layers, const std::vector<std::size_t>& chosen) {
  Sum s;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    s.cost += layers[l].at(chosen.at(l)).cost;
    s.loss += layers[l].at(chosen.at(l)).loss;
  }
  return s;
}

// The least loss of all combinations within the budget; infinite if there is none.
double brute_force(const Layers& layers, double budget) {
  std::vector<std::size_t> at(layers.size(), 0);
  double least = std::numeric_limits<double>::infinity();
  for (;;) {
    const Sum s = sum_of(layers, at);
    if (s.cost <= budget) least = std::min(least, s.loss);
    std::size_t l = 0;
    while (l < layers.size() && ++at[l] == layers[l].size()) at[l++] = 0;
    if (l == layers.size()) return least;
  }
}

Layers random_layers(std::mt19937_64& random) {
  std::uniform_real_distribution<double> real(0, 1);
  Layers layers(1 + random() % 5);
  for (auto& options : layers) {
    options.resize(1 + random() % 6);
    for (WidthOption& o : options) o = {1e6 * real(random), std::exp(-12 * real(random))};
  }
  return layers;
}

TEST(WidthSearch, IsAsGoodAsTryingEverything) {
  int feasible = 0, infeasible = 0;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    std::mt19937_64 random(seed);
    const Layers layers = random_layers(random);
    const double budget = 1e6 * static_cast<double>(layers.size()) * static_cast<double>(random() % 1000) / 1000;
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    const double least = brute_force(layers, budget);
    const auto chosen = choose_options(layers, budget);
    ASSERT_EQ(chosen.has_value(), std::isfinite(least));
    if (!chosen) {
      ++infeasible;
      continue;
    }
    ++feasible;
    const Sum s = sum_of(layers, *chosen);
    EXPECT_LE(s.cost, budget * (1 + 1e-6));
    EXPECT_NEAR(s.loss, least, 1e-6 * least + 1e-9);
    EXPECT_EQ(choose_options(layers, budget), chosen);
  }
  EXPECT_GT(feasible, 50);
  EXPECT_GT(infeasible, 10);
}

TEST(WidthSearch, ALargeInstanceUsesTheBudget) {
  std::mt19937_64 random(3);
  Layers layers(60);
  double all = 0;
  for (auto& options : layers) {
    const double bytes = 1e5 * static_cast<double>(1 + random() % 100);
    const double weight = static_cast<double>(1 + random() % 1000);
    for (unsigned b = 2; b <= 8; ++b)
      for (unsigned a = 4; a <= 8; ++a)
        options.push_back({bytes * (b * 12.0 + a), weight * (std::exp2(-2.0 * b) + std::exp2(-2.0 * a))});
    all += options.back().cost;
  }
  double before = std::numeric_limits<double>::infinity();
  for (const double share : {0.4, 0.6, 0.8, 1.0}) {
    const auto chosen = choose_options(layers, share * all);
    ASSERT_TRUE(chosen);
    const Sum s = sum_of(layers, *chosen);
    EXPECT_LE(s.cost, share * all * (1 + 1e-6));
    EXPECT_GE(s.cost, 0.99 * share * all);
    EXPECT_LT(s.loss, before);
    before = s.loss;
  }
}

TEST(WidthSearch, EfficientOptionsAreTheFrontier) {
  const std::vector<WidthOption> o{{5, 1}, {1, 9}, {3, 4}, {3, 3}, {4, 3}, {6, 1}};
  EXPECT_EQ(efficient_options(o), (std::vector<std::size_t>{1, 3, 0}));
}

TEST(WidthSearch, NonsenseIsRefused) {
  EXPECT_THROW(choose_options(Layers{{}}, 1), Error);
  EXPECT_THROW(choose_options(Layers{{{1, std::nan("")}}}, 1), Error);
  EXPECT_THROW(choose_options(Layers{{{-1, 1}}}, 1), Error);
  EXPECT_THROW(choose_options(Layers{{{1, 1}}}, std::nan("")), Error);
  EXPECT_FALSE(choose_options(Layers{{{1, 1}}, {{2, 1}, {3, 0}}}, 2.9));
  EXPECT_EQ(choose_options(Layers{{{1, 1}}, {{2, 1}, {3, 0}}}, 3), (std::vector<std::size_t>{0, 0}));
}

}  // namespace
}  // namespace eqo::quant
