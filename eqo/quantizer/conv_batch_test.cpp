#include "eqo/quantizer/conv_batch.h"

#include <gtest/gtest.h>

#include <random>

#include "eqo/core/error.h"
#include "eqo/core/thread_pool.h"
#include "eqo/quantizer/conv_range.h"
#include "eqo/quantizer/weight_quantizer.h"

namespace eqo::quant {
namespace {

IntBatch random_batch(const Shape& shape, std::size_t count, std::int64_t most, std::mt19937_64& random) {
  IntBatch x(shape, count);
  for (std::int64_t& v : x.data)
    v = static_cast<std::int64_t>(random() % (2 * static_cast<std::uint64_t>(most) + 1)) - most;
  return x;
}

// Straight from the definition.
std::int64_t conv_at(const IntBatch& x, std::size_t n, const ConvSpec& s, std::span<const std::int64_t> w,
                     std::int64_t k, std::int64_t y, std::int64_t z) {
  const std::int64_t per_group = x.shape.c / s.groups, group = k / (s.filters / s.groups);
  std::int64_t sum = 0;
  for (std::int64_t c = 0; c < per_group; ++c)
    for (std::int64_t i = 0; i < s.window.kernel_h; ++i)
      for (std::int64_t j = 0; j < s.window.kernel_w; ++j) {
        const std::int64_t r = y * s.window.stride_h - s.window.pad_top + i * s.window.dilation_h;
        const std::int64_t q = z * s.window.stride_w - s.window.pad_left + j * s.window.dilation_w;
        if (r < 0 || r >= x.shape.h || q < 0 || q >= x.shape.w) continue;
        sum += w[static_cast<std::size_t>(((k * per_group + c) * s.window.kernel_h + i) * s.window.kernel_w + j)] *
               x.image(n)[((group * per_group + c) * x.shape.h + r) * x.shape.w + q];
      }
  return sum;
}

TEST(ConvBatch, EqualsTheDefinition) {
  std::mt19937_64 random(11);
  ThreadPool pool(2);
  for (int trial = 0; trial < 60; ++trial) {
    const auto pick = [&](std::int64_t lo, std::int64_t hi) {
      return lo + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(hi - lo + 1));
    };
    ConvSpec s;
    s.groups = pick(1, 3);
    s.filters = s.groups * pick(1, 4);
    s.window = Window{.kernel_h = pick(1, 4),
                      .kernel_w = pick(1, 3),
                      .stride_h = pick(1, 2),
                      .stride_w = pick(1, 3),
                      .pad_top = pick(0, 2),
                      .pad_left = pick(0, 2),
                      .pad_bottom = pick(0, 1),
                      .pad_right = pick(0, 2),
                      .dilation_h = pick(1, 2),
                      .dilation_w = 1};
    const Shape shape{s.groups * pick(1, 3), pick(7, 9), pick(4, 20)};
    // Every third with sums beyond what float holds exactly.
    const std::int64_t most = trial % 3 == 0 ? 1 << 20 : 200;
    const IntBatch x = random_batch(shape, static_cast<std::size_t>(pick(1, 4)), most, random);
    const std::int64_t inner = shape.c / s.groups * s.window.kernel_h * s.window.kernel_w;
    std::vector<std::int64_t> w, bias;
    for (std::int64_t i = 0; i < s.filters * inner; ++i) w.push_back(pick(-128, 127));
    for (std::int64_t i = 0; i < s.filters; ++i) bias.push_back(pick(-1000, 1000));
    const IntBatch y = convolve(x, s, w, bias, pool);
    Node node;
    node.type.shape.c = s.filters;
    node.groups = s.groups;
    node.window = s.window;
    const auto [lo, hi] = conv_range(node, w, bias, shape, -most, most);
    for (std::size_t n = 0; n < x.count; ++n)
      for (std::int64_t k = 0; k < s.filters; ++k)
        for (std::int64_t r = 0; r < y.shape.h; ++r)
          for (std::int64_t c = 0; c < y.shape.w; ++c) {
            const std::int64_t v = y.image(n)[(k * y.shape.h + r) * y.shape.w + c];
            ASSERT_EQ(v, conv_at(x, n, s, w, k, r, c) + bias[static_cast<std::size_t>(k)]) << "trial " << trial;
            ASSERT_GE(v, lo);
            ASSERT_LE(v, hi);
          }
  }
}

TEST(ConvBatch, WinogradEqualsDirect) {
  std::mt19937_64 random(12);
  ThreadPool pool(2);
  for (const Shape shape : {Shape{3, 8, 8}, Shape{2, 7, 5}, Shape{1, 1, 1}, Shape{5, 3, 10}})
    for (const std::int64_t pad : {0, 1, 2}) {
      if (shape.h + 2 * pad < 3 || shape.w + 2 * pad < 3) continue;
      const Window window{
          .kernel_h = 3, .kernel_w = 3, .pad_top = pad, .pad_left = pad, .pad_bottom = pad, .pad_right = pad};
      const IntBatch x = random_batch(shape, 2, 200, random);
      const std::size_t filters = 3, channels = static_cast<std::size_t>(shape.c);
      // Multiples of four have integer transforms.
      std::vector<std::int64_t> w;
      for (std::size_t i = 0; i < filters * channels * 9; ++i)
        w.push_back(4 * (static_cast<std::int64_t>(random() % 64) - 32));
      const std::vector<float> u = winograd_weights(std::vector<float>(w.begin(), w.end()), filters, channels);
      const std::vector<std::int64_t> taps(u.begin(), u.end()), bias{1, -2, 3};
      const IntBatch direct = convolve(x, ConvSpec{window, 1, 3}, w, bias, pool);
      const IntBatch winograd = convolve_winograd(x, window, 3, taps, bias, pool);
      EXPECT_EQ(direct.shape, winograd.shape);
      EXPECT_EQ(direct.data, winograd.data);
      // The effective kernels bound it as tightly as the kernel itself.
      Node node;
      node.type.shape.c = 3;
      node.window = window;
      const auto range = conv_range(node, w, bias, shape, 0, 200);
      node.domain = ConvDomain::kWinograd;
      EXPECT_EQ(conv_range(node, taps, bias, shape, 0, 200), range);
    }
}

TEST(ConvBatch, RefusesSumsThatAreNotExact) {
  ThreadPool pool(1);
  IntBatch x(Shape{4, 1, 1}, 1);
  for (std::int64_t& v : x.data) v = std::int64_t{1} << 50;
  EXPECT_THROW(convolve(x, ConvSpec{Window{}, 1, 1}, std::vector<std::int64_t>{1, 2, 3, 4}, {}, pool), Error);
}

TEST(Pools, EqualTheDefinition) {
  std::mt19937_64 random(13);
  ThreadPool pool(1);
  const IntBatch x = random_batch({2, 5, 6}, 3, 50, random);
  const Window window{.kernel_h = 3,
                      .kernel_w = 2,
                      .stride_h = 2,
                      .stride_w = 1,
                      .pad_top = 1,
                      .pad_left = 0,
                      .pad_bottom = 1,
                      .pad_right = 1};
  const IntBatch sum = sum_pool_batch(x, window, pool), most = max_pool_batch<std::int64_t>(x, window, -99, pool);
  const ConvSpec ones{window, 2, 2};
  EXPECT_EQ(sum.data, convolve(x, ones, std::vector<std::int64_t>(12, 1), {}, pool).data);
  EXPECT_EQ(most.image(0)[0], std::max({x.image(0)[0], x.image(0)[1], x.image(0)[6], x.image(0)[7]}));
}

}  // namespace
}  // namespace eqo::quant
