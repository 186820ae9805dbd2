#include "eqo/quantizer/scale_solver.h"

#include <gtest/gtest.h>

#include <cmath>

#include "eqo/core/error.h"
#include "eqo/quantizer/test_nets.h"

namespace eqo::quant {
namespace {

using testing::NetBuilder;

StepCurve parabola(double best_log2) {
  StepCurve c;
  c.first = static_cast<int>(best_log2 * kStepsPerOctave) - 48;
  for (int i = 0; i <= 96; ++i) {
    const double d = static_cast<double>(c.first + i) / kStepsPerOctave - best_log2;
    c.cost.push_back(d * d);
  }
  return c;
}

TEST(ScaleGroups, SkipsJoinAndLayersSeparate) {
  NetBuilder b({3, 8, 8});
  const int x = b.relu(b.conv3(0, 4));
  const int inner = b.relu(b.conv3(x, 4));
  const int sum = b.add(b.conv3(inner, 4), x);
  const int pooled = b.avg_pool(b.relu(sum), 3, 3);
  const int out = b.conv1(pooled, 2);
  const ScaleGroups groups(b.finish(out));
  EXPECT_EQ(groups.group(x), groups.group(sum));
  EXPECT_EQ(groups.group(sum), groups.group(pooled));
  EXPECT_NE(groups.group(x), groups.group(inner));
  EXPECT_NE(groups.group(0), groups.group(x));
  EXPECT_NE(groups.group(out), groups.group(pooled));
  EXPECT_DOUBLE_EQ(groups.ratio(pooled) / groups.ratio(sum), 1.0 / 9);
}

TEST(ScaleGroups, PowersOfTwoOfAPoolingDontMatter) {
  NetBuilder b({3, 8, 8});
  const int x = b.relu(b.conv3(0, 3));
  const int sum = b.add(b.avg_pool(x, 2, 2), b.max_pool(x, 2, 2));
  EXPECT_NO_THROW(ScaleGroups(b.finish(b.conv1(sum, 2))));
}

TEST(ScaleGroups, NamesWhatCannotBeAligned) {
  NetBuilder b({3, 8, 8});
  const int x = b.relu(b.conv3(0, 3));
  const int sum = b.add(b.avg_pool(x, 3, 1, 1), x);
  const FloatGraph graph = b.finish(b.conv1(sum, 2));
  try {
    const ScaleGroups groups(graph);
    ADD_FAILURE() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), Category::kModel);
    EXPECT_NE(std::string(e.what()).find(graph.nodes[static_cast<std::size_t>(sum)].name), std::string::npos);
  }
}

TEST(ScaleSolver, SharesTheMisfitOfAResidualBlock) {
  NetBuilder b({3, 8, 8});
  const int x = b.relu(b.conv3(0, 4));
  const int first = b.conv3(x, 4);
  const int inner = b.relu(first);
  const int second = b.conv3(inner, 4);
  const FloatGraph graph = b.finish(b.conv1(b.relu(b.add(second, x)), 2));
  const GraphPlan plan = analyze(graph, {8, 8, 8});
  const ScaleGroups groups(graph);
  ScaleCosts costs;
  costs.weight.resize(graph.nodes.size());
  costs.activation.resize(graph.nodes.size());
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (is_linear(graph.nodes[i].op)) costs.weight[i] = parabola(-6.25);
    if (i == 0 || plan.tensors[i].requantize) costs.activation[i] = parabola(-4);
  }
  const Scales s = solve_scales(graph, plan, groups, costs, 1);
  const auto at = [](int i) { return static_cast<std::size_t>(i); };
  // Two steps of 2^-6.25 make a factor 2^-12.5 where a power of two is needed: each takes half of the misfit.
  const double product = std::log2(s.weight[at(first)] * s.weight[at(second)]);
  EXPECT_NEAR(product, std::round(product), 1e-9);
  EXPECT_NEAR(std::log2(s.weight[at(first)]), -6.25, 0.3);
  EXPECT_NEAR(std::log2(s.weight[at(second)]), -6.25, 0.3);
  // Activations of one group are exact powers of two apart.
  EXPECT_NO_THROW(exact_log2_ratio(s.activation[at(x)], s.base[groups.group(x)]));
  EXPECT_THROW(exact_log2_ratio(1.0, 1.1), Error);
  EXPECT_EQ(exact_log2_ratio(8, 0.5), 4);
}

TEST(ScaleSolver, ConcatenatedActivationsGetOneStep) {
  NetBuilder b({3, 8, 8});
  const int l = b.relu(b.conv3(0, 4)), r = b.relu(b.conv1(0, 4));
  const FloatGraph graph = b.finish(b.conv1(b.max_pool(b.concat({l, r}), 2, 2), 2));
  const GraphPlan plan = analyze(graph, {8, 8, 8});
  const ScaleGroups groups(graph);
  ScaleCosts costs;
  costs.weight.resize(graph.nodes.size());
  costs.activation.resize(graph.nodes.size());
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (is_linear(graph.nodes[i].op)) costs.weight[i] = parabola(-6);
    if (i == 0 || plan.tensors[i].requantize) costs.activation[i] = parabola(static_cast<int>(i) == r ? -6 : -4);
  }
  const Scales s = solve_scales(graph, plan, groups, costs, 1);
  EXPECT_EQ(s.activation[static_cast<std::size_t>(l)], s.activation[static_cast<std::size_t>(r)]);
  EXPECT_NEAR(std::log2(s.activation[static_cast<std::size_t>(l)]), -5, 0.1);
}

}  // namespace
}  // namespace eqo::quant
