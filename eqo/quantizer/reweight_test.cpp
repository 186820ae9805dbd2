#include "eqo/quantizer/reweight.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "eqo/core/error.h"

namespace eqo::quant {
namespace {

// Taps with spreads, means and tails of their own, as Winograd-domain weights have them.
LinearWeights random_weights(std::size_t taps, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(0, 1);
  LinearWeights w;
  w.taps = taps;
  w.filters = 6;
  w.inner = 20;
  for (std::size_t tap = 0; tap < taps; ++tap) {
    const double spread = std::exp2(normal(random)), mean = normal(random) / 4, tail = std::abs(normal(random));
    for (std::size_t j = 0; j < 120; ++j) {
      const double x = normal(random);
      w.values.push_back(static_cast<float>(spread * (mean + x * (1 + tail * x * x / 4))));
    }
    for (std::size_t i = 0; i < w.inner; ++i) w.importance.push_back(0.1 + std::abs(normal(random)));
  }
  return w;
}

double best_step(const StepCurve& curve) {
  const auto least = std::min_element(curve.cost.begin(), curve.cost.end());
  return std::exp2(static_cast<double>(curve.first + (least - curve.cost.begin())) / kStepsPerOctave);
}

TEST(Reweight, NeverWorseAndNeverAByteMoreThanTheBestEvenlySpacedCode) {
  double uniform_error = 0, error = 0;
  for (std::uint64_t seed = 1; seed <= 6; ++seed)
    for (unsigned bits = 1; bits <= 8; ++bits)
      for (const std::size_t taps : {std::size_t{1}, std::size_t{16}}) {
        SCOPED_TRACE(testing::Message() << "seed " << seed << ", " << bits << " bits, " << taps << " taps");
        const LinearWeights w = random_weights(taps, seed);
        const double step = best_step(weight_curve(w, bits, 1));
        const QuantizedWeights uniform = quantize_weights(w, bits, step),
                               q = quantize_weights(w, bits, step, CodeChoice::kReweighted);
        EXPECT_LE(q.error, uniform.error);
        for (std::size_t tap = 0; tap < taps; ++tap)
          EXPECT_GE(place_sum(q.codes[tap]), place_sum(uniform.codes[tap])) << tap;
        if (taps == 16 && bits <= 3) {
          uniform_error += uniform.error;
          error += q.error;
        }
      }
  EXPECT_LT(error, 0.97 * uniform_error);
}

TEST(Reweight, WeightsAreTheNearestValuesOfTheirCode) {
  for (unsigned bits = 1; bits <= 8; ++bits) {
    const LinearWeights w = random_weights(16, 40 + bits);
    const double step = best_step(weight_curve(w, bits, 1, CodeChoice::kReweighted));
    const QuantizedWeights q = quantize_weights(w, bits, step, CodeChoice::kReweighted);
    double error = 0;
    for (std::size_t j = 0; j < q.value.size(); ++j) {
      const WeightCode& code = q.codes[j / 120];
      code.validate();
      ASSERT_EQ(code.bits(), bits);
      ASSERT_LE(code.place(bits - 1), kMaxSignificance + kMaxTapExponent);
      ASSERT_EQ(code.value(q.code[j]), q.value[j]);
      const double d = std::abs(w.values[j] - static_cast<double>(q.value[j]) * step);
      for (unsigned other = 0; other < (1U << bits); ++other)
        ASSERT_LE(d, std::abs(w.values[j] - static_cast<double>(code.value(other)) * step) + 1e-9);
      error += d * d * w.weight_importance(j / 120, j % 120 / 20, j % 20) / 6;
    }
    EXPECT_NEAR(q.error, error, 1e-9 * error);
  }
}

TEST(Reweight, TwoClustersGetAGap) {
  LinearWeights w = random_weights(1, 3);
  std::mt19937_64 random(9);
  std::uniform_real_distribution<float> noise(-0.02F, 0.02F);
  for (std::size_t j = 0; j < w.values.size(); ++j)
    w.values[j] = (j % 2 == 0 ? 0.0F : 1.0F) + (j % 4 < 2 ? 7.0F : 0.0F) + noise(random);
  // {0, 1, 7, 8} are evenly spaced for no step; with significances 0 and 3 their places are 0, 1, 8, 9.
  const double uniform = quantize_weights(w, 2, best_step(weight_curve(w, 2, 1))).error;
  const QuantizedWeights q =
      quantize_weights(w, 2, best_step(weight_curve(w, 2, 1, CodeChoice::kReweighted)), CodeChoice::kReweighted);
  EXPECT_LT(q.error, uniform / 2);
  EXPECT_GT(q.codes[0].place(1), q.codes[0].place(0) + 1);
}

// An uneven code's levels against its definition, ties apart.
TEST(Reweight, LevelsOfAnyCode) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 200; ++round) {
    WeightCode code;
    const unsigned bits = 1 + static_cast<unsigned>(random() % 6);
    unsigned e = static_cast<unsigned>(random() % 3);
    for (unsigned i = 0; i < bits; ++i) {
      code.exponents.push_back(static_cast<std::uint8_t>(e));
      code.signs.push_back(random() % 4 == 0 ? std::int8_t{-1} : std::int8_t{1});
      e += static_cast<unsigned>(random() % 3);
    }
    code.offset = static_cast<std::int64_t>(random() % 21) - 10;
    const Levels levels(code);
    for (int n = 0; n < 50; ++n) {
      const double v = static_cast<double>(random() % 4000) / 10.0 - 200.0, i = levels.index(v);
      EXPECT_EQ(levels.value(i), static_cast<double>(code.value(levels.code(i))));
      for (unsigned c = 0; c < (1U << bits); ++c)
        EXPECT_LE(std::abs(levels.value(i) - v), std::abs(static_cast<double>(code.value(c)) - v));
    }
  }
}

TEST(Reweight, PatternsAscendAndTheFirstHasNoGap) {
  for (unsigned bits = 1; bits <= 8; ++bits) {
    const auto patterns = significance_patterns(bits);
    EXPECT_EQ(patterns.size(), bits <= 4 ? bits * (bits + 1) / 2 : bits);
    for (const auto& p : patterns) {
      EXPECT_EQ(p.front(), 0U);
      EXPECT_EQ(p.size(), bits);
      for (unsigned i = 1; i < bits; ++i) EXPECT_GT(p[i], p[i - 1]);
      EXPECT_LE(p.back(), bits + 1);
    }
    EXPECT_EQ(patterns.front().back(), bits - 1);
  }
  EXPECT_THROW(significance_patterns(9), Error);
}

}  // namespace
}  // namespace eqo::quant
