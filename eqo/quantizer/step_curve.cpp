#include "eqo/quantizer/step_curve.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "eqo/core/error.h"

namespace eqo::quant {
namespace {
constexpr std::size_t kBins = 2048;
constexpr int kOctavesBelow = 6;  // of the step that just reaches the largest magnitude
}  // namespace

StepCurve::Choice StepCurve::best(double log2_step) const {
  const auto last = first + static_cast<int>(cost.size()) - 1;
  if (last - first + 1 < kStepsPerOctave) throw internal_error("step curve: shorter than an octave");
  // The first n for which the step is inside, and every one after it.
  double x = log2_step + std::ceil(static_cast<double>(first) / kStepsPerOctave - log2_step - 1e-9);
  Choice found{x, std::numeric_limits<double>::infinity()};
  for (;; x += 1) {
    const long i = std::lround(x * kStepsPerOctave);
    if (i > last) break;
    const double c = cost[static_cast<std::size_t>(std::max<long>(i - first, 0))];
    if (c < found.cost) found = {x, c};
  }
  return found;
}

Histogram::Histogram(std::span<const float> values) : share_(kBins, 0.0) {
  if (values.empty()) throw internal_error("histogram of nothing");
  const auto [lo, hi] = std::minmax_element(values.begin(), values.end());
  lo_ = *lo;
  hi_ = *hi;
  if (!std::isfinite(lo_) || !std::isfinite(hi_)) throw model_error("the float model gives values that are not finite");
  width_ = (static_cast<double>(hi_) - lo_) / kBins;
  double sum = 0, squares = 0;
  for (const float v : values) {
    sum += v;
    squares += static_cast<double>(v) * v;
    const double at = width_ > 0 ? (static_cast<double>(v) - lo_) / width_ : 0;
    share_[std::min(static_cast<std::size_t>(at), kBins - 1)] += 1;
  }
  const auto n = static_cast<double>(values.size());
  mean_ = sum / n;
  mean_square_ = squares / n;
  for (double& s : share_) s /= n;
}

double Histogram::variance() const { return std::max(0.0, mean_square_ - mean_ * mean_); }

double Histogram::error(double step, double least, double greatest) const {
  double sum = 0;
  for (std::size_t i = 0; i < kBins; ++i) {
    if (share_[i] == 0) continue;
    const double v = lo_ + (static_cast<double>(i) + 0.5) * width_;
    // A bin at zero holds exact zeros after a ReLU: no rounding error.
    if (std::abs(v) <= width_) continue;
    const double q = v / step;
    const double rounded = std::clamp(std::nearbyint(q), least, greatest);
    // Inside the range, and with steps near the bins' width, the average over the bin is what counts.
    const bool inside = rounded > least && rounded < greatest;
    const double fine = step * step / 12;
    const double d = (q - rounded) * step;
    sum += share_[i] * (inside && step < 8 * width_ ? fine : d * d);
  }
  return sum;
}

StepCurve Histogram::curve(unsigned bits) const {
  const double levels = std::exp2(static_cast<double>(bits));
  const bool is_signed = lo_ < 0;
  const double least = is_signed ? -levels / 2 : 0, greatest = is_signed ? levels / 2 - 1 : levels - 1;
  double magnitude = std::max(std::abs(static_cast<double>(lo_)), std::abs(static_cast<double>(hi_)));
  const double energy = mean_square_;
  if (magnitude == 0 || energy == 0) magnitude = 1;
  const double top = std::log2(magnitude / std::max(1.0, is_signed ? levels / 2 : levels - 1)) + 1;
  StepCurve curve;
  const int last = static_cast<int>(std::floor(top * kStepsPerOctave));
  curve.first = last - (kOctavesBelow + 1) * kStepsPerOctave;
  for (int i = curve.first; i <= last; ++i)
    curve.cost.push_back(
        energy == 0 ? 0 : error(std::exp2(static_cast<double>(i) / kStepsPerOctave), least, greatest) / energy);
  return curve;
}

}  // namespace eqo::quant
