#include "eqo/quantizer/weight_quantizer.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "eqo/core/error.h"

namespace eqo::quant {
namespace {

LinearWeights gaussian(std::size_t taps, std::size_t filters, std::size_t inner, std::uint64_t seed,
                       double deviation = 1) {
  LinearWeights w;
  w.taps = taps;
  w.filters = filters;
  w.inner = inner;
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(0, deviation);
  for (std::size_t i = 0; i < taps * filters * inner; ++i) w.values.push_back(static_cast<float>(normal(random)));
  w.importance.assign(taps * inner, 1.0);
  return w;
}

double best_step(const StepCurve& curve) {
  const auto least = std::min_element(curve.cost.begin(), curve.cost.end());
  return std::exp2(static_cast<double>(curve.first + (least - curve.cost.begin())) / kStepsPerOctave);
}

TEST(WeightQuantizer, StoredCodesReadAsTheirValues) {
  for (unsigned bits = 1; bits <= 8; ++bits)
    for (const std::size_t taps : {std::size_t{1}, std::size_t{16}}) {
      const LinearWeights w = gaussian(taps, 5, 7, bits);
      const QuantizedWeights q = quantize_weights(w, bits, 1.7 / std::exp2(bits));
      ASSERT_EQ(q.codes.size(), taps);
      double error = 0;
      for (std::size_t j = 0; j < q.value.size(); ++j) {
        const WeightCode& code = q.codes[j / 35];
        code.validate();
        EXPECT_EQ(code.bits(), bits);
        EXPECT_LT(q.code[j], 1U << bits);
        EXPECT_EQ(code.value(q.code[j]), q.value[j]);
        const double d = w.values[j] - static_cast<double>(q.value[j]) * 1.7 / std::exp2(bits);
        error += d * d / 5;
        // Nothing of the same tap is nearer.
        for (unsigned other = 0; other < (1U << bits); ++other)
          EXPECT_LE(std::abs(d),
                    std::abs(w.values[j] - static_cast<double>(code.value(other)) * 1.7 / std::exp2(bits)) + 1e-12);
      }
      EXPECT_NEAR(q.error, error, 1e-9 * error);
    }
}

TEST(WeightQuantizer, OneBitIsASign) {
  const QuantizedWeights q = quantize_weights(gaussian(1, 4, 50, 1), 1, 0.8);
  for (const std::int64_t v : q.value) EXPECT_EQ(std::abs(v), 1);
  EXPECT_EQ(q.codes[0].offset, -1);
}

TEST(WeightQuantizer, TwoBitsOfASymmetricTensorAreOddNumbers) {
  const LinearWeights w = gaussian(1, 16, 64, 2);
  const QuantizedWeights q = quantize_weights(w, 2, best_step(weight_curve(w, 2, 1)));
  EXPECT_EQ(q.codes[0].offset, -3);
  EXPECT_EQ(q.codes[0].exponents, (std::vector<std::uint8_t>{1, 2}));
  EXPECT_EQ(std::set<std::int64_t>(q.value.begin(), q.value.end()), (std::set<std::int64_t>{-3, -1, 1, 3}));
  // The best four evenly spaced levels of a normal distribution leave 0.1188 of its variance (Max, 1960).
  EXPECT_NEAR(q.error / 64, 0.1188, 0.01);
}

TEST(WeightQuantizer, SparseWeightsGetACodeWithZero) {
  LinearWeights w = gaussian(1, 16, 64, 3);
  for (std::size_t i = 0; i < w.values.size(); ++i) w.values[i] = i % 4 == 0 ? (i % 8 == 0 ? 1.0F : -1.0F) : 0.0F;
  const QuantizedWeights q = quantize_weights(w, 2, best_step(weight_curve(w, 2, 1)));
  EXPECT_NEAR(q.error, 0, 1e-9);
}

TEST(WeightQuantizer, SymmetricCodesReachAsFarBelowZeroAsAbove) {
  LinearWeights w = gaussian(16, 8, 32, 6);
  for (float& v : w.values) v = v * v;  // rounds best to what lies above zero
  for (unsigned bits = 1; bits <= 8; ++bits) {
    const auto quantized = [&](CodeChoice choice) {
      return quantize_weights(w, bits, best_step(weight_curve(w, bits, 1, choice)), choice);
    };
    const QuantizedWeights q = quantized(CodeChoice::kSymmetric);
    if (bits > kMostSymmetric) {
      EXPECT_EQ(q.value, quantized(CodeChoice::kReweighted).value) << bits;
      continue;
    }
    for (WeightCode code : q.codes) {
      code.shift = 0;
      EXPECT_EQ(code, candidate_codes(bits).back()) << bits;
      EXPECT_EQ(code.min_value(), -code.max_value()) << bits;
    }
    if (bits == 2) {
      EXPECT_NE(quantized(CodeChoice::kReweighted).value, q.value);
    }
  }
}

TEST(WeightQuantizer, PassesThatAreLeftOutLeaveTwosComplementAndOneStep) {
  using Passes = std::set<QuantPass>;
  EXPECT_EQ(code_rules({}, false), CodeRules(CodeChoice::kReweighted));
  EXPECT_EQ(code_rules({}, true), CodeRules(CodeChoice::kSymmetric));
  EXPECT_EQ(code_rules({QuantPass::kReweight}, true), CodeRules(CodeChoice::kEven));
  LinearWeights w = gaussian(16, 8, 32, 5);
  for (std::size_t j = 5 * 256; j < 6 * 256; ++j) w.values[j] *= 4;
  for (unsigned bits = 2; bits <= 8; ++bits) {
    double before = 0;
    for (const Passes& off :
         {Passes{}, Passes{QuantPass::kOffsets}, Passes{QuantPass::kOffsets, QuantPass::kTapExponents}}) {
      const CodeRules rules = code_rules(off, false);
      const QuantizedWeights q = quantize_weights(w, bits, best_step(weight_curve(w, bits, 1, rules)), rules);
      unsigned most = 0;
      for (WeightCode code : q.codes) {
        most = std::max<unsigned>(most, code.shift);
        code.shift = 0;
        if (!off.empty()) {
          EXPECT_EQ(code, WeightCode::twos_complement(bits)) << bits;
        }
      }
      if (rules.tap_exponents && !off.empty()) {
        EXPECT_GT(most, 0U) << bits;
      }
      if (!rules.tap_exponents) {
        EXPECT_EQ(most, 0U) << bits;
      }
      EXPECT_GT(q.error, before) << bits << " bits, " << off.size() << " passes off";
      before = q.error;
    }
  }
}

TEST(WeightQuantizer, AllZeroWeightsStayZero) {
  for (unsigned bits = 1; bits <= 8; ++bits) {
    LinearWeights w = gaussian(16, 3, 4, 1);
    std::fill(w.values.begin(), w.values.end(), 0.0F);
    const StepCurve curve = weight_curve(w, bits, 0);
    EXPECT_GE(curve.cost.size(), static_cast<std::size_t>(kStepsPerOctave));
    for (const std::int64_t v : quantize_weights(w, bits, 1).value) EXPECT_EQ(v, 0);
  }
}

TEST(WeightQuantizer, ErrorFallsWithEveryBit) {
  for (const std::size_t taps : {std::size_t{1}, std::size_t{16}}) {
    const LinearWeights w = gaussian(taps, 8, 32, 4);
    double before = 1e9;
    for (unsigned bits = 1; bits <= 8; ++bits) {
      const double error = quantize_weights(w, bits, best_step(weight_curve(w, bits, 1))).error;
      EXPECT_LT(error, before / 2) << bits;
      before = error;
    }
  }
}

TEST(WeightQuantizer, AnOutlierTapGetsAnExponentInsteadOfBits) {
  LinearWeights w = gaussian(16, 8, 32, 5);
  for (std::size_t j = 5 * 256; j < 6 * 256; ++j) w.values[j] *= 4;
  const QuantizedWeights q = quantize_weights(w, 4, best_step(weight_curve(w, 4, 1)));
  // The distance of its levels is four times the others', whichever of the codes they use.
  for (std::size_t tap = 0; tap < 16; ++tap)
    EXPECT_EQ(q.codes[tap].place(0), q.codes[0].place(0) + (tap == 5 ? 2 : 0)) << tap;
}

TEST(WeightQuantizer, WidthsAndStepsAreChecked) {
  EXPECT_THROW(candidate_codes(0), Error);
  EXPECT_THROW(candidate_codes(9), Error);
  EXPECT_THROW(quantize_weights(gaussian(1, 2, 2, 1), 4, 0), Error);
  EXPECT_THROW(winograd_weights(std::vector<float>(10), 1, 1), Error);
}

}  // namespace
}  // namespace eqo::quant
