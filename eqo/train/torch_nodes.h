#pragma once
#include <vector>

#include "eqo/train/torch_forward.h"

namespace eqo {

// Internal to the layer. The parameters of a graph without batch norms, for running it; with the taps of the
// convolutions that Winograd's algorithm can do, if asked for.
std::vector<TorchNode> torch_nodes(const FloatGraph& graph, bool winograd);

}  // namespace eqo
