#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "eqo/importer/float_graph.h"

namespace eqo {

struct HessianOptions {
  double temperature = 4;  // of the loss
  int probes = 16;         // random vectors an image batch
  std::uint64_t seed = 1;
};

// The mean diagonal entry, tr(H) / n, of the Hessian of the loss with respect to a layer's n weights: in the spatial
// domain, and as 16 taps where Winograd's algorithm is possible (else 0). The loss is the divergence of the softmax
// from that of the unchanged network, both at a temperature, in nats: what quantization raises from 0, so no labels are
// needed. By Hutchinson's estimator, E[v^T H v] over v of independent random signs, with H v by double backward
// (Dong et al., "HAWQ-V2", NeurIPS 2020, section 3.2). One double backward serves all layers: what one layer's signs do
// to another's has mean zero.
struct HessianTrace {
  std::size_t node = 0;
  double direct = 0, winograd = 0;
};

// `graph` without batch norms; images: count x input size. One entry a linear layer, in the graph's order.
// Deterministic. Throws usage_error for options out of range.
std::vector<HessianTrace> hessian_traces(const FloatGraph& graph, std::span<const float> images, std::size_t count,
                                         const HessianOptions& options);

}  // namespace eqo
