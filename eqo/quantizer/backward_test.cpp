#include "eqo/quantizer/backward.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "eqo/core/thread_pool.h"
#include "eqo/quantizer/float_stats.h"
#include "eqo/quantizer/graph_analysis.h"
#include "eqo/quantizer/test_nets.h"
#include "eqo/quantizer/weight_quantizer.h"

namespace eqo::quant {
namespace {

constexpr std::size_t kImages = 2;

std::vector<FloatBatch> forward(const FloatGraph& graph, const FloatBatch& images, ThreadPool& pool) {
  std::vector<FloatBatch> values(graph.nodes.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::vector<const FloatBatch*> in;
    for (const int k : graph.nodes[i].inputs) in.push_back(&values[static_cast<std::size_t>(k)]);
    values[i] = i == 0 ? images : run_float_node(graph.nodes[i], in, pool);
  }
  return values;
}

double dot(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

class Gradients : public ::testing::TestWithParam<testing::NamedNet> {};

// The reverse pass is the transpose of the forward one: with y' what a small step along v changes, <g, y'> = <g', v>.
TEST_P(Gradients, AreThoseOfSmallSteps) {
  ThreadPool pool(2);
  const FloatGraph graph = prepare_graph(GetParam().make());
  FloatBatch images(graph.input_shape(), kImages);
  images.data = testing::test_images(graph.input_shape(), kImages, 3);
  const std::vector<FloatBatch> values = forward(graph, images, pool);
  std::mt19937_64 random(4);
  std::normal_distribution<float> normal;
  constexpr float kStep = 1e-3F;
  for (std::size_t i = 1; i < graph.nodes.size(); ++i) {
    const FloatNode& node = graph.nodes[i];
    SCOPED_TRACE(node.name);
    FloatBatch gradient(values[i].shape, kImages);
    for (float& g : gradient.data) g = normal(random);
    std::vector<FloatBatch> in, plus, minus, into;
    for (const int k : node.inputs) {
      in.push_back(values[static_cast<std::size_t>(k)]);
      into.emplace_back(in.back().shape, kImages);
      // Noise, so that no two values tie in a maximum, and none near the kinks of ReLU and clipping.
      for (float& v : in.back().data) {
        v += 0.3F * normal(random);
        for (const float kink : {0.0F, node.clip_lo, node.clip_hi})
          if (std::abs(v - kink) < 0.02F) v = kink + 0.05F;
      }
    }
    std::vector<std::vector<float>> step;
    plus = minus = in;
    for (std::size_t k = 0; k < in.size(); ++k) {
      step.emplace_back(in[k].data.size());
      for (std::size_t j = 0; j < step[k].size(); ++j) {
        step[k][j] = normal(random);
        plus[k].data[j] += kStep * step[k][j];
        minus[k].data[j] -= kStep * step[k][j];
      }
    }
    const auto pointers = [](auto& batches) {
      std::vector<std::remove_reference_t<decltype(batches[0])>*> p;
      for (auto& b : batches) p.push_back(&b);
      return p;
    };
    const std::vector<FloatBatch>& const_in = in;
    const auto in_pointers = pointers(const_in);
    const auto into_pointers = pointers(into);
    const auto run = [&](const std::vector<FloatBatch>& x) { return run_float_node(node, pointers(x), pool); };
    backpropagate(node, in_pointers, run(in), gradient, into_pointers, pool);
    double expected = 0, size = 0;
    const FloatBatch up = run(plus), down = run(minus);
    for (std::size_t j = 0; j < up.data.size(); ++j) {
      const double change = static_cast<double>(gradient.data[j]) * (up.data[j] - down.data[j]) / (2 * kStep);
      expected += change;
      size += std::abs(change);
    }
    double found = 0;
    for (std::size_t k = 0; k < in.size(); ++k) found += dot(into[k].data, step[k]);
    // The small step changes few maxima.
    EXPECT_NEAR(found, expected, 0.02 * size + 1e-3);
  }
}

TEST_P(Gradients, AtWeightsInBothDomains) {
  ThreadPool pool(1);
  const FloatGraph graph = prepare_graph(GetParam().make());
  FloatBatch images(graph.input_shape(), kImages);
  images.data = testing::test_images(graph.input_shape(), kImages, 6);
  const std::vector<FloatBatch> values = forward(graph, images, pool);
  std::mt19937_64 random(7);
  std::normal_distribution<float> normal;
  for (std::size_t i = 1; i < graph.nodes.size(); ++i) {
    FloatNode node = graph.nodes[i];
    if (!is_linear(node.op)) continue;
    SCOPED_TRACE(node.name);
    const FloatBatch& x = values[static_cast<std::size_t>(node.inputs[0])];
    FloatBatch gradient(values[i].shape, kImages);
    for (float& g : gradient.data) g = normal(random);
    // Linear in the weights, so any step is small enough; the bias cancels.
    std::vector<float> step(node.weight.size());
    for (float& s : step) s = normal(random);
    for (std::size_t j = 0; j < step.size(); ++j) node.weight[j] += step[j];
    const FloatBatch moved = run_float_node(node, {&x}, pool);
    for (std::size_t n = 0; n < kImages; ++n) {
      double expected = 0, size = 0;
      for (std::size_t j = 0; j < moved.stride(); ++j) {
        const double change = static_cast<double>(gradient.image(n)[j]) * (moved.image(n)[j] - values[i].image(n)[j]);
        expected += change;
        size += std::abs(change);
      }
      EXPECT_NEAR(dot(weight_gradient(node, x, gradient, n), step), expected, 1e-4 * size);
      if (!winograd_possible(node)) continue;
      const auto filters = static_cast<std::size_t>(node.shape.c);
      const std::vector<float> u = winograd_weights(step, filters, step.size() / filters / 9);
      EXPECT_NEAR(dot(winograd_gradient(node, x, gradient, n), u), expected, 1e-4 * size);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Gradients, ::testing::ValuesIn(testing::structure_nets()),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace eqo::quant
