#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "eqo/importer/float_graph.h"
#include "eqo/model/graph.h"
#include "eqo/quantizer/batch.h"
#include "eqo/quantizer/budget.h"

namespace eqo::quant {

// Of softmax, wherever networks are compared by what they predict: above 1, because on training data a float network is
// so sure of itself that what quantization does shows in the logits and hardly in the probabilities.
inline constexpr double kTemperature = 4;

// What quantization does to the weights of one linear node: value minus real weight, in the layout of its domain,
// [filters][inner] or [16][filters][channels].
struct WeightError {
  std::size_t node = 0;
  ConvDomain domain = ConvDomain::kDirect;
  std::vector<float> error;
};

// Rounding of tensors to multiples of a step, clamped to [least, greatest] steps.
struct RoundingError {
  struct Tensor {
    std::size_t node = 0;
    double step = 1, least = 0, greatest = 0;
  };
  std::vector<Tensor> tensors;
};

struct QuantizationErrors {
  std::vector<WeightError> weights;
  std::vector<RoundingError> activations;
};

// By how much each error, alone, is expected to raise the measure: e^T F e / 2 with the Fisher information F of the
// error's whole tensor, not its diagonal alone: errors that rounding made up for one another cancel, and those that all
// positions share add up. It is the mean over images and draws of (gradient . e)^2 / 2, for gradients drawn at the
// logits:
//   kFisher: of the cross entropy at temperature kTemperature, with labels drawn from what the network itself predicts:
//            its expected Hessian, and that of the divergence from the float network (the Fisher information of the
//            outputs, propagated through the network's Jacobian)
//   kLogits: of a normal distribution around the logits (gradients of random signs), whose information is the identity:
//            half the logits' squared error
// with what a bias or a factor of the logits takes back left out, as EffectOptions say.
struct ErrorEffects {
  std::vector<double> weights, activations;
};

struct EffectOptions {
  SensitivityMeasure measure = SensitivityMeasure::kFisher;
  std::uint64_t seed = 1;
  unsigned draws = 4;      // an image
  bool centered = true;    // errors that are the same in all images don't count: the next biases take them
  bool free_scale = true;  // nor does what scales all logits by one factor: no label depends on it
};

// Deterministic, whatever the number of threads.
ErrorEffects error_effects(const FloatGraph& graph, const FloatBatch& images, const QuantizationErrors& errors,
                           const EffectOptions& options, ThreadPool& pool);

}  // namespace eqo::quant
