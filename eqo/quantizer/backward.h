#pragma once
#include <cstddef>
#include <span>
#include <vector>

#include "eqo/importer/float_graph.h"
#include "eqo/quantizer/batch.h"

namespace eqo::quant {

// The reverse pass of run_float_node(): adds to into[k] what the gradient of a loss at the output, `gradient`, is at
// input k. `into` has the inputs' shapes; a null entry isn't wanted. kBatchNorm is not supported.
void backpropagate(const FloatNode& node, std::span<const FloatBatch* const> inputs, const FloatBatch& output,
                   const FloatBatch& gradient, std::span<FloatBatch* const> into, ThreadPool& pool);

// The gradient of a loss at the weights of a linear node, from image n alone: [filters][inner].
std::vector<float> weight_gradient(const FloatNode& node, const FloatBatch& input, const FloatBatch& gradient,
                                   std::size_t n);

// The same at the weights of its Winograd domain, [16][filters][channels]; only where that is possible.
std::vector<float> winograd_gradient(const FloatNode& node, const FloatBatch& input, const FloatBatch& gradient,
                                     std::size_t n);

}  // namespace eqo::quant
