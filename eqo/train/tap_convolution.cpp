#include "eqo/train/tap_convolution.h"

#include <ATen/ATen.h>

#include <array>

#include "eqo/train/torch_util.h"

namespace eqo {

using at::Tensor;

Tensor tap_convolution(const Tensor& x, const Tensor& u, const Tensor& bias, const Window& w) {
  const std::int64_t k = bias.size(0), c = x.size(1);
  const Tensor a = from_values({1, 0, 1, 1, 1, -1, 0, -1}, {4, 2}, "transform");
  const Tensor b = from_values({1, 0, -1, 0, 0, 1, 1, 0, 0, -1, 1, 0, 0, 1, 0, -1}, {4, 4}, "transform");
  const Tensor kernels =
      at::einsum("pr,qs,pm,qn,pqkc->krscmn", {a, a, b, b, u.reshape({4, 4, k, c})}).reshape({4 * k, c, 4, 4});
  const std::int64_t h = w.out_h(x.size(2)), width = w.out_w(x.size(3));
  // Tiles that reach over the edge.
  const Tensor padded =
      at::constant_pad_nd(x, {w.pad_left, w.pad_right + width % 2, w.pad_top, w.pad_bottom + h % 2}, 0);
  const std::array<std::int64_t, 2> stride{2, 2};
  const Tensor tiles = at::conv2d(padded, kernels, bias.repeat_interleave(4), stride);
  return at::pixel_shuffle(tiles, 2).slice(2, 0, h).slice(3, 0, width);
}

}  // namespace eqo
