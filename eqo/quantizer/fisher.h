#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "eqo/importer/float_graph.h"
#include "eqo/quantizer/batch.h"
#include "eqo/quantizer/budget.h"

namespace eqo::quant {

// The diagonal of the Fisher information: second moments of gradients that are drawn at the logits. An independent
// error d of one value is then expected to raise F d^2 / 2.
//   kFisher: of the cross entropy, with labels drawn from what the network itself predicts (the expected Hessian of the
//            loss is the Fisher information of the outputs, propagated through the network's Jacobian)
//   kLogits: of a normal distribution around the logits (gradients of random signs), whose information is the identity:
//            half the logits' squared error. It does not fade where the network is sure of itself, as on training data.
struct Fisher {
  struct Layer {
    std::vector<double> direct;    // of the weights: [filters][inner]
    std::vector<double> winograd;  // in the Winograd domain: [16][filters][channels]; empty where that is impossible
  };
  std::vector<Layer> layers;    // one a node, empty unless linear
  std::vector<double> tensors;  // one a node: the sum over the elements of its output
};

// One gradient an image is drawn. Deterministic, whatever the number of threads.
Fisher output_fisher(const FloatGraph& graph, const FloatBatch& images, SensitivityMeasure measure, std::uint64_t seed,
                     ThreadPool& pool);

}  // namespace eqo::quant
