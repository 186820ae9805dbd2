#include "eqo/kernels/layout.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "eqo/core/error.h"

namespace eqo {
namespace {

Words counting(std::size_t n) {
  Words x(n);
  std::iota(x.begin(), x.end(), Word{1});
  return x;
}

Word at(const Words& x, const Shape& s, std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) {
  return x[static_cast<std::size_t>(((n * s.c + c) * s.h + h) * s.w + w)];
}

TEST(Layout, SliceTakesEveryStepAndDirection) {
  const Shape in{5, 6, 7};
  const Words x = counting(2 * 210);
  const Slices s{{{1, 2, 2}, {5, -1, 6}, {0, 3, 3}}};
  const Shape out = slice_shape(in, s);
  ASSERT_EQ(out, (Shape{2, 6, 3}));
  const Words y = slice(in, s, 2, x);
  for (std::int64_t n = 0; n < 2; ++n)
    for (std::int64_t c = 0; c < 2; ++c)
      for (std::int64_t i = 0; i < 6; ++i)
        for (std::int64_t j = 0; j < 3; ++j) ASSERT_EQ(at(y, out, n, c, i, j), at(x, in, n, 1 + 2 * c, 5 - i, 3 * j));
}

TEST(Layout, SliceRefusesWhatReachesOutside) {
  const Shape in{5, 6, 7};
  const Slices all{{{0, 1, 5}, {0, 1, 6}, {0, 1, 7}}};
  EXPECT_EQ(slice(in, all, 1, counting(210)), counting(210));
  EXPECT_THROW(slice(in, all, 1, counting(209)), Error);
  for (const Slice bad : {Slice{0, 1, 6}, Slice{-1, 1, 1}, Slice{5, 1, 1}, Slice{0, 2, 4}, Slice{3, -2, 3},
                          Slice{0, 1, 0}, Slice{0, std::int64_t{1} << 62, 3}}) {
    Slices s = all;
    s[0] = bad;
    EXPECT_THROW(slice_shape(in, s), Error) << bad.start << " " << bad.step << " " << bad.count;
  }
}

TEST(Layout, PadAddsAndCrops) {
  const Shape in{2, 3, 4};
  const Words x = counting(3 * 24);
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    std::mt19937_64 rng(seed);
    Margins m;
    for (Margin& a : m) a = {static_cast<std::int64_t>(rng() % 5) - 2, static_cast<std::int64_t>(rng() % 5) - 2};
    Shape out;
    try {
      out = pad_shape(in, m);
    } catch (const Error&) {
      continue;
    }
    const Words y = pad(in, m, 3, x, 99);
    ASSERT_EQ(y.size(), static_cast<std::size_t>(3 * out.size()));
    for (std::int64_t n = 0; n < 3; ++n)
      for (std::int64_t c = 0; c < out.c; ++c)
        for (std::int64_t i = 0; i < out.h; ++i)
          for (std::int64_t j = 0; j < out.w; ++j) {
            const std::int64_t ic = c - m[0].before, ii = i - m[1].before, ij = j - m[2].before;
            const bool inside = ic >= 0 && ic < in.c && ii >= 0 && ii < in.h && ij >= 0 && ij < in.w;
            ASSERT_EQ(at(y, out, n, c, i, j), inside ? at(x, in, n, ic, ii, ij) : 99) << "seed " << seed;
          }
  }
  EXPECT_THROW(pad_shape(in, {{{-2, 0}, {0, 0}, {0, 0}}}), Error) << "empty";
  EXPECT_THROW(pad_shape(in, {{{0, 0}, {INT64_MAX, 0}, {0, 0}}}), Error);
  EXPECT_THROW(pad_shape(in, {{{0, 0}, {0, INT64_MIN}, {0, 0}}}), Error);
}

TEST(Layout, ConcatAlongChannels) {
  const std::vector<Shape> shapes{{1, 2, 2}, {3, 2, 2}};
  const Words a = counting(2 * 4), b = counting(2 * 12);
  const std::vector<std::span<const Word>> x{a, b};
  const Shape out = concat_shape(shapes);
  ASSERT_EQ(out, (Shape{4, 2, 2}));
  const Words y = concat(shapes, 2, x);
  for (std::int64_t n = 0; n < 2; ++n)
    for (std::int64_t c = 0; c < 4; ++c)
      for (std::int64_t i = 0; i < 4; ++i)
        ASSERT_EQ(at(y, out, n, c, i / 2, i % 2),
                  c == 0 ? at(a, shapes[0], n, 0, i / 2, i % 2) : at(b, shapes[1], n, c - 1, i / 2, i % 2));
  EXPECT_THROW(concat_shape(std::vector<Shape>{{1, 2, 2}, {1, 2, 3}}), Error);
  EXPECT_THROW(concat_shape({}), Error);
  EXPECT_THROW(concat(shapes, 1, x), Error);
  EXPECT_THROW(concat(shapes, 2, std::vector<std::span<const Word>>{a}), Error);
}

}  // namespace
}  // namespace eqo
