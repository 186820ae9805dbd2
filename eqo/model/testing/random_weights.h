#pragma once
#include "eqo/kernels/weight_code.h"
#include "eqo/model/graph.h"
#include "eqo/model/testing/random_source.h"

namespace eqo::testing {

// A weight code of 1 to 8 bits: two's complement, symmetric, or anything that WeightCode allows at a modest size.
WeightCode random_code(RandomSource& random);

// Weights and bias for a convolution with this input; everything else gets a scale alone.
NodeSecrets random_secrets(const Node& node, const Shape* input, RandomSource& random);

}  // namespace eqo::testing
