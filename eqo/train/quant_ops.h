#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "eqo/core/shape.h"

namespace eqo {

// Internal to the layer: differentiable integer steps on integers in float32 tensors, exact while sums of magnitudes
// stay below 2^24. Rounding counts as the identity in the backward pass (straight-through estimator; Bengio, Leonard,
// Courville, "Estimating or Propagating Gradients Through Stochastic Neurons", 2013).

// Rounds v [taps][n] to the nearest of its tap's ascending levels. The gradient passes where v lies between the
// outermost levels or a step against the gradient brings it back there.
at::Tensor round_to_levels(const at::Tensor& v, const std::vector<std::vector<float>>& levels);

// To the nearest integer, ties to even.
at::Tensor round_to_integer(const at::Tensor& x);

struct Requantization {
  float constant = 0;
  bool relu = false;
  unsigned shift = 0;
  float limit = 0;    // 0: none. Where x + constant is beyond +-limit, the backward pass pulls it back with
  float penalty = 0;  // penalty * excess / limit^2: the gradient of penalty / 2 * (excess / limit)^2
};
// floor(r(x + constant) / 2^shift), r = max(0, .) or the identity.
at::Tensor requantize(const at::Tensor& x, const Requantization& how);

// Winograd's convolution F(2x2, 3x3) with weights u [16][K * C] of their own and bias [K] (winograd_kernel.h).
// x [N][C][h][w] channels-last; `window` is the 3x3 one.
at::Tensor winograd_convolution(const at::Tensor& x, const at::Tensor& u, const at::Tensor& bias, const Window& window);

}  // namespace eqo
