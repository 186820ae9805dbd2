#include "eqo/kernels/pooling.h"

#include <gtest/gtest.h>

#include <random>

#include "eqo/core/error.h"

namespace eqo {
namespace {

TEST(Pooling, SumsAndWindowsEqualTheDefinition) {
  int done = 0;
  for (std::uint64_t seed = 1; done < 200; ++seed) {
    std::mt19937_64 rng(seed);
    auto pick = [&](std::int64_t lo, std::int64_t hi) {
      return lo + static_cast<std::int64_t>(rng() % static_cast<std::uint64_t>(hi - lo + 1));
    };
    const Shape in{pick(1, 4), pick(1, 9), pick(1, 9)};
    const Window w{pick(1, 4), pick(1, 4), pick(1, 3), pick(1, 3), pick(0, 2),
                   pick(0, 2), pick(0, 2), pick(0, 2), pick(1, 2), pick(1, 2)};
    try {
      check_pool(in, w);
    } catch (const Error&) {
      continue;
    }
    ++done;
    const Ring ring(static_cast<unsigned>(pick(1, 64)));
    const auto batch = pick(1, 2);
    Words x(static_cast<std::size_t>(batch * in.size()));
    for (Word& v : x) v = ring.reduce(rng());
    const Word fill = ring.reduce(rng());
    ThreadPool threads(1 + static_cast<unsigned>(done % 2));
    const Words sums = sum_pool(in, w, static_cast<std::size_t>(batch), ring, x, threads);
    const Words windows = gather_windows(in, w, static_cast<std::size_t>(batch), x, fill);
    const Shape out = pool_shape(in, w);
    ASSERT_EQ(sums.size(), static_cast<std::size_t>(batch * out.size()));
    ASSERT_EQ(windows.size(), sums.size() * static_cast<std::size_t>(w.kernel_h * w.kernel_w));
    std::size_t at = 0;
    for (std::int64_t plane = 0; plane < batch * in.c; ++plane)
      for (std::int64_t oy = 0; oy < out.h; ++oy)
        for (std::int64_t ox = 0; ox < out.w; ++ox, ++at) {
          Word sum = 0;
          for (std::int64_t i = 0; i < w.kernel_h; ++i)
            for (std::int64_t j = 0; j < w.kernel_w; ++j) {
              const std::int64_t y = oy * w.stride_h + i * w.dilation_h - w.pad_top;
              const std::int64_t xx = ox * w.stride_w + j * w.dilation_w - w.pad_left;
              const bool inside = y >= 0 && y < in.h && xx >= 0 && xx < in.w;
              const Word v = inside ? x[static_cast<std::size_t>((plane * in.h + y) * in.w + xx)] : fill;
              if (inside) sum += v;
              ASSERT_EQ(windows[static_cast<std::size_t>(i * w.kernel_w + j) * sums.size() + at], v) << "seed " << seed;
            }
          ASSERT_EQ(sums[at], ring.reduce(sum)) << "seed " << seed;
        }
  }
}

TEST(Pooling, RefusesImpossibleWindows) {
  const Shape in{3, 8, 8};
  EXPECT_NO_THROW(check_pool(in, {2, 2, 2, 2}));
  EXPECT_THROW(check_pool(in, {9, 2, 2, 2}), Error);
  EXPECT_THROW(check_pool(in, {2, 2, 0, 2}), Error);
  EXPECT_THROW(check_pool(in, {2, 2, 1, 1, -1}), Error);
  EXPECT_THROW(check_pool({0, 8, 8}, {2, 2, 1, 1}), Error);
  EXPECT_THROW(check_pool({1 << 20, 1 << 20, 1 << 20}, {2, 2, 1, 1}), Error);
  EXPECT_THROW(check_pool(in, {std::int64_t{1} << 62, 2, 1, 1}), Error);
  ThreadPool threads(1);
  EXPECT_THROW(sum_pool(in, {2, 2, 2, 2}, 1, Ring(8), Words(191), threads), Error);
  EXPECT_THROW(gather_windows(in, {2, 2, 2, 2}, 2, Words(192), 0), Error);
}

}  // namespace
}  // namespace eqo
