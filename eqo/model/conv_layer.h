#pragma once
#include "eqo/kernels/convolution.h"
#include "eqo/model/graph.h"

namespace eqo {

// A kConv node in the terms of the kernels: its shape, given its input's, and its weights with their codes.
ConvShape conv_shape(const Node& node, const Shape& input);
ConvWeights conv_weights(const Node& node, const NodeSecrets& secrets);

}  // namespace eqo
