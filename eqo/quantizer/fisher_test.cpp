#include "eqo/quantizer/fisher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "eqo/core/thread_pool.h"
#include "eqo/quantizer/float_stats.h"
#include "eqo/quantizer/graph_analysis.h"
#include "eqo/quantizer/logit_check.h"
#include "eqo/quantizer/quantizer.h"
#include "eqo/quantizer/test_nets.h"
#include "eqo/quantizer/weight_quantizer.h"

namespace eqo::quant {
namespace {

std::vector<FloatBatch> forward(const FloatGraph& graph, const FloatBatch& images, ThreadPool& pool) {
  std::vector<FloatBatch> values(graph.nodes.size());
  values[0] = images;
  for (std::size_t i = 1; i < graph.nodes.size(); ++i) {
    std::vector<const FloatBatch*> in;
    for (const int k : graph.nodes[i].inputs) in.push_back(&values[static_cast<std::size_t>(k)]);
    values[i] = run_float_node(graph.nodes[i], in, pool);
  }
  return values;
}

std::vector<float> logits_of(const FloatGraph& graph, const FloatBatch& images, ThreadPool& pool) {
  return forward(graph, images, pool)[static_cast<std::size_t>(graph.output)].data;
}

FloatBatch images_of(const FloatGraph& graph, std::size_t count) {
  FloatBatch images(graph.input_shape(), count);
  images.data = testing::test_images(graph.input_shape(), count, 8);
  return images;
}

std::vector<float> noise(std::size_t n, double deviation, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(0, deviation);
  std::vector<float> v(n);
  for (float& x : v) x = static_cast<float>(normal(random));
  return v;
}

// Half the mean squared change of the logits; `centered`: without what is the same for all images.
double half_square(const std::vector<float>& a, const std::vector<float>& b, std::size_t classes, bool centered) {
  const std::size_t images = a.size() / classes;
  double sum = 0;
  for (std::size_t k = 0; k < classes; ++k) {
    double mean = 0, squares = 0;
    for (std::size_t n = 0; n < images; ++n) {
      const double d = static_cast<double>(b[n * classes + k]) - a[n * classes + k];
      mean += d / static_cast<double>(images);
      squares += d * d / static_cast<double>(images);
    }
    sum += squares - (centered ? mean * mean : 0);
  }
  return sum / 2;
}

FloatGraph small_net() {
  testing::NetBuilder b({3, 8, 8});
  return prepare_graph(b.finish(b.linear(b.global_pool(b.relu(b.conv3(b.relu(b.conv3(0, 6)), 8))), 5)));
}

std::vector<std::size_t> linear_nodes(const FloatGraph& graph) {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    if (is_linear(graph.nodes[i].op)) out.push_back(i);
  return out;
}

// Small errors of weights move the logits as much as it says, with all correlations, and the divergence too.
TEST(ErrorEffects, OfSmallErrorsAreWhatTheNetworkReallyDoes) {
  ThreadPool pool(2);
  const FloatGraph graph = small_net();
  const FloatBatch images = images_of(graph, 400);
  const std::vector<float> exact = logits_of(graph, images, pool);
  for (const std::size_t node : linear_nodes(graph)) {
    SCOPED_TRACE(node);
    FloatGraph changed = graph;
    QuantizationErrors errors;
    errors.weights.push_back({node, ConvDomain::kDirect, noise(graph.nodes[node].weight.size(), 3e-3, node)});
    for (std::size_t i = 0; i < changed.nodes[node].weight.size(); ++i)
      changed.nodes[node].weight[i] += errors.weights[0].error[i];
    const std::vector<float> moved = logits_of(changed, images, pool);
    const auto effect = [&](SensitivityMeasure measure) {
      return error_effects(graph, images, errors,
                           {.measure = measure, .seed = 3, .draws = 16, .centered = false, .free_scale = false}, pool)
          .weights.at(0);
    };
    const double square = half_square(exact, moved, 5, false);
    EXPECT_NEAR(effect(SensitivityMeasure::kLogits), square, 0.1 * square);
    const std::vector<double> p(exact.begin(), exact.end()), q(moved.begin(), moved.end());
    const double divergent = divergence(p, q, 5, kTemperature);
    EXPECT_NEAR(effect(SensitivityMeasure::kFisher), divergent, 0.15 * divergent);
  }
}

// What scales all logits alike is left out, and nothing else.
TEST(ErrorEffects, AreOfWhatNoScaleOfTheLogitsRepairs) {
  ThreadPool pool(2);
  const FloatGraph graph = small_net();
  const FloatBatch images = images_of(graph, 400);
  const std::vector<float> exact = logits_of(graph, images, pool);
  const std::size_t node = linear_nodes(graph).at(1);
  const EffectOptions options{.seed = 3, .draws = 16, .centered = false};
  FloatGraph changed = graph;
  QuantizationErrors errors;
  errors.weights.push_back({node, ConvDomain::kDirect, noise(graph.nodes[node].weight.size(), 3e-3, 7)});
  // Shrinks the logits, too.
  for (std::size_t i = 0; i < errors.weights[0].error.size(); ++i)
    errors.weights[0].error[i] -= 0.02F * graph.nodes[node].weight[i];
  for (std::size_t i = 0; i < changed.nodes[node].weight.size(); ++i)
    changed.nodes[node].weight[i] += errors.weights[0].error[i];
  const std::vector<float> moved = logits_of(changed, images, pool);
  const std::vector<double> p(exact.begin(), exact.end()), q(moved.begin(), moved.end());
  const double all = divergence(p, q, 5, kTemperature), rest = scaled_divergence(p, q, 5, kTemperature).divergence;
  EXPECT_LT(rest, 0.7 * all);
  EXPECT_NEAR(error_effects(graph, images, errors, options, pool).weights.at(0), rest, 0.15 * rest);

  // The last layer's weights and bias scale the logits and do nothing else; its bias is 0 here.
  testing::NetBuilder b({3, 8, 8});
  FloatGraph linear = prepare_graph(b.finish(b.linear(b.global_pool(b.relu(b.conv3(0, 6))), 5)));
  const std::size_t last = linear_nodes(linear).at(1);
  std::fill(linear.nodes[last].bias.begin(), linear.nodes[last].bias.end(), 0.0F);
  QuantizationErrors scaling;
  scaling.weights.push_back({last, ConvDomain::kDirect, {}});
  for (const float w : linear.nodes[last].weight) scaling.weights[0].error.push_back(0.1F * w);
  EffectOptions fixed = options;
  fixed.free_scale = false;
  const double effect = error_effects(linear, images, scaling, fixed, pool).weights.at(0);
  EXPECT_GT(effect, 0);
  EXPECT_LT(error_effects(linear, images, scaling, options, pool).weights.at(0), 1e-6 * effect);
}

// The next bias takes errors that all images share.
TEST(ErrorEffects, CenteredErrorsHaveNoMean) {
  ThreadPool pool(2);
  testing::NetBuilder b({4, 3, 3});
  const FloatGraph graph = prepare_graph(b.finish(b.linear(0, 6)));
  const std::size_t node = linear_nodes(graph).at(0);
  FloatBatch images = images_of(graph, 500);
  for (float& v : images.data) v += 1;
  FloatGraph changed = graph;
  QuantizationErrors errors;
  errors.weights.push_back({node, ConvDomain::kDirect, noise(graph.nodes[node].weight.size(), 0.1, 4)});
  for (std::size_t i = 0; i < changed.nodes[node].weight.size(); ++i)
    changed.nodes[node].weight[i] += errors.weights[0].error[i];
  const std::vector<float> exact = logits_of(graph, images, pool), moved = logits_of(changed, images, pool);
  for (const bool centered : {false, true}) {
    const double expected = half_square(exact, moved, 6, centered);
    EXPECT_NEAR(
        error_effects(
            graph, images, errors,
            {.measure = SensitivityMeasure::kLogits, .seed = 2, .draws = 16, .centered = centered, .free_scale = false},
            pool)
            .weights.at(0),
        expected, 0.1 * expected);
  }
  EXPECT_LT(half_square(exact, moved, 6, true), 0.8 * half_square(exact, moved, 6, false));
}

// An error that the Winograd domain can express is the same there.
TEST(ErrorEffects, AreTheSameInBothDomains) {
  ThreadPool pool(2);
  const FloatGraph graph = small_net();
  const std::size_t node = linear_nodes(graph).at(1);
  const auto filters = static_cast<std::size_t>(graph.nodes[node].shape.c);
  const std::vector<float> e = noise(graph.nodes[node].weight.size(), 0.05, 6);
  QuantizationErrors errors;
  errors.weights.push_back({node, ConvDomain::kDirect, e});
  errors.weights.push_back({node, ConvDomain::kWinograd, winograd_weights(e, filters, e.size() / filters / 9)});
  const ErrorEffects effects = error_effects(graph, images_of(graph, 21), errors, {}, pool);
  EXPECT_GT(effects.weights[0], 0);
  EXPECT_NEAR(effects.weights[1], effects.weights[0], 1e-3 * effects.weights[0]);
}

TEST(ErrorEffects, OfRoundedActivations) {
  ThreadPool pool(2);
  testing::NetBuilder b({4, 4, 4});
  const int relu = b.relu(b.conv3(0, 6));
  const FloatGraph graph = prepare_graph(b.finish(b.linear(relu, 5)));
  const FloatBatch images = images_of(graph, 300);
  std::size_t node = 0;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    if (graph.nodes[i].op == FloatOp::kRelu) node = i;
  std::vector<FloatBatch> values = forward(graph, images, pool);
  const std::vector<float> exact = values[static_cast<std::size_t>(graph.output)].data;
  for (const double step : {0.3, 0.05}) {
    std::vector<FloatBatch> rounded = values;
    for (float& v : rounded[node].data)
      v = static_cast<float>(std::clamp(std::nearbyint(static_cast<double>(v) / step), 0.0, 15.0) * step);
    for (std::size_t i = node + 1; i < graph.nodes.size(); ++i)
      rounded[i] = run_float_node(graph.nodes[i], {&rounded[static_cast<std::size_t>(graph.nodes[i].inputs[0])]}, pool);
    const double expected = half_square(exact, rounded[static_cast<std::size_t>(graph.output)].data, 5, false);
    QuantizationErrors errors;
    errors.activations.push_back({{{node, step, 0, 15}}});
    EXPECT_NEAR(
        error_effects(
            graph, images, errors,
            {.measure = SensitivityMeasure::kLogits, .seed = 5, .draws = 16, .centered = false, .free_scale = false},
            pool)
            .activations.at(0),
        expected, 0.1 * expected);
  }
}

TEST(ErrorEffects, AreTheSameForAnyNumberOfThreads) {
  const FloatGraph graph = small_net();
  const FloatBatch images = images_of(graph, 21);
  QuantizationErrors errors;
  for (const std::size_t node : linear_nodes(graph))
    errors.weights.push_back({node, ConvDomain::kDirect, noise(graph.nodes[node].weight.size(), 0.1, node)});
  errors.activations.push_back({{{2, 0.1, 0, 15}}});
  ThreadPool one(1), three(3);
  const ErrorEffects a = error_effects(graph, images, errors, {.seed = 9}, one),
                     c = error_effects(graph, images, errors, {.seed = 9}, three);
  EXPECT_EQ(a.weights, c.weights);
  EXPECT_EQ(a.activations, c.activations);
  EXPECT_NE(a.weights, error_effects(graph, images, errors, {.seed = 10}, one).weights);
}

TEST(Divergence, IsThatOfTheSoftmax) {
  const std::vector<double> p{0, std::log(3.0)}, q{0, 0};
  EXPECT_NEAR(divergence(p, q, 2, 1), 0.25 * std::log(0.5) + 0.75 * std::log(1.5), 1e-12);
  EXPECT_NEAR(divergence(p, p, 2, 1), 0, 1e-12);
  // A constant changes nothing; temperature halves the logits.
  const std::vector<double> shifted{7, 7 + 2 * std::log(3.0)};
  EXPECT_NEAR(divergence(shifted, q, 2, 2), divergence(p, q, 2, 1), 1e-12);
  EXPECT_THROW(divergence(p, {}, 2, 1), std::exception);
}

TEST(Divergence, AtTheBestScale) {
  std::mt19937_64 random(4);
  std::normal_distribution<double> normal(0, 3);
  std::vector<double> p(200), q(200);
  for (std::size_t i = 0; i < p.size(); ++i) {
    p[i] = normal(random);
    q[i] = p[i] / 1.7;
  }
  const ScaledDivergence exact = scaled_divergence(p, q, 10, 4);
  EXPECT_NEAR(exact.scale, 1.7, 1e-6);
  EXPECT_NEAR(exact.divergence, 0, 1e-9);
  for (double& v : q) v += normal(random) / 3;
  const ScaledDivergence best = scaled_divergence(p, q, 10, 4);
  EXPECT_GT(best.divergence, 1e-3);
  for (const double s : {kLeastScale, 1.0, best.scale / 1.01, best.scale * 1.01, 1 / kLeastScale}) {
    std::vector<double> scaled = q;
    for (double& v : scaled) v *= s;
    EXPECT_LT(best.divergence, divergence(p, scaled, 10, 4)) << s;
  }
  // Logits that say the opposite are best as small as may be.
  for (std::size_t i = 0; i < p.size(); ++i) q[i] = -p[i];
  EXPECT_NEAR(scaled_divergence(p, q, 10, 4).scale, kLeastScale, 1e-6);
  EXPECT_THROW(scaled_divergence(p, {}, 10, 4), std::exception);
}

TEST(LogitCheck, WiderIsNearer) {
  ThreadPool one(1), two(2);
  const FloatGraph graph = small_net();
  const FloatBatch images = images_of(graph, 60);
  const LogitCheck check(graph, images, two), again(graph, images, one);
  double before = 1e9;
  for (const unsigned bits : {2U, 4U, 8U}) {
    QuantizeOptions options;
    options.weights_bits = options.activation_bits = options.edge_bits = bits;
    const Model model = quantize(graph, testing::test_images(graph.input_shape(), 32, 5), 32, options);
    const LogitCheck::Result r = check(model);
    EXPECT_LT(r.divergence, before);
    EXPECT_EQ(r.divergence, again(model).divergence);
    before = r.divergence;
    EXPECT_LE(r.agreement, 1 + 1e-9);
    if (bits == 8) {
      EXPECT_GT(r.agreement, 0.9);
    }
  }
}

}  // namespace
}  // namespace eqo::quant
