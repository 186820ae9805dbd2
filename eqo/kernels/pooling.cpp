#include "eqo/kernels/pooling.h"

#include <algorithm>
#include <initializer_list>

#include "eqo/core/error.h"

namespace eqo {
namespace {

constexpr std::int64_t kMaxExtent = std::int64_t{1} << 24;

bool bounded(std::initializer_list<std::int64_t> factors) {
  std::int64_t left = std::int64_t{1} << 40;
  for (const std::int64_t f : factors) left /= f;
  return left > 0;
}

// Calls f(output, input) for the outputs whose input position first_in + output * stride lies in [0, n).
template <typename F>
void for_each_position(std::int64_t first_in, std::int64_t stride, std::int64_t n, std::int64_t outputs, F&& f) {
  for (std::int64_t o = 0; o < outputs; ++o) {
    const std::int64_t i = first_in + o * stride;
    if (i >= 0 && i < n) f(o, i);
  }
}

// Calls f(output position, input position) for the places of kernel element (ky, kx) that lie inside the plane.
template <typename F>
void for_each_inside(const Shape& in, const Window& w, const Shape& out, std::int64_t ky, std::int64_t kx, F&& f) {
  for_each_position(ky * w.dilation_h - w.pad_top, w.stride_h, in.h, out.h, [&](std::int64_t oy, std::int64_t y) {
    for_each_position(kx * w.dilation_w - w.pad_left, w.stride_w, in.w, out.w,
                      [&](std::int64_t ox, std::int64_t x) { f(oy * out.w + ox, y * in.w + x); });
  });
}

}  // namespace

void check_pool(const Shape& in, const Window& w) {
  auto refuse = [&](const char* what) {
    throw model_error("pooling of " + in.to_string() + ": " + what, "check the layer's attributes and input size");
  };
  for (const std::int64_t v :
       {in.c, in.h, in.w, w.kernel_h, w.kernel_w, w.stride_h, w.stride_w, w.dilation_h, w.dilation_w})
    if (v < 1 || v > kMaxExtent) refuse("a size, stride or dilation is not in 1..2^24");
  for (const std::int64_t v : {w.pad_top, w.pad_left, w.pad_bottom, w.pad_right})
    if (v < 0 || v > kMaxExtent) refuse("a padding is not in 0..2^24");
  if (w.dilation_h * (w.kernel_h - 1) >= in.h + w.pad_top + w.pad_bottom ||
      w.dilation_w * (w.kernel_w - 1) >= in.w + w.pad_left + w.pad_right)
    refuse("the window does not fit the padded input");
  if (!bounded({in.c, in.h, in.w}) || !bounded({in.c, w.kernel_h, w.kernel_w, w.out_h(in.h), w.out_w(in.w)}))
    refuse("it is too large");
}

Shape pool_shape(const Shape& in, const Window& w) { return {in.c, w.out_h(in.h), w.out_w(in.w)}; }

Words sum_pool(const Shape& in, const Window& w, std::size_t batch, Ring ring, std::span<const Word> x,
               ThreadPool& threads) {
  const Shape out = pool_shape(in, w);
  const auto planes = batch * static_cast<std::size_t>(in.c);
  const auto in_plane = static_cast<std::size_t>(in.h * in.w), out_plane = static_cast<std::size_t>(out.h * out.w);
  if (x.size() != planes * in_plane) throw internal_error("sum_pool: the input does not fit the shape");
  Words y(planes * out_plane);
  threads.parallel_for(planes, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t p = begin; p < end; ++p) {
      const Word* from = x.data() + p * in_plane;
      Word* to = y.data() + p * out_plane;
      for (std::int64_t ky = 0; ky < w.kernel_h; ++ky)
        for (std::int64_t kx = 0; kx < w.kernel_w; ++kx)
          for_each_inside(in, w, out, ky, kx, [&](std::int64_t o, std::int64_t i) { to[o] += from[i]; });
      for (std::size_t i = 0; i < out_plane; ++i) to[i] = ring.reduce(to[i]);
    }
  });
  return y;
}

Words gather_windows(const Shape& in, const Window& w, std::size_t batch, std::span<const Word> x, Word fill) {
  const Shape out = pool_shape(in, w);
  const auto planes = batch * static_cast<std::size_t>(in.c);
  const auto in_plane = static_cast<std::size_t>(in.h * in.w), out_plane = static_cast<std::size_t>(out.h * out.w);
  if (x.size() != planes * in_plane) throw internal_error("gather_windows: the input does not fit the shape");
  Words y(static_cast<std::size_t>(w.kernel_h * w.kernel_w) * planes * out_plane);
  std::fill(y.begin(), y.end(), fill);
  Word* to = y.data();
  for (std::int64_t ky = 0; ky < w.kernel_h; ++ky)
    for (std::int64_t kx = 0; kx < w.kernel_w; ++kx)
      for (std::size_t p = 0; p < planes; ++p, to += out_plane) {
        const Word* from = x.data() + p * in_plane;
        for_each_inside(in, w, out, ky, kx, [&](std::int64_t o, std::int64_t i) { to[o] = from[i]; });
      }
  return y;
}

}  // namespace eqo
