#pragma once
#include <compare>
#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <vector>

#include "eqo/kernels/convolution.h"
#include "eqo/kernels/weight_code.h"
#include "eqo/quantizer/quant_pass.h"
#include "eqo/quantizer/step_curve.h"

namespace eqo::quant {

// The real weights of one linear layer in the domain of its product, and how much an error of each one matters.
struct LinearWeights {
  std::size_t taps = 1;  // 16 in the Winograd domain
  std::size_t filters = 0, inner = 0, groups = 1;
  std::vector<float> values;       // [taps][filters][inner]
  std::vector<double> importance;  // [taps][groups][inner]: output error energy a unit of squared weight error

  double weight_importance(std::size_t tap, std::size_t filter, std::size_t i) const {
    return importance[(tap * groups + filter / (filters / groups)) * inner + i];
  }
};

// G W G^T of 3x3 filters: weight [K][C][3][3] to [16][K][C].
std::vector<float> winograd_weights(std::span<const float> weight, std::size_t filters, std::size_t channels);

struct QuantizedWeights {
  std::vector<WeightCode> codes;    // one a tap
  std::vector<std::uint8_t> code;   // [taps][filters][inner]
  std::vector<std::int64_t> value;  // what they stand for, in units of the step
  double error = 0;                 // output error energy: importance-weighted squared error, mean over the filters
};

// The values of one code in ascending order, its tap exponent left out.
class Levels {
 public:
  explicit Levels(const WeightCode& code);
  // Of the level nearest to v.
  double index(double v) const {
    if (!uneven_.empty()) return nearest(v);
    // Adding 1.5 * 2^52 leaves no bits below the point; beyond 2^51 it is inexact, but then outside all levels.
    constexpr double kRound = 0x1.8p52;
    const double x = (v - least_) / stride_, i = (x + kRound) - kRound;
    return i < 0 ? 0 : i < count_ ? i : count_ - 1;
  }
  double value(double i) const {
    return uneven_.empty() ? least_ + i * stride_ : uneven_[static_cast<std::size_t>(i)].value;
  }
  // The stored bits of a level.
  std::uint8_t code(double i) const {
    if (!uneven_.empty()) return uneven_[static_cast<std::size_t>(i)].code;
    const auto n = static_cast<std::int64_t>(twos_complement_ ? value(i) : i);
    return static_cast<std::uint8_t>(n & (static_cast<std::int64_t>(count_) - 1));
  }

 private:
  struct Level {
    double value;
    std::uint8_t code;
  };
  double nearest(double v) const;

  double least_ = 0, stride_ = 1, count_ = 0;
  bool twos_complement_ = false;
  std::vector<Level> uneven_;     // only if they are not evenly spaced
  std::vector<double> midpoint_;  // between a level and the next one
};

// The codes of `bits` bits that are tried for every tap: two's complement, its mirror image, and the odd numbers
// {-(2^b - 1), ..., -1, 1, ..., 2^b - 1}; of one bit only the last, because {-1, 0} can't express two signs.
std::vector<WeightCode> candidate_codes(unsigned bits);

// Which codes a layer may have.
enum class CodeChoice : std::uint8_t {
  kTwosComplement,  // nothing else, but of one bit
  kEven,            // candidate_codes()
  kReweighted,      // for each tap other significances and offsets too: see reweight.h
  // What training makes the most of: up to kMostSymmetric bits the odd numbers alone, as far below zero as above it,
  // whatever rounds best at the start; wider ones as kReweighted.
  kSymmetric
};
inline constexpr unsigned kMostSymmetric = 2;

// What the taps of a layer may be: an error curve and the weights rounded by it take the same rules.
struct CodeRules {
  CodeChoice choice = CodeChoice::kEven;
  bool tap_exponents = true;  // a power of two by tap

  CodeRules(CodeChoice c, bool exponents = true) : choice(c), tap_exponents(exponents) {}
  auto operator<=>(const CodeRules&) const = default;
};
// Without the passes that are left out; `trained`: the weights will be.
CodeRules code_rules(const std::set<QuantPass>& disabled, bool trained);

// Rounds every weight to the nearest value * step. For each tap the code and the exponent (0..kMaxTapExponent, only
// with several taps, and if the rules allow it) are those of the least error. bits in 1..8, step > 0.
QuantizedWeights quantize_weights(const LinearWeights& weights, unsigned bits, double step,
                                  CodeRules rules = CodeChoice::kEven);
inline constexpr unsigned kMaxTapExponent = 3;

// The error of quantize_weights over all sensible steps, divided by `output_energy`. A finer step needs a wider
// accumulator, so each octave has to lower the error by at least a tenth to be worth it. Step and re-weighted codes are
// chosen in turns: the codes that are best at the best step so far are tried at all steps.
StepCurve weight_curve(const LinearWeights& weights, unsigned bits, double output_energy,
                       CodeRules rules = CodeChoice::kEven);

}  // namespace eqo::quant
