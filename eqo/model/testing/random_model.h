#pragma once
#include <cstdint>
#include <vector>

#include "eqo/model/graph.h"

namespace eqo::testing {

// A small valid model, a function of the seed alone: every step of graph.h in odd sizes, strides, paddings, dilations
// and groups, both convolution domains, random weight codes (offsets, signs, repeated and large exponents, tap shifts),
// residual additions with shifts and signs, clipping, concatenation, pooling, extensions with each knowledge of the
// sign, rings of 1 to 64 bits (mostly 8 to 30). About half of the accumulators may wrap. At most 2000 elements a tensor
// and about 25 steps: one run of the twin takes a fraction of a millisecond.
Model random_model(std::uint64_t seed);

// The same public plan with other weights and biases.
Model with_random_weights(const PublicPlan& plan, std::uint64_t seed);

// A quantized image of the plan: uniform, all zero, or of the greatest magnitudes, as the seed says.
std::vector<Word> random_image(const PublicPlan& plan, std::uint64_t seed);

}  // namespace eqo::testing
