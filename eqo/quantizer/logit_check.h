#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "eqo/importer/float_graph.h"
#include "eqo/model/graph.h"
#include "eqo/quantizer/batch.h"

namespace eqo::quant {

// Kullback-Leibler divergence in nats of the softmax of `logits` from that of `reference`, the mean over images of
// `classes` logits each, both divided by `temperature`.
double divergence(std::span<const double> reference, std::span<const double> logits, std::size_t classes,
                  double temperature);

// The same for s * `logits`, with the s in [kLeastScale, 1 / kLeastScale] that makes it least: a factor that all logits
// share changes no label.
struct ScaledDivergence {
  double divergence = 0, scale = 1;
};
inline constexpr double kLeastScale = 0.25;
ScaledDivergence scaled_divergence(std::span<const double> reference, std::span<const double> logits,
                                   std::size_t classes, double temperature);

// How far quantized networks are from the float one on images that they were not made with: the twin's logits, in
// exact integers, against the float model's.
class LogitCheck {
 public:
  // `prepared`, `images` and `pool` must outlive it.
  LogitCheck(const FloatGraph& prepared, const FloatBatch& images, ThreadPool& pool);

  struct Result {
    double divergence = 0;         // scaled_divergence at kTemperature (fisher.h)
    double agreement = 0;          // share of images with the same label, 0..1
    std::uint64_t overflowed = 0;  // see Twin
  };
  Result operator()(const Model& model) const;

 private:
  const FloatBatch& images_;
  ThreadPool& pool_;
  std::vector<double> reference_;
};

}  // namespace eqo::quant
