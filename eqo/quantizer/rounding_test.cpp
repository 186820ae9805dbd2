#include "eqo/quantizer/rounding.h"

#include <gtest/gtest.h>

#include <random>

#include "eqo/core/thread_pool.h"
#include "eqo/quantizer/conv_batch.h"

namespace eqo::quant {
namespace {

// Non-negative inputs whose channels and neighbours are correlated, as behind a ReLU.
IntBatch smooth_input(const Shape& shape, std::size_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(0, 30);
  IntBatch x(shape, count);
  for (std::size_t n = 0; n < count; ++n) {
    const double level = normal(random);
    for (std::int64_t c = 0; c < shape.c; ++c) {
      const double own = normal(random);
      for (std::int64_t i = 0; i < shape.h * shape.w; ++i)
        x.image(n)[c * shape.h * shape.w + i] = std::max(0LL, std::llrint(30 + level + own + 0.5 * normal(random)));
    }
  }
  return x;
}

// Variance of the output's error, with the exact weights' output as the reference.
double output_error(const FloatNode& node, const LinearWeights& w, const IntBatch& x, const QuantizedWeights& q,
                    double step, ThreadPool& pool) {
  constexpr double kFine = 1 << 20;
  std::vector<std::int64_t> fine;
  for (const float v : w.values) fine.push_back(std::llrint(v * kFine));
  const Window window = node.window;
  const auto filters = static_cast<std::int64_t>(w.filters);
  const bool winograd = w.taps > 1;
  const ConvSpec spec{window, node.groups, filters};
  const IntBatch exact =
      winograd ? convolve_winograd(x, window, filters, fine, {}, pool) : convolve(x, spec, fine, {}, pool);
  const IntBatch rounded =
      winograd ? convolve_winograd(x, window, filters, q.value, {}, pool) : convolve(x, spec, q.value, {}, pool);
  double total = 0;
  const std::size_t plane = exact.stride() / w.filters;
  for (std::size_t k = 0; k < w.filters; ++k) {
    double sum = 0, squares = 0;
    for (std::size_t n = 0; n < x.count; ++n)
      for (std::size_t i = 0; i < plane; ++i) {
        const std::size_t at = k * plane + i;
        const double d =
            static_cast<double>(rounded.image(n)[at]) * step - static_cast<double>(exact.image(n)[at]) / kFine;
        sum += d;
        squares += d * d;
      }
    const auto count = static_cast<double>(plane * x.count);
    total += squares / count - sum / count * (sum / count);
  }
  return total;
}

TEST(Rounding, MakesUpForErrorsOfCorrelatedInputs) {
  ThreadPool pool(2);
  for (const bool winograd : {false, true})
    for (const std::int64_t groups : {1, 2}) {
      if (winograd && groups > 1) continue;
      FloatNode node;
      node.op = FloatOp::kConv;
      node.groups = groups;
      node.window = Window{.kernel_h = 3, .kernel_w = 3, .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1};
      const std::size_t channels = 8, filters = 6;
      node.shape = {6, 10, 10};
      std::mt19937_64 random(4);
      std::normal_distribution<double> normal(0, 1);
      std::vector<float> weight;
      for (std::size_t i = 0; i < filters * channels / static_cast<std::size_t>(groups) * 9; ++i)
        weight.push_back(static_cast<float>(normal(random)));
      LinearWeights w;
      w.filters = filters;
      w.taps = winograd ? 16 : 1;
      w.groups = static_cast<std::size_t>(groups);
      w.inner = winograd ? channels : channels / w.groups * 9;
      w.values = winograd ? winograd_weights(weight, filters, channels) : weight;
      w.importance.assign(w.taps * w.groups * w.inner, 1.0);
      const IntBatch x = smooth_input({8, 10, 10}, 64, 9);
      const double step = 0.6;
      const QuantizedWeights nearest = quantize_weights(w, 3, step);
      QuantizedWeights better = nearest;
      compensate_rounding(node, w, x, step, true, pool, better);
      const double before = output_error(node, w, x, nearest, step, pool);
      const double after = output_error(node, w, x, better, step, pool);
      EXPECT_LT(after, 0.7 * before) << (winograd ? "Winograd" : "direct") << " groups " << groups;
      EXPECT_EQ(better.codes, nearest.codes);
      for (std::size_t j = 0; j < better.value.size(); ++j)
        ASSERT_EQ(better.codes[j / (filters * w.inner)].value(better.code[j]), better.value[j]);
    }
}

TEST(Rounding, DeadInputsLeaveTheWeightsAlone) {
  ThreadPool pool(1);
  FloatNode node;
  node.op = FloatOp::kLinear;
  node.shape = {3, 1, 1};
  LinearWeights w;
  w.filters = 3;
  w.inner = 5;
  w.values = {1, 2, 3, 4, 5, -1, -2, -3, -4, -5, 0, 1, 0, 1, 0};
  w.importance.assign(5, 1.0);
  const QuantizedWeights nearest = quantize_weights(w, 4, 0.8);
  QuantizedWeights same = nearest;
  compensate_rounding(node, w, IntBatch(Shape{5, 1, 1}, 10), 0.8, true, pool, same);
  EXPECT_EQ(same.code, nearest.code);
}

}  // namespace
}  // namespace eqo::quant
