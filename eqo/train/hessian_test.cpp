#include "eqo/train/hessian.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "eqo/core/error.h"
#include "eqo/importer/float_eval.h"
#include "eqo/net/testing/expect_error.h"
#include "eqo/quantizer/test_nets.h"
#include "eqo/train/quant_ops.h"
#include "eqo/train/tap_convolution.h"

namespace eqo {
namespace {

using testing::NetBuilder;
using testing::test_images;

std::vector<double> softmax(const std::vector<double>& logits, double temperature) {
  double sum = 0;
  std::vector<double> p;
  for (const double v : logits) sum += p.emplace_back(std::exp(v / temperature));
  for (double& v : p) v /= sum;
  return p;
}

TEST(TapConvolution, IsWinogradsConvolution) {
  std::mt19937 rng(3);
  for (const auto& [h, w, c, k, pad] : {std::tuple{8, 8, 3, 5, 1}, {7, 5, 4, 2, 1}, {6, 9, 1, 3, 0}}) {
    const at::Tensor x = at::empty({2, c, h, w}, at::kFloat), u = at::empty({16, k * c}, at::kFloat),
                     bias = at::empty({k}, at::kFloat);
    for (const at::Tensor& t : {x, u, bias})
      for (std::int64_t i = 0; i < t.numel(); ++i)
        t.data_ptr<float>()[i] = static_cast<float>(static_cast<int>(rng() % 15) - 7);
    const Window window{3, 3, 1, 1, pad, pad, pad, pad};
    EXPECT_TRUE(at::equal(tap_convolution(x, u, bias, window).contiguous(),
                          winograd_convolution(x, u, bias, window).contiguous()))
        << h << 'x' << w;
  }
}

// One linear layer: the Hessian is (diag(p) - p p^T) / T^2 times x x^T, averaged over the images.
TEST(Hessian, OfOneLinearLayerIsKnown) {
  NetBuilder b({6, 1, 1});
  const FloatGraph graph = b.finish(b.linear(0, 4));
  constexpr std::size_t kImages = 20;
  constexpr double kTemperature = 2;
  const std::vector<float> images = test_images(graph.input_shape(), kImages, 5);
  double trace = 0;
  for (std::size_t i = 0; i < kImages; ++i) {
    const std::vector<float> x(images.begin() + static_cast<std::ptrdiff_t>(6 * i),
                               images.begin() + static_cast<std::ptrdiff_t>(6 * (i + 1)));
    const std::vector<float> logits = FloatEvaluator(graph).logits(x);
    double squares = 0, spread = 0;
    for (const float v : x) squares += static_cast<double>(v) * static_cast<double>(v);
    for (const double p : softmax({logits.begin(), logits.end()}, kTemperature)) spread += p * (1 - p);
    trace += squares * spread / (kTemperature * kTemperature);
  }
  const auto found = hessian_traces(graph, images, kImages, {.temperature = kTemperature, .probes = 3000, .seed = 1});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_NEAR(found[0].direct / (trace / kImages / 24), 1, 0.05);
  EXPECT_EQ(found[0].winograd, 0);
}

// Against the divergence that moving one weight or one tap at a time makes.
TEST(Hessian, IsWhatMovingEveryWeightAloneDoes) {
  NetBuilder b({2, 6, 6});
  const int c1 = b.conv3(0, 3);
  const int c2 = b.conv3(b.relu(c1), 2);
  FloatGraph graph = b.finish(b.linear(b.global_pool(c2), 3));
  constexpr std::size_t kImages = 4;
  constexpr double kTemperature = 1, kMove = 0.02;
  const std::vector<float> images = test_images(graph.input_shape(), kImages, 9);
  const auto predictions = [&] {
    const FloatEvaluator evaluator(graph);
    std::vector<std::vector<double>> all;
    for (std::size_t i = 0; i < kImages; ++i) {
      const auto from = images.begin() + static_cast<std::ptrdiff_t>(72 * i);
      const std::vector<float> logits = evaluator.logits(std::vector<float>(from, from + 72));
      all.push_back(softmax({logits.begin(), logits.end()}, kTemperature));
    }
    return all;
  };
  const auto before = predictions();
  const auto found = hessian_traces(graph, images, kImages, {.temperature = kTemperature, .probes = 600, .seed = 2});
  ASSERT_EQ(found.size(), 3U);
  for (const HessianTrace& layer : found) {
    std::vector<float>& weights = graph.nodes[layer.node].weight;
    double sum = 0;
    for (float& w : weights) {
      const float kept = w;
      for (const double sign : {-1.0, 1.0}) {
        w = kept + static_cast<float>(sign * kMove);
        const auto after = predictions();
        for (std::size_t i = 0; i < kImages; ++i)
          for (std::size_t c = 0; c < 3; ++c) sum += before[i][c] * std::log(before[i][c] / after[i][c]) / kImages;
      }
      w = kept;
    }
    const double expected = sum / (kMove * kMove) / static_cast<double>(weights.size());  // two sides, a half each
    EXPECT_NEAR(layer.direct / expected, 1, 0.15) << graph.nodes[layer.node].name;
    if (graph.nodes[layer.node].op == FloatOp::kConv) {
      EXPECT_GT(layer.winograd, 0);
    }
  }
  const auto again = hessian_traces(graph, images, kImages, {.temperature = kTemperature, .probes = 600, .seed = 2});
  EXPECT_EQ(again[0].direct, found[0].direct);
}

TEST(Hessian, RefusesWhatItCannotDo) {
  NetBuilder b({6, 1, 1});
  const FloatGraph graph = b.finish(b.linear(0, 4));
  const std::vector<float> images(12, 1.0F);
  EQO_EXPECT_ERROR(hessian_traces(graph, images, 3, {}), Category::kUsage, "do not match");
  EQO_EXPECT_ERROR(hessian_traces(graph, images, 2, {.probes = 0}), Category::kUsage, "probes");
  EQO_EXPECT_ERROR(hessian_traces(graph, images, 2, {.temperature = 0}), Category::kUsage, "temperature");
}

}  // namespace
}  // namespace eqo
