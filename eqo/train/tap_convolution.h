#pragma once
#include <ATen/core/Tensor.h>

#include "eqo/core/shape.h"

namespace eqo {

// Internal to the layer. Winograd's convolution F(2x2, 3x3) with taps u [16][K * C] of their own, as the convolution by
// 4x4 kernels with stride 2 and 4 K outputs, linear in u, that it is: y[2i + r][2j + s] is output (r, s) of tile (i,
// j). Of the library's own differentiable operations alone, so that gradients have gradients. bias [K]; result channels
// first.
at::Tensor tap_convolution(const at::Tensor& x, const at::Tensor& u, const at::Tensor& bias, const Window& window);

}  // namespace eqo
