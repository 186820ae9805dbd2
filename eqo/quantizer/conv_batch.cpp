#include "eqo/quantizer/conv_batch.h"

#include <algorithm>
#include <cmath>

#include "eqo/core/error.h"
#include "eqo/core/thread_pool.h"
#include "eqo/quantizer/gemm.h"

namespace eqo::quant {
namespace {

constexpr std::size_t kColumnsPerCall = 1024;  // enough to amortise packing, small enough for the cache

std::int64_t largest(std::span<const std::int64_t> values) {
  std::int64_t m = 0;
  for (const std::int64_t v : values) m = std::max(m, std::abs(v));
  return m;
}

// Largest sum of magnitudes over one filter.
double filter_norm(std::span<const std::int64_t> weight, std::size_t inner) {
  double most = 0;
  for (std::size_t k = 0; k + inner <= weight.size(); k += inner) {
    double sum = 0;
    for (std::size_t i = 0; i < inner; ++i) sum += std::abs(static_cast<double>(weight[k + i]));
    most = std::max(most, sum);
  }
  return most;
}

// True if float holds every partial sum exactly; throws if not even double does.
bool fits_float(double bound) {
  if (!(bound < 0x1p53))
    throw model_error("a convolution's integer sums could reach 2^53", "use narrower weights or activations");
  return bound < 0x1p24;
}

// F: type of the arithmetic; T: type of the tensors.
template <class F, class T, class W>
Batch<T> convolve_as(const Batch<T>& x, const ConvSpec& spec, std::span<const W> weight, std::span<const W> bias,
                     ThreadPool& pool) {
  const Window& win = spec.window;
  const Shape shape{spec.filters, win.out_h(x.shape.h), win.out_w(x.shape.w)};
  const auto groups = static_cast<std::size_t>(spec.groups);
  const auto rows = static_cast<std::size_t>(spec.filters) / groups;
  const auto inner = static_cast<std::size_t>(x.shape.c / spec.groups * win.kernel_h * win.kernel_w);
  const auto positions = static_cast<std::size_t>(shape.h * shape.w);
  std::vector<PackedMatrix<F>> packed;
  for (std::size_t g = 0; g < groups; ++g) {
    const auto part = weight.subspan(g * rows * inner, rows * inner);
    packed.emplace_back(std::vector<F>(part.begin(), part.end()), rows, inner);
  }
  Batch<T> out(shape, x.count);
  const std::size_t per_call = std::max<std::size_t>(1, kColumnsPerCall / positions);
  const std::size_t calls = (x.count + per_call - 1) / per_call;
  const std::size_t ld = PackedMatrix<F>::padded_cols(per_call * positions);
  pool.parallel_for(calls, 1, [&](std::size_t begin, std::size_t end) {
    std::vector<F> columns(inner * ld), product(packed.front().padded_rows() * ld);
    for (std::size_t call = begin; call < end; ++call) {
      const std::size_t first = call * per_call, count = std::min(per_call, x.count - first);
      for (std::size_t g = 0; g < groups; ++g) {
        batch_columns(x, spec, static_cast<std::int64_t>(g), first, count, ld, columns.data());
        packed[g].multiply(columns, ld, product);
        for (std::size_t n = 0; n < count; ++n)
          for (std::size_t r = 0; r < rows; ++r) {
            const T b = bias.empty() ? T{0} : static_cast<T>(bias[g * rows + r]);
            const F* p = product.data() + r * ld + n * positions;
            T* o = out.image(first + n) + (g * rows + r) * positions;
            for (std::size_t i = 0; i < positions; ++i) o[i] = static_cast<T>(p[i]) + b;
          }
      }
    }
  });
  return out;
}

template <class F>
IntBatch winograd_as(const IntBatch& x, const Window& window, std::int64_t filters, std::span<const std::int64_t> u,
                     std::span<const std::int64_t> bias, ThreadPool& pool) {
  const Shape in = x.shape, shape{filters, window.out_h(in.h), window.out_w(in.w)};
  const auto rows = static_cast<std::size_t>(filters), inner = static_cast<std::size_t>(in.c);
  const auto tiles = static_cast<std::size_t>(winograd_tile_count(shape.h, shape.w));
  std::vector<PackedMatrix<F>> packed;
  for (std::size_t p = 0; p < 16; ++p) {
    const auto tap = u.subspan(p * rows * inner, rows * inner);
    packed.emplace_back(std::vector<F>(tap.begin(), tap.end()), rows, inner);
  }
  IntBatch out(shape, x.count);
  const std::size_t ld = PackedMatrix<F>::padded_cols(tiles), plane = packed[0].padded_rows() * ld;
  pool.parallel_for(x.count, 1, [&](std::size_t begin, std::size_t end) {
    std::vector<F> v(16 * inner * ld), m(16 * plane);
    for (std::size_t n = begin; n < end; ++n) {
      winograd_tiles(x.image(n), in, window, v.data(), ld);
      for (std::size_t p = 0; p < 16; ++p)
        packed[p].multiply(std::span(v).subspan(p * inner * ld, inner * ld), ld,
                           std::span(m).subspan(p * plane, plane));
      for (std::size_t k = 0; k < rows; ++k) {
        const std::int64_t b = bias.empty() ? 0 : bias[k];
        std::int64_t* o = out.image(n) + static_cast<std::int64_t>(k) * shape.h * shape.w;
        for (std::size_t t = 0; t < tiles; ++t) {
          const F* q = m.data() + k * ld + t;
          F s[2][4];  // A^T M
          for (std::size_t j = 0; j < 4; ++j) {
            const F m0 = q[j * plane], m1 = q[(4 + j) * plane], m2 = q[(8 + j) * plane], m3 = q[(12 + j) * plane];
            s[0][j] = m0 + m1 + m2;
            s[1][j] = m1 - m2 - m3;
          }
          const std::int64_t per_row = (shape.w + 1) / 2, signed_t = static_cast<std::int64_t>(t);
          const std::int64_t y = signed_t / per_row * 2, z = signed_t % per_row * 2;
          for (std::int64_t i = 0; i < 2 && y + i < shape.h; ++i) {
            o[(y + i) * shape.w + z] = static_cast<std::int64_t>(s[i][0] + s[i][1] + s[i][2]) + b;
            if (z + 1 < shape.w)
              o[(y + i) * shape.w + z + 1] = static_cast<std::int64_t>(s[i][1] - s[i][2] - s[i][3]) + b;
          }
        }
      }
    }
  });
  return out;
}

}  // namespace

template <class F, class T>
void batch_columns(const Batch<T>& x, const ConvSpec& spec, std::int64_t group, std::size_t first, std::size_t count,
                   std::size_t ld, F* columns) {
  const Window& win = spec.window;
  const Shape in = x.shape;
  const std::int64_t oh = win.out_h(in.h), ow = win.out_w(in.w), channels = in.c / spec.groups;
  for (std::int64_t c = 0; c < channels; ++c)
    for (std::int64_t i = 0; i < win.kernel_h; ++i)
      for (std::int64_t j = 0; j < win.kernel_w; ++j, columns += ld) {
        F* o = columns;
        for (std::size_t n = 0; n < count; ++n) {
          const T* plane = x.image(first + n) + (group * channels + c) * in.h * in.w;
          for (std::int64_t y = 0; y < oh; ++y, o += ow) {
            const std::int64_t r = y * win.stride_h - win.pad_top + i * win.dilation_h;
            if (r < 0 || r >= in.h) {
              std::fill_n(o, ow, F{0});
              continue;
            }
            const T* row = plane + r * in.w;
            for (std::int64_t z = 0; z < ow; ++z) {
              const std::int64_t s = z * win.stride_w - win.pad_left + j * win.dilation_w;
              o[z] = s >= 0 && s < in.w ? static_cast<F>(row[s]) : F{0};
            }
          }
        }
        std::fill(o, columns + ld, F{0});
      }
}

template <class F, class T>
void winograd_tiles(const T* image, const Shape& in, const Window& window, F* v, std::size_t ld) {
  const std::int64_t oh = window.out_h(in.h), ow = window.out_w(in.w);
  const auto channels = static_cast<std::size_t>(in.c);
  for (std::size_t c = 0; c < channels; ++c) {
    const T* plane = image + static_cast<std::int64_t>(c) * in.h * in.w;
    std::size_t t = 0;
    for (std::int64_t y = 0; y < oh; y += 2)
      for (std::int64_t z = 0; z < ow; z += 2, ++t) {
        F d[4][4], h[4][4];
        for (std::int64_t i = 0; i < 4; ++i)
          for (std::int64_t j = 0; j < 4; ++j) {
            const std::int64_t r = y + i - window.pad_top, s = z + j - window.pad_left;
            d[i][j] = r >= 0 && r < in.h && s >= 0 && s < in.w ? static_cast<F>(plane[r * in.w + s]) : F{0};
          }
        for (std::size_t j = 0; j < 4; ++j) {
          h[0][j] = d[0][j] - d[2][j];
          h[1][j] = d[1][j] + d[2][j];
          h[2][j] = d[2][j] - d[1][j];
          h[3][j] = d[1][j] - d[3][j];
        }
        for (std::size_t i = 0; i < 4; ++i) {
          const F taps[4] = {h[i][0] - h[i][2], h[i][1] + h[i][2], h[i][2] - h[i][1], h[i][1] - h[i][3]};
          for (std::size_t j = 0; j < 4; ++j) v[((4 * i + j) * channels + c) * ld + t] = taps[j];
        }
      }
    for (std::size_t p = 0; p < 16; ++p) {
      F* row = v + (p * channels + c) * ld;
      std::fill(row + t, row + ld, F{0});
    }
  }
}

template void batch_columns<float, float>(const FloatBatch&, const ConvSpec&, std::int64_t, std::size_t, std::size_t,
                                          std::size_t, float*);
template void batch_columns<float, std::int64_t>(const IntBatch&, const ConvSpec&, std::int64_t, std::size_t,
                                                 std::size_t, std::size_t, float*);
template void batch_columns<double, std::int64_t>(const IntBatch&, const ConvSpec&, std::int64_t, std::size_t,
                                                  std::size_t, std::size_t, double*);
template void winograd_tiles<float, float>(const float*, const Shape&, const Window&, float*, std::size_t);
template void winograd_tiles<float, std::int64_t>(const std::int64_t*, const Shape&, const Window&, float*,
                                                  std::size_t);
template void winograd_tiles<double, std::int64_t>(const std::int64_t*, const Shape&, const Window&, double*,
                                                   std::size_t);

FloatBatch convolve(const FloatBatch& x, const ConvSpec& spec, std::span<const float> weight,
                    std::span<const float> bias, ThreadPool& pool) {
  return convolve_as<float>(x, spec, weight, bias, pool);
}

IntBatch convolve(const IntBatch& x, const ConvSpec& spec, std::span<const std::int64_t> weight,
                  std::span<const std::int64_t> bias, ThreadPool& pool) {
  const double bound = filter_norm(weight, weight.size() / static_cast<std::size_t>(spec.filters)) *
                       static_cast<double>(largest(x.data));
  if (fits_float(bound)) return convolve_as<float>(x, spec, weight, bias, pool);
  return convolve_as<double>(x, spec, weight, bias, pool);
}

IntBatch convolve_winograd(const IntBatch& x, const Window& window, std::int64_t filters,
                           std::span<const std::int64_t> u, std::span<const std::int64_t> bias, ThreadPool& pool) {
  const auto inner = static_cast<std::size_t>(x.shape.c);
  // |B^T X B| is at most four values of x; A^T M A sums at most nine taps.
  const double bound = filter_norm(u, inner) * 9 * 4 * static_cast<double>(largest(x.data));
  if (fits_float(bound)) return winograd_as<float>(x, window, filters, u, bias, pool);
  return winograd_as<double>(x, window, filters, u, bias, pool);
}

}  // namespace eqo::quant
