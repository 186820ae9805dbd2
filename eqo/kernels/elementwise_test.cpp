#include "eqo/kernels/elementwise.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace eqo {
namespace {

__extension__ typedef __int128 Wide;

// Floor division by a power of two of a signed number, without shifts of negative numbers.
std::int64_t floor_div(std::int64_t x, unsigned s) {
  const Wide d = Wide{1} << s;
  const Wide q = Wide{x} / d;
  return static_cast<std::int64_t>(Wide{x} % d < 0 ? q - 1 : q);
}

std::vector<Word> interesting(Ring ring, std::mt19937_64& rng) {
  const Word half = Word{1} << (ring.bits() - 1);
  std::vector<Word> v{0, 1, 2, half - 1, half, half + 1, ~Word{0}, ~Word{0} - 1};
  for (int i = 0; i < 200; ++i) v.push_back(rng());
  for (Word& w : v) w = ring.reduce(w);
  return v;
}

TEST(Elementwise, MatchesTheDefinitionsOnNumbers) {
  std::mt19937_64 rng(1);
  for (unsigned l = 1; l <= 64; ++l) {
    const Ring ring(l);
    for (const Word x : interesting(ring, rng)) {
      const std::int64_t v = ring.to_signed(x);
      ASSERT_EQ(relu_plain(ring, x), v > 0 ? x : 0) << l;
      for (unsigned s = 0; s < l; ++s) {
        ASSERT_EQ(ring.to_signed(truncate_plain(ring, x, s)), floor_div(v, s)) << l << " " << s;
        ASSERT_EQ(truncate_unsigned_plain(ring, x, s), static_cast<Word>(Wide{x} / (Wide{1} << s)));
        const Ring small(l - s);
        ASSERT_EQ(truncate_reduce_plain(ring, x, s), small.from_signed(floor_div(v, s)));
      }
      for (unsigned s = 0; s < l; s += 1 + l / 5)
        for (unsigned to = 1; to <= 64; to += 3) {
          ASSERT_EQ(requantize_plain(ring, Ring(to), s, false, x), Ring(to).from_signed(floor_div(v, s)));
          ASSERT_EQ(requantize_plain(ring, Ring(to), s, true, x),
                    Ring(to).from_signed(floor_div(std::max<std::int64_t>(v, 0), s)));
        }
      for (unsigned to = l; to <= 64; ++to) {
        ASSERT_EQ(Ring(to).to_signed(extend_plain(ring, Ring(to), x)), v);
        ASSERT_EQ(extend_unsigned_plain(ring, Ring(to), x), x);
      }
    }
  }
}

TEST(Elementwise, MaximumAndOverflow) {
  for (unsigned l = 1; l <= 6; ++l) {
    const Ring ring(l);
    const std::int64_t bound = std::int64_t{1} << (l - 1);
    for (Word a = 0; a <= ring.mask(); ++a) {
      for (Word b = 0; b <= ring.mask(); ++b) {
        const std::int64_t d = ring.to_signed(a) - ring.to_signed(b);
        const bool overflow = d < -bound || d >= bound;
        ASSERT_EQ(difference_overflows(ring, a, b), overflow ? 1U : 0U) << l << " " << a << " " << b;
        // What the formula defines: b plus the positive part of the wrapped difference.
        const std::int64_t wrapped = ring.to_signed(ring.from_signed(d));
        ASSERT_EQ(max_plain(ring, a, b), ring.from_signed(ring.to_signed(b) + std::max<std::int64_t>(wrapped, 0)));
        if (!overflow) {
          ASSERT_EQ(ring.to_signed(max_plain(ring, a, b)), std::max(ring.to_signed(a), ring.to_signed(b)));
        }
      }
    }
  }
  EXPECT_EQ(difference_overflows(Ring(64), Word{1} << 63, 1), 1U);
  EXPECT_EQ(difference_overflows(Ring(64), Word{1} << 63, 0), 0U);
}

TEST(Elementwise, ClipIsExactForEveryValue) {
  for (unsigned l = 1; l <= 7; ++l) {
    const Ring ring(l);
    for (Word hi = 0; hi < (Word{1} << (l - 1)); ++hi) {
      for (Word x = 0; x <= ring.mask(); ++x) {
        const std::int64_t want = std::clamp<std::int64_t>(ring.to_signed(x), 0, static_cast<std::int64_t>(hi));
        ASSERT_EQ(clip_plain(ring, x, hi), ring.from_signed(want)) << l << " " << hi << " " << x;
      }
    }
  }
}

TEST(Elementwise, SpansMatchScalars) {
  std::mt19937_64 rng(2);
  for (const unsigned l : {1U, 2U, 7U, 8U, 31U, 32U, 63U, 64U}) {
    const Ring ring(l);
    const std::vector<Word> x = interesting(ring, rng);
    const unsigned s = l / 2;
    const Ring to(std::min(64U, l + 3));
    const Word hi = (ring.mask() >> 1) / 3;
    const auto check = [&](auto in_place, auto scalar) {
      std::vector<Word> y = x;
      in_place(std::span(y));
      for (std::size_t i = 0; i < x.size(); ++i) ASSERT_EQ(y[i], scalar(x[i])) << l;
    };
    check([&](std::span<Word> y) { relu_plain(ring, y); }, [&](Word v) { return relu_plain(ring, v); });
    check([&](std::span<Word> y) { truncate_plain(ring, y, s); }, [&](Word v) { return truncate_plain(ring, v, s); });
    check([&](std::span<Word> y) { truncate_unsigned_plain(ring, y, s); }, [&](Word v) { return v >> s; });
    check([&](std::span<Word> y) { truncate_reduce_plain(ring, y, s); }, [&](Word v) { return v >> s; });
    check([&](std::span<Word> y) { extend_plain(ring, to, y); }, [&](Word v) { return extend_plain(ring, to, v); });
    for (const bool relu : {false, true})
      check([&](std::span<Word> y) { requantize_plain(ring, to, s, relu, y); },
            [&](Word v) { return requantize_plain(ring, to, s, relu, v); });
    check([&](std::span<Word> y) { clip_plain(ring, y, hi); }, [&](Word v) { return clip_plain(ring, v, hi); });
  }
}

TEST(Elementwise, MaxTreeAndArgmaxFindTheMaximum) {
  const unsigned seed = std::random_device{}();
  std::mt19937_64 rng(seed);
  for (const unsigned l : {2U, 5U, 12U, 32U, 64U}) {
    const Ring ring(l);
    for (std::size_t k = 1; k <= 40; ++k) {
      const std::size_t n = 1 + rng() % 9;
      Words x(k * n);
      const std::int64_t quarter = std::int64_t{1} << (l - 2);
      // In range for one guard bit, from so few values that ties are common.
      for (Word& v : x)
        v = ring.from_signed(
            -quarter +
            static_cast<std::int64_t>(rng() % std::min<std::uint64_t>(5, 2 * static_cast<std::uint64_t>(quarter))));
      std::uint64_t overflows = 0;
      const Words max = max_tree_plain(ring, x, k, n, &overflows);
      const Words arg = argmax_plain(ring, x, k, n, &overflows);
      ASSERT_EQ(overflows, 0U);
      for (std::size_t i = 0; i < n; ++i) {
        std::size_t best = 0;
        for (std::size_t j = 1; j < k; ++j)
          if (ring.to_signed(x[j * n + i]) > ring.to_signed(x[best * n + i])) best = j;
        ASSERT_EQ(arg[i], best) << "seed " << seed << " k " << k;
        ASSERT_EQ(max[i], x[best * n + i]) << "seed " << seed << " k " << k;
      }
    }
  }
}

TEST(Elementwise, TheTreesOrderAndWrapAreFixed) {
  const Ring ring(4);
  // Pairs (7, -8) and (3): 7 - -8 wraps to -1, so -8 stays; then -8 against 3: -11 wraps to 5, 3 + 5 = 8 = -8.
  const Words x{7, ring.from_signed(-8), 3};
  std::uint64_t overflows = 0;
  EXPECT_THAT(max_tree_plain(ring, x, 3, 1, &overflows), testing::ElementsAre(ring.from_signed(-8)));
  EXPECT_EQ(overflows, 2U);
  overflows = 10;
  // -8 wins over 7 by the wrapped difference, and -8 - 3 wraps to 5: the first stays.
  EXPECT_THAT(argmax_plain(ring, x, 3, 1, &overflows), testing::ElementsAre(1));
  EXPECT_EQ(overflows, 12U);
}

TEST(Elementwise, RejectsBadArguments) {
  Words x(6);
  EXPECT_THROW(truncate_plain(Ring(4), x, 4), Error);
  EXPECT_THROW(truncate_reduce_plain(Ring(4), x, 4), Error);
  EXPECT_THROW(truncate_unsigned_plain(Ring(4), x, 64), Error);
  EXPECT_THROW(requantize_plain(Ring(4), Ring(9), 4, true, x), Error);
  EXPECT_THROW(extend_plain(Ring(4), Ring(3), x), Error);
  EXPECT_THROW(clip_plain(Ring(4), x, 8), Error);
  EXPECT_THROW(max_tree_plain(Ring(4), x, 0, 6), Error);
  EXPECT_THROW(max_tree_plain(Ring(4), x, 4, 1), Error);
  EXPECT_THROW(argmax_plain(Ring(4), x, 4, 1), Error);
  EXPECT_THROW(argmax_plain(Ring(4), Words(4097), 4097, 1), Error);
  EXPECT_TRUE(max_tree_plain(Ring(4), {}, 3, 0).empty());
}

TEST(Elementwise, IndexBits) {
  EXPECT_EQ(index_bits(1), 1U);
  EXPECT_EQ(index_bits(2), 1U);
  EXPECT_EQ(index_bits(3), 2U);
  EXPECT_EQ(index_bits(1000), 10U);
  EXPECT_EQ(index_bits(1024), 10U);
  EXPECT_EQ(index_bits(1025), 11U);
  EXPECT_EQ(index_bits(4096), 12U);
}

}  // namespace
}  // namespace eqo
