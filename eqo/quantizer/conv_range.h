#pragma once
#include <cstdint>
#include <span>
#include <utility>

#include "eqo/model/graph.h"

namespace eqo::quant {

// The interval that a convolution's outputs can't leave for any input in [lo, hi] (zeros of the padding included), with
// these weights; `weights` in units of the step, layout as in NodeSecrets. Winograd tiles are bounded through their
// effective kernels.
std::pair<std::int64_t, std::int64_t> conv_range(const Node& node, std::span<const std::int64_t> weights,
                                                 std::span<const std::int64_t> bias, const Shape& input,
                                                 std::int64_t lo, std::int64_t hi);

// The same for any weights that the node's codes can express and any bias up to the largest sum of products; throws
// model_error if the bias is beyond that.
std::pair<std::int64_t, std::int64_t> conv_range(const Node& node, std::span<const std::int64_t> bias,
                                                 const Shape& input, std::int64_t lo, std::int64_t hi);

}  // namespace eqo::quant
