#include "eqo/importer/float_eval.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <future>
#include <random>

#include "eqo/core/error.h"
#include "eqo/importer/graph_builder.h"
#include "eqo/importer/zoo.h"

namespace eqo {
namespace {

using Rng = std::mt19937;

std::int64_t pick(Rng& rng, std::int64_t lo, std::int64_t hi) {
  return std::uniform_int_distribution<std::int64_t>(lo, hi)(rng);
}
std::vector<float> numbers(Rng& rng, std::int64_t count) {
  std::vector<float> v(static_cast<std::size_t>(count));
  for (float& x : v) x = std::uniform_real_distribution<float>(-1, 1)(rng);
  return v;
}
Window random_window(Rng& rng, const Shape& in) {
  Window w;
  w.kernel_h = pick(rng, 1, 4);
  w.kernel_w = pick(rng, 1, 4);
  w.dilation_h = pick(rng, 1, 2);
  w.dilation_w = pick(rng, 1, 2);
  w.stride_h = pick(rng, 1, 3);
  w.stride_w = pick(rng, 1, 3);
  w.pad_top = pick(rng, 0, w.kernel_h - 1);
  w.pad_left = pick(rng, 0, w.kernel_w - 1);
  w.pad_bottom = std::max(pick(rng, 0, w.kernel_h - 1), w.dilation_h * (w.kernel_h - 1) + 1 - in.h - w.pad_top);
  w.pad_right = std::max(pick(rng, 0, w.kernel_w - 1), w.dilation_w * (w.kernel_w - 1) + 1 - in.w - w.pad_left);
  return w;
}

// The definition, one output at a time, in double.
double conv_at(const FloatNode& n, const Shape& in, const std::vector<float>& x, std::int64_t k, std::int64_t oy,
               std::int64_t ox) {
  const std::int64_t channels = in.c / n.groups;
  const std::int64_t group = k / (n.shape.c / n.groups);
  double sum = n.bias.empty() ? 0 : static_cast<double>(n.bias[static_cast<std::size_t>(k)]);
  std::size_t w = static_cast<std::size_t>(k * channels * n.window.kernel_h * n.window.kernel_w);
  for (std::int64_t c = 0; c < channels; ++c) {
    for (std::int64_t ky = 0; ky < n.window.kernel_h; ++ky) {
      for (std::int64_t kx = 0; kx < n.window.kernel_w; ++kx, ++w) {
        const std::int64_t y = oy * n.window.stride_h + ky * n.window.dilation_h - n.window.pad_top;
        const std::int64_t z = ox * n.window.stride_w + kx * n.window.dilation_w - n.window.pad_left;
        if (y < 0 || y >= in.h || z < 0 || z >= in.w) continue;
        const auto at = static_cast<std::size_t>(((group * channels + c) * in.h + y) * in.w + z);
        sum += static_cast<double>(n.weight[w]) * static_cast<double>(x[at]);
      }
    }
  }
  return sum;
}

TEST(FloatEval, ConvolutionIsItsDefinition) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Rng rng(seed);
    FloatNode n;
    n.op = FloatOp::kConv;
    n.name = "c";
    n.inputs = {0};
    n.groups = pick(rng, 1, 3);
    const Shape in{n.groups * pick(rng, 1, 3), pick(rng, 1, 12), pick(rng, 1, 40)};
    const std::int64_t filters = n.groups * pick(rng, 1, 12);
    n.window = seed % 5 == 0 ? Window{} : random_window(rng, in);
    n.weight = numbers(rng, filters * in.c / n.groups * n.window.kernel_h * n.window.kernel_w);
    if (seed % 2 == 0) n.bias = numbers(rng, filters);
    GraphBuilder b("g", "x", in);
    const FloatGraph g = b.finish(b.add(n));
    const auto x = numbers(rng, in.size());
    const auto y = FloatEvaluator(g).logits(x);
    const Shape out = g.output_shape();
    ASSERT_EQ(static_cast<std::int64_t>(y.size()), out.size());
    std::size_t next = 0;
    for (std::int64_t k = 0; k < out.c; ++k) {
      for (std::int64_t i = 0; i < out.h; ++i) {
        for (std::int64_t j = 0; j < out.w; ++j) {
          ASSERT_NEAR(y[next++], conv_at(g.nodes[1], in, x, k, i, j), 1e-4) << k << " " << i << " " << j;
        }
      }
    }
  }
}

TEST(FloatEval, PoolingIsItsDefinition) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Rng rng(seed);
    const Shape in{pick(rng, 1, 3), pick(rng, 4, 12), pick(rng, 4, 12)};
    Window w = random_window(rng, in);
    w.dilation_h = w.dilation_w = 1;
    const bool max = seed % 3 == 0;
    const bool include = seed % 3 == 1;
    GraphBuilder b("g", "x", in);
    const FloatGraph g = b.finish(b.pool(max ? FloatOp::kMaxPool : FloatOp::kAvgPool, "p", 0, w, include));
    const auto x = numbers(rng, in.size());
    const auto y = FloatEvaluator(g).logits(x);
    const Shape out = g.output_shape();
    std::size_t next = 0;
    for (std::int64_t o = 0; o < out.size(); ++o) {
      const std::int64_t c = o / (out.h * out.w);
      const std::int64_t top = o / out.w % out.h * w.stride_h - w.pad_top;
      const std::int64_t left = o % out.w * w.stride_w - w.pad_left;
      std::vector<double> seen;
      for (std::int64_t i = std::max<std::int64_t>(top, 0); i < std::min(top + w.kernel_h, in.h); ++i) {
        for (std::int64_t j = std::max<std::int64_t>(left, 0); j < std::min(left + w.kernel_w, in.w); ++j) {
          seen.push_back(static_cast<double>(x[static_cast<std::size_t>((c * in.h + i) * in.w + j)]));
        }
      }
      ASSERT_FALSE(seen.empty());
      double want = 0;
      for (const double v : seen)
        want += v / static_cast<double>(include ? w.kernel_h * w.kernel_w : static_cast<std::int64_t>(seen.size()));
      if (max) want = *std::max_element(seen.begin(), seen.end());
      ASSERT_NEAR(y[next++], want, 1e-5) << o;
    }
  }
}

TEST(FloatEval, LinearIsItsDefinition) {
  for (const std::int64_t inputs : {1, 15, 16, 17, 100}) {
    Rng rng(static_cast<unsigned>(inputs));
    FloatNode n;
    n.op = FloatOp::kLinear;
    n.name = "l";
    n.inputs = {0};
    n.weight = numbers(rng, 7 * inputs);
    n.bias = numbers(rng, 7);
    GraphBuilder b("g", "x", {inputs, 1, 1});
    const FloatGraph g = b.finish(b.add(n));
    const auto x = numbers(rng, inputs);
    const auto y = FloatEvaluator(g).logits(x);
    for (std::size_t k = 0; k < 7; ++k) {
      double want = static_cast<double>(n.bias[k]);
      for (std::size_t i = 0; i < x.size(); ++i)
        want += static_cast<double>(n.weight[k * x.size() + i]) * static_cast<double>(x[i]);
      EXPECT_NEAR(y[k], want, 1e-5);
    }
  }
}

TEST(FloatEval, ElementwiseAndMoves) {
  GraphBuilder b("g", "x", {2, 2, 3});
  FloatNode clip;
  clip.op = FloatOp::kClip;
  clip.name = "clip";
  clip.inputs = {0};
  clip.clip_hi = 6;
  const int c = b.add(clip);
  const int r = b.add(FloatOp::kRelu, "relu", {0});
  const int a = b.add(FloatOp::kAdd, "add", {c, r});
  const int s = b.slice("slice", a, {1, 0, 0}, {1, 1, 2}, {1, 2, 2});
  const int p = b.pad("pad", s, {1, 1, 0}, {0, 0, 1});
  const int k = b.add(FloatOp::kConcat, "concat", {p, p});
  const FloatGraph g = b.finish(b.reshape("flat", k, {36, 1, 1}));
  const std::vector<float> x = {-1, 2, 3, 4, 5, 6, 7, 8, 9, -10, 11, 12};
  const std::vector<float> half = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 13, 15, 0, 0, 18, 0};
  std::vector<float> want = half;
  want.insert(want.end(), half.begin(), half.end());
  EXPECT_EQ(FloatEvaluator(g).logits(x), want);
}

TEST(FloatEval, ObserverSeesEveryNodeAndThreadsAgree) {
  const FloatEvaluator e(make_zoo("resnet20"));
  Rng rng(5);
  const auto x = numbers(rng, 3 * 32 * 32);
  std::vector<int> seen;
  std::vector<float> last;
  e.run(x, [&](int node, std::span<const float> values) {
    seen.push_back(node);
    EXPECT_EQ(static_cast<std::int64_t>(values.size()), e.graph().nodes[static_cast<std::size_t>(node)].shape.size());
    last.assign(values.begin(), values.end());
  });
  EXPECT_EQ(seen.size(), e.graph().nodes.size());
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  const auto evaluate = [&] { return e.logits(x); };
  auto a = std::async(std::launch::async, evaluate);
  auto b = std::async(std::launch::async, evaluate);
  EXPECT_EQ(a.get(), last);
  EXPECT_EQ(b.get(), last);
}

TEST(FloatEval, RefusesAnImageOfTheWrongSize) {
  const FloatEvaluator e(make_zoo("resnet20"));
  try {
    e.logits(std::vector<float>(3071));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.category(), Category::kUsage);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("3x32x32"));
  }
}

}  // namespace
}  // namespace eqo
