#include "eqo/train/quant_net.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <ostream>
#include <random>
#include <string>

#include "eqo/core/error.h"
#include "eqo/model/quantize.h"
#include "eqo/model/twin.h"
#include "eqo/model/types.h"
#include "eqo/quantizer/quantizer.h"
#include "eqo/quantizer/test_nets.h"

namespace eqo {
namespace {

using testing::NetBuilder;
using testing::test_images;

constexpr std::size_t kImages = 24;

FloatGraph plain_net() {
  NetBuilder b({3, 9, 7}, 3);  // odd: the last tiles stand over
  int x = b.relu(b.conv3(0, 6));
  x = b.relu(b.conv3(x, 5));
  return b.finish(b.linear(b.global_pool(b.relu(b.conv3(x, 8, 2))), 4));
}

FloatGraph residual_net() {
  NetBuilder b({3, 8, 8}, 4);
  const int x = b.relu(b.conv3(0, 6));
  const int y = b.relu(b.add(b.conv3(b.relu(b.conv3(x, 6)), 6), x));
  const int z = b.relu(b.add(b.conv3(b.relu(b.conv3(y, 12, 2)), 12), b.option_a(y)));
  return b.finish(b.linear(b.global_pool(z), 5));
}

FloatGraph downsampling_net() {
  NetBuilder b({3, 8, 8}, 5);
  const int x = b.max_pool(b.relu(b.conv3(0, 6)), 3, 2, 1);
  const int y = b.relu(b.add(b.conv3(x, 8), b.conv1(x, 8)));
  const int pooled = b.max_pool(b.concat({y, b.relu(b.conv1(x, 4))}), 2, 2);
  return b.finish(b.linear(b.avg_pool(pooled, 2, 2), 4));
}

FloatGraph clipped_net() {
  NetBuilder b({3, 8, 8}, 6);
  const int x = b.clip(b.conv3(0, 6), 0, 2);
  const int y = b.clip(b.conv(x, 6, NetBuilder::square(3, 1, 1), 6), 0, 2);
  return b.finish(b.linear(b.avg_pool(b.relu(b.conv1(y, 8)), 3, 2, 1), 4));
}

struct Case {
  std::string name;
  std::function<FloatGraph()> make;
  unsigned weights = 2, activations = 6;
  ConvChoice conv = ConvChoice::kAuto;
  AccumulatorRule rule = AccumulatorRule::kCalibration;
  friend void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }
};

std::vector<std::vector<std::int64_t>> twin_logits(const Model& model, const std::vector<float>& images) {
  const Twin twin(model);
  const auto one = static_cast<std::size_t>(model.plan.preprocess.shape.size());
  std::vector<std::vector<std::int64_t>> all;
  for (std::size_t i = 0; i * one < images.size(); ++i)
    all.push_back(twin.run(quantize_image(model.plan, std::span(images).subspan(i * one, one))).logits);
  return all;
}

std::vector<std::vector<std::int64_t>> net_logits(const QuantNet& net, const std::vector<float>& images,
                                                  std::size_t count) {
  const std::vector<std::int64_t> flat = net.logits(images, count);
  const std::size_t classes = flat.size() / count;
  std::vector<std::vector<std::int64_t>> all;
  for (std::size_t i = 0; i < count; ++i)
    all.emplace_back(flat.begin() + static_cast<std::ptrdiff_t>(i * classes),
                     flat.begin() + static_cast<std::ptrdiff_t>((i + 1) * classes));
  return all;
}

QuantizeOptions options_for(const Case& c, const FloatGraph& graph) {
  QuantizeOptions o;
  o.weights_bits = c.weights;
  o.activation_bits = c.activations;
  o.conv = c.conv;
  o.accumulators = c.rule;
  // Certain ranges are far wider than seen ones, and have to stay below what float32 counts exactly.
  if (c.rule != AccumulatorRule::kCalibration) o.edge_bits = 4;
  o.preprocess.shape = graph.input_shape();
  return o;
}

std::vector<std::int32_t> random_labels(std::size_t n, std::int64_t classes, std::uint32_t seed) {
  std::mt19937 rng(seed);
  std::vector<std::int32_t> labels;
  for (std::size_t i = 0; i < n; ++i)
    labels.push_back(static_cast<std::int32_t>(rng() % static_cast<std::uint32_t>(classes)));
  return labels;
}

class Imitation : public ::testing::TestWithParam<Case> {};

// The trained program, the exported model and the model before it agree to the bit, before and after training.
TEST_P(Imitation, HasTheTwinsLogits) {
  const Case& c = GetParam();
  const FloatGraph graph = c.make();
  const std::vector<float> images = test_images(graph.input_shape(), kImages, 11);
  const std::vector<float> others = test_images(graph.input_shape(), kImages, 12);
  const std::vector<std::int32_t> labels = random_labels(kImages, graph.output_shape().size(), 1);
  QuantizeOptions options = options_for(c, graph);
  const Model plain = quantize(graph, images, kImages, options);
  // Two-bit weights have other levels when they are tuned; wider ones begin as they are without it.
  options.tuner = [](const quant::TuneProblem& problem, const quant::TuneBuild&) {
    return QuantNet(problem, {}).tuned();
  };
  const Model before = quantize(graph, images, kImages, options);
  if (c.weights > 2) {
    EXPECT_EQ(twin_logits(before, others), twin_logits(plain, others));
  }
  bool changed = false;
  std::vector<std::vector<std::int64_t>> trained;
  quant::Tuned result;
  quant::TuneProblem seen;
  options.tuner = [&](const quant::TuneProblem& problem, const quant::TuneBuild& build) {
    seen = problem;
    QuantNetOptions o;
    o.threads = 2;
    QuantNet net(problem, o);
    EXPECT_EQ(net_logits(net, others, kImages), twin_logits(before, others));
    EXPECT_EQ(twin_logits(build(net.tuned()), others), twin_logits(before, others));
    for (int i = 0; i < 12; ++i) net.step(images, labels, 5e-3, 5e-3);
    trained = net_logits(net, others, kImages);
    changed = trained != twin_logits(before, others);
    result = net.tuned();
    return result;
  };
  const Model after = quantize(graph, images, kImages, options);
  EXPECT_NO_THROW(validate(after));
  EXPECT_TRUE(changed);
  EXPECT_EQ(trained, twin_logits(after, others));

  // Scales moved, within a group all by one factor, so that their ratios are the powers of two that they were.
  EXPECT_TRUE(std::any_of(result.factor.begin(), result.factor.end(), [](double f) { return f != 1; }));
  for (std::size_t g = 0; g < result.factor.size(); ++g) EXPECT_TRUE(!seen.fixed_group[g] || result.factor[g] == 1);
  EXPECT_DOUBLE_EQ(after.plan.output_scale, before.plan.output_scale * result.factor[seen.output_group]);
  EXPECT_EQ(after.plan.input_scale, before.plan.input_scale);
  for (const quant::TuneLayer& l : seen.layers) {
    const auto& conv = seen.nodes[static_cast<std::size_t>(l.draft_node)];
    const auto find = [&](const Model& m) {
      for (std::size_t i = 0; i < m.plan.nodes.size(); ++i)
        if (m.plan.nodes[i].op == Op::kConv && m.plan.nodes[i].layer == conv.node.layer) return i;
      return m.plan.nodes.size();
    };
    const std::size_t a = find(after), b = find(before);
    EXPECT_EQ(after.plan.nodes[a].codes, before.plan.nodes[b].codes);
    EXPECT_NEAR(after.secrets[a].scale, before.secrets[b].scale * result.factor[l.out_group],
                1e-12 * after.secrets[a].scale);
  }
}

INSTANTIATE_TEST_SUITE_P(Nets, Imitation,
                         ::testing::Values(Case{"plain_winograd", plain_net, 2, 6, ConvChoice::kWinograd},
                                           Case{"plain_direct", plain_net, 3, 4, ConvChoice::kDirect},
                                           Case{"residual_w2", residual_net, 2, 6, ConvChoice::kWinograd},
                                           Case{"residual_w8", residual_net, 8, 8, ConvChoice::kAuto},
                                           Case{"residual_w1", residual_net, 1, 4, ConvChoice::kAuto},
                                           Case{"residual_proven", residual_net, 4, 6, ConvChoice::kAuto,
                                                AccumulatorRule::kWeights},
                                           Case{"downsampling", downsampling_net, 4, 6, ConvChoice::kAuto},
                                           Case{"clipped", clipped_net, 4, 6, ConvChoice::kAuto}),
                         [](const auto& test) { return test.param.name; });

quant::TuneProblem problem_of(const FloatGraph& graph, const std::vector<float>& images, std::size_t count,
                              unsigned weights) {
  Case c;
  c.weights = weights;
  QuantizeOptions options = options_for(c, graph);
  options.conv = ConvChoice::kWinograd;
  quant::TuneProblem found;
  options.tuner = [&](const quant::TuneProblem& problem, const quant::TuneBuild&) {
    found = problem;
    return QuantNet(problem, {}).tuned();
  };
  quantize(graph, images, count, options);
  return found;
}

TEST(QuantNet, LearnsWhatTheFloatNetworkSays) {
  const FloatGraph graph = residual_net();
  const std::vector<float> images = test_images(graph.input_shape(), 64, 21);
  QuantNetOptions o;
  o.distillation = 1;
  QuantNet net(problem_of(graph, images, 64, 2), o);
  const std::vector<std::int32_t> labels = random_labels(64, 5, 2);
  const double first = net.step(images, labels, 0, 0).loss;
  double last = 0;
  for (int i = 80; i-- > 0;) last = net.step(images, labels, i * 4e-5, i * 1e-5).loss;
  // The teacher's own entropy is part of neither: kl_div is 0 for equal distributions.
  EXPECT_GE(last, 0);
  EXPECT_LT(last, 0.5 * first);
}

TEST(QuantNet, WidthsCanFallGradually) {
  const FloatGraph graph = residual_net();
  const std::vector<float> images = test_images(graph.input_shape(), 64, 25);
  const std::vector<std::int32_t> labels = random_labels(64, 5, 4);
  QuantNetOptions o;
  o.distillation = 1;
  QuantNet net(problem_of(graph, images, 64, 2), o);
  std::vector<double> loss;
  for (unsigned halvings = 0; halvings <= 3; ++halvings) loss.push_back(net.step(images, labels, 0, 0, halvings).loss);
  for (unsigned halvings = 1; halvings <= 3; ++halvings) EXPECT_NE(loss[halvings], loss[halvings - 1]);
  EXPECT_EQ(net.step(images, labels, 0, 0).loss, loss[0]);
  EXPECT_THROW(net.step(images, labels, 0, 0, 4), Error);
}

TEST(QuantNet, LearnsLabels) {
  const FloatGraph graph = residual_net();
  const std::vector<float> images = test_images(graph.input_shape(), 32, 22);
  QuantNetOptions o;
  o.distillation = 0;
  QuantNet net(problem_of(graph, images, 32, 2), o);
  const std::vector<std::int32_t> labels = random_labels(32, 5, 3);
  const double first = net.step(images, labels, 0, 0).loss;
  double last = 0;
  for (int i = 0; i < 120; ++i) last = net.step(images, labels, 5e-3, 1e-3).loss;
  EXPECT_LT(last, 0.7 * first);
}

TEST(QuantNet, StateIsEverythingThatAStepDependsOn) {
  const FloatGraph graph = plain_net();
  const std::vector<float> images = test_images(graph.input_shape(), 16, 23);
  const quant::TuneProblem problem = problem_of(graph, images, 16, 3);
  const std::vector<std::int32_t> labels = random_labels(16, 4, 4);
  QuantNet a(problem, {}), b(problem, {});
  for (int i = 0; i < 3; ++i) a.step(images, labels, 2e-3, 1e-3);
  b.set_state(a.state());
  EXPECT_EQ(a.state(), b.state());
  for (int i = 0; i < 3; ++i) {
    a.step(images, labels, 2e-3, 1e-3);
    b.step(images, labels, 2e-3, 1e-3);
  }
  EXPECT_EQ(a.state(), b.state());
  EXPECT_EQ(a.logits(images, 16), b.logits(images, 16));
}

// With the penalty the weights shrink until values are in the range; without it they do not.
TEST(QuantNet, PullsValuesBackIntoTheirRange) {
  const FloatGraph graph = plain_net();
  const std::vector<float> images = test_images(graph.input_shape(), 16, 24);
  quant::TuneProblem problem = problem_of(graph, images, 16, 4);
  const std::vector<std::int32_t> labels = random_labels(16, 4, 5);
  // As if calibration had seen an eighth of the range.
  for (quant::DraftNode& d : problem.nodes) {
    d.lo /= 8;
    d.hi /= 8;
  }
  const auto largest = [&](double penalty) {
    QuantNetOptions o;
    o.range_penalty = penalty;
    QuantNet net(problem, o);
    for (int i = 0; i < 60; ++i) net.step(images, labels, 0.02, 0);
    const quant::Tuned tuned = net.tuned();
    double sum = 0;  // of all weights' magnitudes in the first layer
    for (const std::int64_t v : tuned.layers.front().values) sum += std::abs(static_cast<double>(v));
    return sum;
  };
  EXPECT_LT(largest(100), 0.9 * largest(0));
}

TEST(QuantNet, RefusesWhatItCantDo) {
  const FloatGraph graph = plain_net();
  const std::vector<float> images = test_images(graph.input_shape(), 8, 25);
  quant::TuneProblem problem = problem_of(graph, images, 8, 4);
  QuantNet net(problem, {});
  EXPECT_THROW(net.step(images, std::vector<std::int32_t>(8, 4), 1e-3, 0), Error);
  EXPECT_THROW(net.step(images, std::vector<std::int32_t>(7, 0), 1e-3, 0), Error);
  EXPECT_THROW(net.set_state(std::vector<float>(3)), Error);
  EXPECT_THROW(QuantNet(problem, {.temperature = 0}), Error);
  EXPECT_THROW(QuantNet(problem, {.distillation = 1.5}), Error);
  EXPECT_THROW(QuantNet(problem, {.threads = 0}), Error);
  problem.nodes[1].hi = std::int64_t{1} << 23;
  EXPECT_THROW(QuantNet(problem, {}), Error);

  QuantizeOptions options = options_for({}, graph);
  options.disabled = {QuantPass::kResidual};
  options.tuner = [](const quant::TuneProblem& p, const quant::TuneBuild&) { return QuantNet(p, {}).tuned(); };
  EXPECT_THROW(quantize(graph, images, 8, options), Error);
}

}  // namespace
}  // namespace eqo
