#include "eqo/quantizer/weight_quantizer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "eqo/core/error.h"
#include "eqo/quantizer/reweight.h"
#include "eqo/quantizer/tap_sample.h"

namespace eqo::quant {
namespace {

constexpr std::size_t kSampledWeights = 1 << 15;  // of a layer, for the curve
constexpr std::size_t kSampledTap = 1 << 13;      // of a tap, for the choice of its code
constexpr double kOctaveGain = 1.1;
constexpr double kCodeGain = 1.03;      // by which another code must beat the first candidate
constexpr double kReweightGain = 1.01;  // and a re-weighted one the best evenly spaced one
constexpr int kTurns = 3;               // of step and re-weighted codes

WeightCode ascending(unsigned bits, unsigned first_exponent, std::int64_t offset) {
  WeightCode code;
  for (unsigned i = 0; i < bits; ++i) {
    code.exponents.push_back(static_cast<std::uint8_t>(first_exponent + i));
    code.signs.push_back(1);
  }
  code.offset = offset;
  return code;
}

bool all_zero(const LinearWeights& w, std::size_t tap) {
  const std::size_t n = w.filters * w.inner;
  const float* v = w.values.data() + tap * n;
  return std::all_of(v, v + n, [](float x) { return x == 0; });
}

float largest_magnitude(const LinearWeights& w) {
  float most = 0;
  for (const float v : w.values) most = std::max(most, std::abs(v));
  return most;
}

}  // namespace

std::vector<float> winograd_weights(std::span<const float> weight, std::size_t filters, std::size_t channels) {
  static constexpr float kG[4][3] = {{1, 0, 0}, {0.5F, 0.5F, 0.5F}, {0.5F, -0.5F, 0.5F}, {0, 0, 1}};
  if (weight.size() != filters * channels * 9) throw internal_error("Winograd transform: wrong number of weights");
  std::vector<float> u(16 * filters * channels);
  for (std::size_t f = 0; f < filters * channels; ++f) {
    const float* w = weight.data() + f * 9;
    for (std::size_t i = 0; i < 4; ++i)
      for (std::size_t j = 0; j < 4; ++j) {
        float sum = 0;
        for (std::size_t a = 0; a < 3; ++a)
          for (std::size_t b = 0; b < 3; ++b) sum += kG[i][a] * w[3 * a + b] * kG[j][b];
        u[(4 * i + j) * filters * channels + f] = sum;
      }
  }
  return u;
}

Levels::Levels(const WeightCode& shifted) {
  WeightCode code = shifted;
  code.shift = 0;
  bool even = true;
  for (unsigned i = 1; i < code.bits(); ++i)
    even = even && code.exponents[i] == code.exponents[i - 1] + 1 && code.signs[i - 1] > 0;
  twos_complement_ = even && code.signs.back() < 0;
  least_ = static_cast<double>(code.min_value());
  stride_ = std::exp2(code.exponents.front());
  count_ = std::exp2(code.bits());
  // The stored bits of a negative sign bit follow from the value only if that is what the code counts.
  if (even && (!twos_complement_ || (code.offset == 0 && code.exponents.front() == 0))) return;
  for (unsigned c = 0; c < (1U << code.bits()); ++c)
    uneven_.push_back({static_cast<double>(code.value(c)), static_cast<std::uint8_t>(c)});
  std::stable_sort(uneven_.begin(), uneven_.end(), [](const Level& a, const Level& b) { return a.value < b.value; });
  for (std::size_t i = 1; i < uneven_.size(); ++i) midpoint_.push_back((uneven_[i - 1].value + uneven_[i].value) / 2);
}

double Levels::nearest(double v) const {
  return static_cast<double>(std::upper_bound(midpoint_.begin(), midpoint_.end(), v) - midpoint_.begin());
}

std::vector<WeightCode> candidate_codes(unsigned bits) {
  if (bits < 1 || bits > 8) throw usage_error("weights of " + std::to_string(bits) + " bits (1 to 8 are possible)");
  const WeightCode odd = ascending(bits, 1, 1 - (std::int64_t{1} << bits));
  if (bits == 1) return {odd};
  return {WeightCode::twos_complement(bits), ascending(bits, 0, 1 - (std::int64_t{1} << (bits - 1))), odd};
}

CodeRules code_rules(const std::set<QuantPass>& disabled, bool trained) {
  const auto left_out = [&](QuantPass pass) { return disabled.count(pass) != 0; };
  return {left_out(QuantPass::kOffsets)    ? CodeChoice::kTwosComplement
          : left_out(QuantPass::kReweight) ? CodeChoice::kEven
          : trained                        ? CodeChoice::kSymmetric
                                           : CodeChoice::kReweighted,
          !left_out(QuantPass::kTapExponents)};
}

namespace {

bool symmetric_only(unsigned bits, CodeChoice choice) {
  return choice == CodeChoice::kSymmetric && bits <= kMostSymmetric;
}

std::vector<WeightCode> allowed_codes(unsigned bits, CodeChoice choice) {
  std::vector<WeightCode> codes = candidate_codes(bits);
  if (symmetric_only(bits, choice)) codes = {codes.back()};
  if (choice == CodeChoice::kTwosComplement) codes = {codes.front()};
  return codes;
}

bool searches(unsigned bits, CodeChoice choice) {
  return choice == CodeChoice::kReweighted || (choice == CodeChoice::kSymmetric && !symmetric_only(bits, choice));
}

unsigned most_shift(const LinearWeights& w, CodeRules rules) {
  return w.taps > 1 && rules.tap_exponents ? kMaxTapExponent : 0;
}

// The error of a code over all weights of a tap: see QuantizedWeights.
double full_error(const LinearWeights& w, std::size_t tap, const WeightCode& code, double step) {
  return TapSample(w, tap, 1).error(Levels(code), std::ldexp(step, code.shift));
}

WeightCode best_code(const LinearWeights& w, std::size_t tap, unsigned bits, double step, CodeRules rules,
                     const std::vector<WeightCode>& candidates) {
  // Nothing but zeros needs a code that has a zero, which the odd one is not.
  if (all_zero(w, tap)) return WeightCode::twos_complement(bits);
  const TapSample view(w, tap, std::max<std::size_t>(1, w.filters * w.inner / kSampledTap) | 1U);
  const unsigned max_shift = most_shift(w, rules);
  WeightCode best;
  double least = std::numeric_limits<double>::infinity();
  for (const WeightCode& candidate : candidates)
    for (unsigned shift = 0; shift <= max_shift; ++shift) {
      const double error = view.error(Levels(candidate), std::ldexp(step, static_cast<int>(shift)));
      const double handicap = candidate == candidates.front() ? 1 : kCodeGain;
      if (error * handicap < least) {
        least = error * handicap;
        best = candidate;
        best.shift = static_cast<std::uint8_t>(shift);
      }
    }
  if (!searches(bits, rules.choice)) return best;
  const WeightCode other = reweighted_code(w, tap, best, step);
  return full_error(w, tap, other, step) * kReweightGain < full_error(w, tap, best, step) ? other : best;
}

}  // namespace

QuantizedWeights quantize_weights(const LinearWeights& w, unsigned bits, double step, CodeRules rules) {
  if (!(step > 0) || !std::isfinite(step)) throw internal_error("weight step is not positive");
  const std::vector<WeightCode> candidates = allowed_codes(bits, rules.choice);
  const std::size_t n = w.filters * w.inner;
  QuantizedWeights out;
  out.code.resize(w.values.size());
  out.value.resize(w.values.size());
  for (std::size_t tap = 0; tap < w.taps; ++tap) {
    WeightCode best = best_code(w, tap, bits, step, rules, candidates);
    const Levels levels(best);
    const double tap_step = std::ldexp(step, best.shift);
    for (std::size_t j = tap * n; j < (tap + 1) * n; ++j) {
      const double i = levels.index(w.values[j] / tap_step);
      const double value = levels.value(i), d = w.values[j] - value * tap_step;
      out.code[j] = levels.code(i);
      out.value[j] = static_cast<std::int64_t>(value) * (std::int64_t{1} << best.shift);
      out.error +=
          d * d * w.weight_importance(tap, (j - tap * n) / w.inner, j % w.inner) / static_cast<double>(w.filters);
    }
    out.codes.push_back(std::move(best));
  }
  return out;
}

namespace {

std::size_t cheapest(const StepCurve& curve) {
  return static_cast<std::size_t>(std::min_element(curve.cost.begin(), curve.cost.end()) - curve.cost.begin());
}

double grid_step(const StepCurve& curve, std::size_t i) {
  return std::exp2((curve.first + static_cast<double>(i)) / kStepsPerOctave);
}

}  // namespace

StepCurve weight_curve(const LinearWeights& w, unsigned bits, double output_energy, CodeRules rules) {
  const std::vector<WeightCode> candidates = allowed_codes(bits, rules.choice);
  double magnitude = largest_magnitude(w);
  if (magnitude == 0) magnitude = 1;
  // From a step with which the narrowest code still reaches everything to one that is far too fine.
  const int span = static_cast<int>(most_shift(w, rules));
  const int last = static_cast<int>(std::ceil((std::log2(magnitude) - bits + 2) * kStepsPerOctave));
  const int first = last - (5 + span) * kStepsPerOctave;
  const std::size_t count = static_cast<std::size_t>(last - first) + 1, octave = kStepsPerOctave;
  const std::size_t stride = std::max<std::size_t>(1, w.filters * w.inner * w.taps / kSampledWeights) | 1U;

  StepCurve curve;
  curve.first = first;
  std::vector<std::vector<double>> by_tap;  // the least error at every step
  std::vector<double> error(count + span * octave);
  for (std::size_t tap = 0; tap < w.taps; ++tap) {
    const TapSample view(w, tap, stride);
    std::fill(error.begin(), error.end(), std::numeric_limits<double>::infinity());
    for (const WeightCode& candidate : candidates) {
      const Levels levels(candidate);
      const double handicap = candidate == candidates.front() ? 1 : kCodeGain;
      for (std::size_t i = 0; i < error.size(); ++i)
        error[i] = std::min(error[i], handicap * view.error(levels, grid_step(curve, i)));
    }
    std::vector<double>& least = by_tap.emplace_back(error.begin(), error.begin() + static_cast<std::ptrdiff_t>(count));
    for (std::size_t i = 0; i < count; ++i)
      for (int s = 1; s <= span; ++s) least[i] = std::min(least[i], error[i + static_cast<std::size_t>(s) * octave]);
  }
  const auto sum_up = [&] {
    curve.cost.assign(count, 0.0);
    for (const std::vector<double>& tap : by_tap)
      for (std::size_t i = 0; i < count; ++i) curve.cost[i] += tap[i];
    for (std::size_t i = 0; i < count; ++i)
      curve.cost[i] = curve.cost[i] / std::max(output_energy, std::numeric_limits<double>::min()) *
                      std::pow(kOctaveGain, static_cast<double>(last - first - static_cast<int>(i)) / kStepsPerOctave);
  };
  sum_up();
  const auto try_codes_of = [&](std::size_t at) {
    for (std::size_t tap = 0; tap < w.taps; ++tap) {
      const WeightCode code = best_code(w, tap, bits, grid_step(curve, at), rules, candidates);
      const TapSample view(w, tap, stride);
      const Levels levels(code);
      for (std::size_t i = 0; i < count; ++i)
        by_tap[tap][i] =
            std::min(by_tap[tap][i], kReweightGain * view.error(levels, std::ldexp(grid_step(curve, i), code.shift)));
    }
  };
  std::size_t at = count;
  for (int turn = 0; searches(bits, rules.choice) && turn < kTurns && at != cheapest(curve); ++turn) {
    at = cheapest(curve);
    // Gaps pay where the step is finer than evenly spaced values want it.
    for (std::size_t finer = 0; finer <= (turn == 0 ? 3 * octave : 0) && finer <= at; finer += octave)
      try_codes_of(at - finer);
    sum_up();
  }
  return curve;
}

}  // namespace eqo::quant
