#include "eqo/kernels/convolution.h"

#include <gtest/gtest.h>
#include <hwy/highway.h>

#include <algorithm>
#include <array>
#include <random>
#include <sstream>

#include "eqo/core/error.h"

namespace eqo {
namespace {

using Rng = std::mt19937_64;

std::int64_t pick(Rng& rng, std::int64_t lo, std::int64_t hi) {
  return lo + static_cast<std::int64_t>(rng() % static_cast<std::uint64_t>(hi - lo + 1));
}

Words random_words(Rng& rng, std::size_t n, Ring ring) {
  Words out(n);
  for (Word& w : out) w = ring.reduce(rng());
  return out;
}

WeightCode random_format(Rng& rng) {
  WeightCode f;
  const auto bits = pick(rng, 1, 8);
  for (std::int64_t i = 0; i < bits; ++i) {
    f.exponents.push_back(static_cast<std::uint8_t>(pick(rng, 0, 12)));
    f.signs.push_back(rng() % 2 == 0 ? std::int8_t{1} : std::int8_t{-1});
  }
  std::sort(f.exponents.begin(), f.exponents.end());
  f.offset = pick(rng, -50, 50);
  f.shift = static_cast<std::uint8_t>(pick(rng, 0, 3));
  return f;
}

ConvWeights random_weights(Rng& rng, const ConvShape& s) {
  ConvWeights w;
  const std::size_t formats = rng() % 2 == 0 ? 1 : s.products();
  for (std::size_t p = 0; p < formats; ++p) w.formats.push_back(random_format(rng));
  w.codes.resize(s.weights());
  for (std::size_t i = 0; i < w.codes.size(); ++i)
    w.codes[i] = static_cast<std::uint16_t>(rng() & ((1U << w.format(i / (s.rows() * s.inner())).bits()) - 1));
  w.validate(s);
  return w;
}

ConvShape random_direct(Rng& rng) {
  ConvShape s;
  s.groups = pick(rng, 1, 3);
  s.in = {s.groups * pick(rng, 1, 4), pick(rng, 1, 12), pick(rng, 1, 12)};
  s.out_channels = s.groups * pick(rng, 1, 5);
  if (rng() % 4 == 0) s.out_channels = s.groups = s.in.c;  // depthwise
  s.window = {pick(rng, 1, 5), pick(rng, 1, 5), pick(rng, 1, 3), pick(rng, 1, 3), pick(rng, 0, 4),
              pick(rng, 0, 4), pick(rng, 0, 4), pick(rng, 0, 4), pick(rng, 1, 3), pick(rng, 1, 3)};
  return s;
}

bool fits(const ConvShape& s) {
  try {
    check(s);
  } catch (const Error&) {
    return false;
  }
  return true;
}

// Seven nested loops over the definition, all modulo 2^64. `value(g, k, c, i, j)` is the weight.
template <typename F>
Words naive(const ConvShape& s, Ring ring, std::size_t batch, const Words& bias, const Words& x, F value) {
  const Shape out = s.out();
  const Window& w = s.window;
  const std::int64_t cg = s.in.c / s.groups, kg = s.out_channels / s.groups;
  Words y;
  for (std::size_t n = 0; n < batch; ++n)
    for (std::int64_t k = 0; k < out.c; ++k)
      for (std::int64_t oy = 0; oy < out.h; ++oy)
        for (std::int64_t ox = 0; ox < out.w; ++ox) {
          Word sum = bias.empty() ? 0 : bias[static_cast<std::size_t>(k)];
          for (std::int64_t c = 0; c < cg; ++c)
            for (std::int64_t i = 0; i < w.kernel_h; ++i)
              for (std::int64_t j = 0; j < w.kernel_w; ++j) {
                const std::int64_t iy = oy * w.stride_h + i * w.dilation_h - w.pad_top;
                const std::int64_t ix = ox * w.stride_w + j * w.dilation_w - w.pad_left;
                if (iy < 0 || iy >= s.in.h || ix < 0 || ix >= s.in.w) continue;
                const std::int64_t channel = k / kg * cg + c;
                const std::int64_t at = ((static_cast<std::int64_t>(n) * s.in.c + channel) * s.in.h + iy) * s.in.w + ix;
                sum += static_cast<Word>(value(k, c, i, j)) * x[static_cast<std::size_t>(at)];
              }
          y.push_back(ring.reduce(sum));
        }
  return y;
}

std::string describe(const ConvShape& s, std::uint64_t seed) {
  const Window& w = s.window;
  std::ostringstream text;
  text << "seed " << seed << " in " << s.in.to_string() << " out " << s.out().to_string() << " groups " << s.groups
       << " window";
  for (const auto v : {w.kernel_h, w.kernel_w, w.stride_h, w.stride_w, w.pad_top, w.pad_left, w.pad_bottom, w.pad_right,
                       w.dilation_h, w.dilation_w})
    text << " " << v;
  return text.str();
}

TEST(Convolution, DirectEqualsTheDefinition) {
  int done = 0;
  for (std::uint64_t seed = 1; done < 300; ++seed) {
    Rng rng(seed);
    const ConvShape s = random_direct(rng);
    if (!fits(s)) continue;
    ++done;
    const Ring ring(static_cast<unsigned>(pick(rng, 1, 64)));
    const auto batch = static_cast<std::size_t>(pick(rng, 1, 3));
    const ConvWeights w = random_weights(rng, s);
    const Words bias = rng() % 2 == 0 ? Words{} : random_words(rng, static_cast<std::size_t>(s.out_channels), ring);
    const Words x = random_words(rng, batch * static_cast<std::size_t>(s.in.size()), ring);
    ThreadPool threads(1 + static_cast<unsigned>(done % 3));
    const Words y = conv_plain(s, ring, batch, decode_weights(s, w, ring), bias, x, threads);
    const Words want = naive(s, ring, batch, bias, x, [&](auto k, auto c, auto i, auto j) {
      const std::int64_t kg = s.out_channels / s.groups;
      const auto at = ((k * (s.in.c / s.groups) + c) * s.window.kernel_h + i) * s.window.kernel_w + j;
      return w.format(static_cast<std::size_t>(k / kg)).value(w.codes[static_cast<std::size_t>(at)]);
    });
    ASSERT_EQ(y, want) << describe(s, seed) << " l " << ring.bits();
  }
}

// With U = (2G) W (2G)^T, which is integer, the transformed convolution is four times the direct one.
void winograd_is_four_times_direct(std::uint64_t rounds) {
  constexpr std::array<std::array<int, 3>, 4> kTwoG{{{2, 0, 0}, {1, 1, 1}, {1, -1, 1}, {0, 0, 2}}};
  for (std::uint64_t seed = 1; seed <= rounds; ++seed) {
    Rng rng(seed);
    ConvShape s;
    s.in = {pick(rng, 1, 5), pick(rng, 1, 40), pick(rng, 1, 40)};
    s.out_channels = pick(rng, 1, 6);
    s.window = {3, 3, 1, 1, pick(rng, 0, 2), pick(rng, 0, 2), pick(rng, 0, 2), pick(rng, 0, 2), 1, 1};
    s.domain = ConvDomain::kWinograd;
    if (!fits(s)) continue;
    const Ring ring(static_cast<unsigned>(pick(rng, 1, 64)));
    const auto batch = static_cast<std::size_t>(pick(rng, 1, 3));
    std::vector<std::int64_t> w(static_cast<std::size_t>(s.out_channels * s.in.c * 9));
    for (auto& v : w) v = pick(rng, -128, 127);
    // 4 * (G w G^T) of an 8-bit kernel has at most 13 bits.
    ConvWeights u{std::vector<std::uint16_t>(s.weights()), {WeightCode::twos_complement(16)}};
    for (std::size_t kc = 0; kc < w.size() / 9; ++kc)
      for (std::size_t tap = 0; tap < 16; ++tap) {
        std::int64_t sum = 0;
        for (std::size_t i = 0; i < 3; ++i)
          for (std::size_t j = 0; j < 3; ++j) sum += kTwoG[tap / 4][i] * kTwoG[tap % 4][j] * w[kc * 9 + i * 3 + j];
        u.codes[tap * (w.size() / 9) + kc] = static_cast<std::uint16_t>(sum);
      }
    const Words x = random_words(rng, batch * static_cast<std::size_t>(s.in.size()), ring);
    ThreadPool threads(1 + static_cast<unsigned>(seed % 3));
    const Words y = conv_plain(s, ring, batch, decode_weights(s, u, ring), {}, x, threads);
    const Words want = naive(s, ring, batch, {}, x, [&](auto k, auto c, auto i, auto j) {
      return 4 * w[static_cast<std::size_t>(((k * s.in.c + c) * 3 + i) * 3 + j)];
    });
    ASSERT_EQ(y, want) << describe(s, seed) << " l " << ring.bits();
  }
}

TEST(Convolution, WinogradIsFourTimesDirect) { winograd_is_four_times_direct(300); }

TEST(Convolution, WinogradOnEveryInstructionSet) {
  const auto all = hwy::SupportedTargets();
  for (auto left = all; left != 0; left &= left - 1) {
    const auto target = left & -left;
    if ((HWY_TARGETS & target) == 0) continue;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    winograd_is_four_times_direct(30);
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

TEST(Convolution, WinogradTapsCarryTheirOwnFormat) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Rng rng(seed);
    ConvShape s{{3, pick(rng, 2, 9), pick(rng, 2, 9)}, 4, 1, {3, 3, 1, 1, 1, 1, 1, 1, 1, 1}, ConvDomain::kWinograd};
    const Ring ring(static_cast<unsigned>(pick(rng, 1, 64)));
    const ConvWeights w = random_weights(rng, s);
    // The same values as wide two's complement, modulo the ring.
    const DecodedWeights decoded = decode_weights(s, w, ring);
    for (std::size_t i = 0; i < w.codes.size(); ++i) {
      const Word want = ring.from_signed(w.format(i / 12).value(w.codes[i]));
      const Word got = std::visit([&](const auto& lanes) { return ring.reduce(lanes[i]); }, decoded);
      ASSERT_EQ(got, want) << "seed " << seed << " weight " << i;
    }
  }
}

TEST(Convolution, FullyConnectedIsAOneByOneWindow) {
  const ConvShape s{{5, 1, 1}, 3, 1, {}, ConvDomain::kDirect};
  check(s);
  EXPECT_EQ(s.weights(), 15U);
  EXPECT_EQ(s.cols(), 1U);
  Rng rng(7);
  const Ring ring(20);
  const ConvWeights w = random_weights(rng, s);
  const Words x = random_words(rng, 2 * 5, ring), bias = random_words(rng, 3, ring);
  ThreadPool threads(1);
  const Words y = conv_plain(s, ring, 2, decode_weights(s, w, ring), bias, x, threads);
  for (std::size_t n = 0; n < 2; ++n)
    for (std::size_t k = 0; k < 3; ++k) {
      Word sum = bias[k];
      for (std::size_t c = 0; c < 5; ++c)
        sum += static_cast<Word>(w.format(0).value(w.codes[k * 5 + c])) * x[n * 5 + c];
      EXPECT_EQ(y[n * 3 + k], ring.reduce(sum));
    }
}

TEST(Convolution, CountsProductsAndBits) {
  ConvShape s{{16, 7, 9}, 32, 1, {3, 3, 1, 1, 1, 1, 1, 1, 1, 1}, ConvDomain::kDirect};
  EXPECT_EQ(s.macs(), 32U * 144 * 63);
  ASSERT_TRUE(winograd_applies(s));
  s.domain = ConvDomain::kWinograd;
  EXPECT_EQ(s.products(), 16U);
  EXPECT_EQ(s.cols(), 4U * 5);
  EXPECT_EQ(s.macs(), 16U * 32 * 16 * 20);
  ConvWeights w{std::vector<std::uint16_t>(s.weights()), {WeightCode::twos_complement(3)}};
  EXPECT_EQ(w.bits(s), 3U * 16 * 32 * 16);
}

TEST(Convolution, RefusesImpossibleLayers) {
  auto refused = [](const ConvShape& s) {
    try {
      check(s);
    } catch (const Error& e) {
      return e.category() == Category::kModel;
    }
    return false;
  };
  const ConvShape good{{4, 8, 8}, 6, 2, {3, 3, 1, 1, 1, 1, 1, 1, 1, 1}, ConvDomain::kDirect};
  ASSERT_FALSE(refused(good));
  auto with = [&](auto change) {
    ConvShape s = good;
    change(s);
    return refused(s);
  };
  EXPECT_TRUE(with([](ConvShape& s) { s.groups = 3; }));
  EXPECT_TRUE(with([](ConvShape& s) { s.groups = 0; }));
  EXPECT_TRUE(with([](ConvShape& s) { s.in.h = 0; }));
  EXPECT_TRUE(with([](ConvShape& s) { s.in.c = -4; }));
  EXPECT_TRUE(with([](ConvShape& s) { s.window.kernel_h = 11; }));
  EXPECT_TRUE(with([](ConvShape& s) { s.window.dilation_w = 5; }));
  EXPECT_TRUE(with([](ConvShape& s) { s.window.pad_left = -1; }));
  EXPECT_TRUE(with([](ConvShape& s) { s.window.stride_h = 0; }));
  EXPECT_TRUE(with([](ConvShape& s) { s.in = {1 << 20, 1 << 20, 1 << 20}; }));
  EXPECT_TRUE(with([](ConvShape& s) { s.in.c = std::int64_t{1} << 62; }));
  EXPECT_TRUE(with([](ConvShape& s) { s.window.pad_top = std::int64_t{1} << 62; }));
  EXPECT_TRUE(with([](ConvShape& s) { s.domain = ConvDomain::kWinograd; })) << "groups";
  EXPECT_TRUE(with([](ConvShape& s) {
    s.groups = 1;
    s.domain = ConvDomain::kWinograd;
    s.window.stride_w = 2;
  }));
}

TEST(Convolution, RefusesWeightsThatDoNotFit) {
  const ConvShape s{{4, 8, 8}, 6, 2, {3, 3, 1, 1, 1, 1, 1, 1, 1, 1}, ConvDomain::kDirect};
  const ConvWeights good{std::vector<std::uint16_t>(6 * 2 * 9, 3), {WeightCode::twos_complement(2)}};
  EXPECT_NO_THROW(good.validate(s));
  ConvWeights w = good;
  w.codes.pop_back();
  EXPECT_THROW(w.validate(s), Error);
  w = good;
  w.codes[17] = 4;
  EXPECT_THROW(w.validate(s), Error) << "wider than the format";
  w = good;
  w.formats.resize(3, w.formats[0]);
  EXPECT_THROW(w.validate(s), Error);
  ThreadPool threads(1);
  EXPECT_THROW(conv_plain(s, Ring(40), 1, decode_weights(s, good, Ring(20)), {}, Words(256), threads), Error);
  EXPECT_THROW(conv_plain(s, Ring(20), 1, decode_weights(s, good, Ring(20)), {}, Words(255), threads), Error);
  EXPECT_THROW(conv_plain(s, Ring(20), 1, decode_weights(s, good, Ring(20)), Words(5), Words(256), threads), Error);
}

}  // namespace
}  // namespace eqo
