#pragma once
#include <cstddef>
#include <vector>

#include "eqo/quantizer/weight_quantizer.h"

namespace eqo::quant {

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

  // The mean, by importance.
  double mean() const {
    double sum = 0, total = 0;
    for (std::size_t j = 0; j < values_.size(); ++j) {
      sum += values_[j] * importance_[j];
      total += importance_[j];
    }
    return total > 0 ? sum / total : 0;
  }

 private:
  double term(const Levels& levels, double step, std::size_t j) const {
    const double q = values_[j] / step, d = q - levels.value(levels.index(q));
    return importance_[j] * d * d;
  }

  double factor_;
  std::vector<double> values_, importance_;
};

}  // namespace eqo::quant
