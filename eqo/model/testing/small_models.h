#pragma once
#include <cstdint>
#include <vector>

#include "eqo/model/graph.h"

namespace eqo::testing {

// Hand-made models whose results are obvious.

// sum w_i x_i + bias, 8-bit two's complement weights, in a ring of ring_bits; the image has input_bits.
Model dot_product(const std::vector<std::int64_t>& weights, std::int64_t bias, unsigned ring_bits, unsigned input_bits);

// 2^(ring - 9 + excess) * (x_0 + x_1), in wide rings by two products with a ReLU between and less a bias of 2^61: at
// the edge of the ring for the largest images, or with an excess of some bits beyond it.
Model scaled_sum(unsigned ring_bits, unsigned excess);

// max(x_0, x_1) over a 1x2 window.
Model max_of_two(unsigned ring_bits);

// The index of the greatest of n values.
Model arg_max(std::int64_t n, unsigned ring_bits);

}  // namespace eqo::testing
