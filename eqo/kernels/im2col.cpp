#include "eqo/kernels/im2col.h"

#include <algorithm>

#include "eqo/core/error.h"

namespace eqo {
namespace {

// The output positions [first, last) whose input position first_in + i * stride lies inside [0, n).
struct Inside {
  std::int64_t first, last;
};
Inside inside(std::int64_t first_in, std::int64_t stride, std::int64_t n, std::int64_t outputs) {
  const std::int64_t first = first_in >= 0 ? 0 : (-first_in + stride - 1) / stride;
  const std::int64_t last = first_in >= n ? 0 : (n - 1 - first_in) / stride + 1;
  return {std::min(first, outputs), std::clamp(last, std::min(first, outputs), outputs)};
}

}  // namespace

template <Lane L>
void im2col(const Shape& in, const Window& w, std::size_t batch, std::span<const L> x, std::span<L> v,
            ThreadPool& threads) {
  const std::int64_t oh = w.out_h(in.h), ow = w.out_w(in.w), taps = w.kernel_h * w.kernel_w;
  const auto image = static_cast<std::size_t>(in.size()), pixels = static_cast<std::size_t>(oh * ow);
  const auto rows = static_cast<std::size_t>(in.c * taps);
  if (x.size() != batch * image || v.size() != rows * batch * pixels)
    throw internal_error("im2col: a buffer does not fit the shape");

  threads.parallel_for(rows, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t row = begin; row < end; ++row) {
      const auto r = static_cast<std::int64_t>(row);
      const std::int64_t c = r / taps, ky = r % taps / w.kernel_w, kx = r % w.kernel_w;
      const std::int64_t y0 = ky * w.dilation_h - w.pad_top, x0 = kx * w.dilation_w - w.pad_left;
      const Inside cols = inside(x0, w.stride_w, in.w, ow);
      for (std::size_t n = 0; n < batch; ++n) {
        const L* plane = x.data() + n * image + static_cast<std::size_t>(c * in.h * in.w);
        L* to = v.data() + (row * batch + n) * pixels;
        for (std::int64_t oy = 0; oy < oh; ++oy, to += ow) {
          const std::int64_t y = oy * w.stride_h + y0;
          if (y < 0 || y >= in.h) {
            std::fill_n(to, ow, L{0});
            continue;
          }
          std::fill_n(to, cols.first, L{0});
          if (cols.first < cols.last) {
            const L* from = plane + y * in.w + x0 + cols.first * w.stride_w;
            if (w.stride_w == 1) {
              std::copy_n(from, cols.last - cols.first, to + cols.first);
            } else {
              for (std::int64_t ox = cols.first; ox < cols.last; ++ox) to[ox] = from[(ox - cols.first) * w.stride_w];
            }
          }
          std::fill(to + cols.last, to + ow, L{0});
        }
      }
    }
  });
}

template <Lane L>
void columns_to_images(std::size_t channels, std::size_t batch, std::size_t pixels, std::span<const L> m,
                       std::span<L> y) {
  if (m.size() != channels * batch * pixels || y.size() != m.size())
    throw internal_error("columns_to_images: a buffer does not fit the shape");
  for (std::size_t k = 0; k < channels; ++k)
    for (std::size_t n = 0; n < batch; ++n)
      std::copy_n(m.data() + (k * batch + n) * pixels, pixels, y.data() + (n * channels + k) * pixels);
}

template void im2col<std::uint32_t>(const Shape&, const Window&, std::size_t, std::span<const std::uint32_t>,
                                    std::span<std::uint32_t>, ThreadPool&);
template void im2col<std::uint64_t>(const Shape&, const Window&, std::size_t, std::span<const std::uint64_t>,
                                    std::span<std::uint64_t>, ThreadPool&);
template void columns_to_images<std::uint32_t>(std::size_t, std::size_t, std::size_t, std::span<const std::uint32_t>,
                                               std::span<std::uint32_t>);
template void columns_to_images<std::uint64_t>(std::size_t, std::size_t, std::size_t, std::span<const std::uint64_t>,
                                               std::span<std::uint64_t>);

}  // namespace eqo
