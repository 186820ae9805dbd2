#include "eqo/quantizer/weight_quantizer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "eqo/core/error.h"

namespace eqo::quant {
namespace {

constexpr std::size_t kSampledWeights = 1 << 15;  // of a layer, for the curve
constexpr std::size_t kSampledTap = 1 << 13;      // of a tap, for the choice of its code
constexpr double kOctaveGain = 1.1;
constexpr double kCodeGain = 1.03;  // by which another code must beat the first candidate

WeightCode ascending(unsigned bits, unsigned first_exponent, std::int64_t offset) {
  WeightCode code;
  for (unsigned i = 0; i < bits; ++i) {
    code.exponents.push_back(static_cast<std::uint8_t>(first_exponent + i));
    code.signs.push_back(1);
  }
  code.offset = offset;
  return code;
}

// Every stride-th weight of a tap, with its importance.
class TapSample {
 public:
  TapSample(const LinearWeights& w, std::size_t tap, std::size_t stride)
      : factor_(static_cast<double>(stride) / static_cast<double>(w.filters)) {
    const std::size_t n = w.filters * w.inner;
    for (std::size_t j = 0; j < n; j += stride) {
      values_.push_back(w.values[tap * n + j]);
      importance_.push_back(w.weight_importance(tap, j / w.inner, j % w.inner));
    }
  }

  // Weighted squared error with values `step` apart times the levels.
  double error(const Levels& levels, double step) const {
    double sums[4] = {};
    std::size_t j = 0;
    for (; j + 4 <= values_.size(); j += 4)
      for (std::size_t k = 0; k < 4; ++k) sums[k] += term(levels, step, j + k);
    for (; j < values_.size(); ++j) sums[0] += term(levels, step, j);
    return (sums[0] + sums[1] + (sums[2] + sums[3])) * step * step * factor_;
  }

 private:
  double term(const Levels& levels, double step, std::size_t j) const {
    const double q = values_[j] / step, d = q - levels.value(levels.index(q));
    return importance_[j] * d * d;
  }

  double factor_;
  std::vector<double> values_, importance_;
};

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
  least = static_cast<double>(code.min_value());
  stride = std::exp2(code.exponents.front());
  count = std::exp2(code.bits());
  twos_complement = code.signs.back() < 0;
}

std::vector<WeightCode> candidate_codes(unsigned bits) {
  if (bits < 1 || bits > 8) throw usage_error("weights of " + std::to_string(bits) + " bits (1 to 8 are possible)");
  const WeightCode odd = ascending(bits, 1, 1 - (std::int64_t{1} << bits));
  if (bits == 1) return {odd};
  return {WeightCode::twos_complement(bits), ascending(bits, 0, 1 - (std::int64_t{1} << (bits - 1))), odd};
}

QuantizedWeights quantize_weights(const LinearWeights& w, unsigned bits, double step) {
  if (!(step > 0) || !std::isfinite(step)) throw internal_error("weight step is not positive");
  const std::vector<WeightCode> candidates = candidate_codes(bits);
  const std::size_t n = w.filters * w.inner;
  QuantizedWeights out;
  out.code.resize(w.values.size());
  out.value.resize(w.values.size());
  for (std::size_t tap = 0; tap < w.taps; ++tap) {
    const TapSample view(w, tap, std::max<std::size_t>(1, n / kSampledTap) | 1U);
    const unsigned max_shift = w.taps > 1 ? kMaxTapExponent : 0;
    WeightCode best;
    double least = std::numeric_limits<double>::infinity();
    // Nothing but zeros needs a code that has a zero, which the odd one is not.
    const bool zero = all_zero(w, tap);
    for (const WeightCode& candidate : zero ? std::vector{WeightCode::twos_complement(bits)} : candidates)
      for (unsigned shift = 0; shift <= max_shift; ++shift) {
        const double error = view.error(Levels(candidate), std::ldexp(step, static_cast<int>(shift)));
        const double handicap = candidate == candidates.front() ? 1 : kCodeGain;
        if (error * handicap < least) {
          least = error * handicap;
          best = candidate;
          best.shift = static_cast<std::uint8_t>(shift);
        }
      }
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

StepCurve weight_curve(const LinearWeights& w, unsigned bits, double output_energy) {
  const std::vector<WeightCode> candidates = candidate_codes(bits);
  double magnitude = largest_magnitude(w);
  if (magnitude == 0) magnitude = 1;
  // From a step with which the narrowest code still reaches everything to one that is far too fine.
  const int span = static_cast<int>(kMaxTapExponent) * (w.taps > 1 ? 1 : 0);
  const int last = static_cast<int>(std::ceil((std::log2(magnitude) - bits + 2) * kStepsPerOctave));
  const int first = last - (5 + span) * kStepsPerOctave;
  const std::size_t count = static_cast<std::size_t>(last - first) + 1, octave = kStepsPerOctave;
  const std::size_t stride = std::max<std::size_t>(1, w.filters * w.inner * w.taps / kSampledWeights) | 1U;

  StepCurve curve;
  curve.first = first;
  curve.cost.assign(count, 0.0);
  std::vector<double> error(count + span * octave);
  for (std::size_t tap = 0; tap < w.taps; ++tap) {
    const TapSample view(w, tap, stride);
    std::fill(error.begin(), error.end(), std::numeric_limits<double>::infinity());
    for (const WeightCode& candidate : candidates) {
      const Levels levels(candidate);
      const double handicap = candidate == candidates.front() ? 1 : kCodeGain;
      for (std::size_t i = 0; i < error.size(); ++i) {
        const double step = std::exp2((first + static_cast<double>(i)) / kStepsPerOctave);
        error[i] = std::min(error[i], handicap * view.error(levels, step));
      }
    }
    for (std::size_t i = 0; i < count; ++i) {
      double least = error[i];
      for (int s = 1; s <= span; ++s) least = std::min(least, error[i + static_cast<std::size_t>(s) * octave]);
      curve.cost[i] += least;
    }
  }
  for (std::size_t i = 0; i < count; ++i)
    curve.cost[i] = curve.cost[i] / std::max(output_energy, std::numeric_limits<double>::min()) *
                    std::pow(kOctaveGain, static_cast<double>(last - first - static_cast<int>(i)) / kStepsPerOctave);
  return curve;
}

}  // namespace eqo::quant
