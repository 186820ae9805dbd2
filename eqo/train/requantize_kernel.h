#pragma once
#include <cstddef>

#include "eqo/train/quant_ops.h"

namespace eqo {

// Internal to the layer: requantize() of quant_ops.h and its gradient, element by element.
void requantize_values(const Requantization& how, std::size_t n, const float* x, float* out);
// dx = dy / 2^shift where x + constant > 0 or there is no ReLU, and the pull towards the range.
void requantize_gradient(const Requantization& how, std::size_t n, const float* x, const float* dy, float* dx);

}  // namespace eqo
