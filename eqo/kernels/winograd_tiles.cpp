#include "eqo/kernels/winograd_tiles.h"

#include <algorithm>

#include "eqo/core/error.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "eqo/kernels/winograd_tiles.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace eqo {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Lanes(d) tiles side by side. Input row i of the tiles is given as its even and its odd columns.
template <class D, typename L>
HWY_INLINE void input_tiles(D d, const L* even, const L* odd, std::size_t row_stride, L* v, std::size_t tap_stride) {
  hn::Vec<D> b[4][4];
  for (std::size_t j = 0; j < 4; ++j) {
    const L* column = (j % 2 == 0 ? even : odd) + j / 2;
    const auto x0 = hn::LoadU(d, column), x1 = hn::LoadU(d, column + row_stride);
    const auto x2 = hn::LoadU(d, column + 2 * row_stride), x3 = hn::LoadU(d, column + 3 * row_stride);
    b[0][j] = x0 - x2;
    b[1][j] = x1 + x2;
    b[2][j] = x2 - x1;
    b[3][j] = x1 - x3;
  }
  for (std::size_t i = 0; i < 4; ++i, v += 4 * tap_stride) {
    hn::StoreU(b[i][0] - b[i][2], d, v);
    hn::StoreU(b[i][1] + b[i][2], d, v + tap_stride);
    hn::StoreU(b[i][2] - b[i][1], d, v + 2 * tap_stride);
    hn::StoreU(b[i][1] - b[i][3], d, v + 3 * tap_stride);
  }
}

// The four output phases of Lanes(d) tiles, each to its own array.
template <class D, typename L>
HWY_INLINE void output_tiles(D d, const L* m, std::size_t tap_stride, L* const* y) {
  hn::Vec<D> top[4], bottom[4];
  for (std::size_t j = 0; j < 4; ++j, m += tap_stride) {
    const auto m0 = hn::LoadU(d, m), m1 = hn::LoadU(d, m + 4 * tap_stride);
    const auto m2 = hn::LoadU(d, m + 8 * tap_stride), m3 = hn::LoadU(d, m + 12 * tap_stride);
    top[j] = m0 + m1 + m2;
    bottom[j] = m1 - m2 - m3;
  }
  hn::StoreU(top[0] + top[1] + top[2], d, y[0]);
  hn::StoreU(top[1] - top[2] - top[3], d, y[1]);
  hn::StoreU(bottom[0] + bottom[1] + bottom[2], d, y[2]);
  hn::StoreU(bottom[1] - bottom[2] - bottom[3], d, y[3]);
}

template <typename L>
HWY_INLINE void input_row(const L* even, const L* odd, std::size_t row_stride, std::size_t tiles, L* v,
                          std::size_t tap_stride) {
  const hn::ScalableTag<L> d;
  const hn::CappedTag<L, 4> four;
  const hn::CappedTag<L, 1> one;
  std::size_t x = 0;
  for (; x + hn::Lanes(d) <= tiles; x += hn::Lanes(d)) input_tiles(d, even + x, odd + x, row_stride, v + x, tap_stride);
  for (; x + hn::Lanes(four) <= tiles; x += hn::Lanes(four))
    input_tiles(four, even + x, odd + x, row_stride, v + x, tap_stride);
  for (; x < tiles; ++x) input_tiles(one, even + x, odd + x, row_stride, v + x, tap_stride);
}

// y holds four arrays of `tiles` elements, one behind the other.
template <typename L>
HWY_INLINE void output_row(const L* m, std::size_t tap_stride, std::size_t tiles, L* y) {
  const hn::ScalableTag<L> d;
  const hn::CappedTag<L, 4> four;
  const hn::CappedTag<L, 1> one;
  L* phases[4] = {y, y + tiles, y + 2 * tiles, y + 3 * tiles};
  std::size_t x = 0;
  auto advance = [&](std::size_t n) {
    x += n;
    for (L*& p : phases) p += n;
  };
  while (x + hn::Lanes(d) <= tiles) {
    output_tiles(d, m + x, tap_stride, phases);
    advance(hn::Lanes(d));
  }
  while (x + hn::Lanes(four) <= tiles) {
    output_tiles(four, m + x, tap_stride, phases);
    advance(hn::Lanes(four));
  }
  while (x < tiles) {
    output_tiles(one, m + x, tap_stride, phases);
    advance(1);
  }
}

#define EQO_WINOGRAD_ROWS(L, bits)                                                                   \
  void input_row##bits(const L* even, const L* odd, std::size_t row_stride, std::size_t tiles, L* v, \
                       std::size_t tap_stride) {                                                     \
    input_row(even, odd, row_stride, tiles, v, tap_stride);                                          \
  }                                                                                                  \
  void output_row##bits(const L* m, std::size_t tap_stride, std::size_t tiles, L* y) {               \
    output_row(m, tap_stride, tiles, y);                                                             \
  }
EQO_WINOGRAD_ROWS(std::uint32_t, 32)
EQO_WINOGRAD_ROWS(std::uint64_t, 64)
#undef EQO_WINOGRAD_ROWS

}  // namespace HWY_NAMESPACE
}  // namespace eqo
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eqo {
namespace {

HWY_EXPORT(input_row32);
HWY_EXPORT(input_row64);
HWY_EXPORT(output_row32);
HWY_EXPORT(output_row64);

void input_row(const std::uint32_t* even, const std::uint32_t* odd, std::size_t row_stride, std::size_t tiles,
               std::uint32_t* v, std::size_t tap_stride) {
  HWY_DYNAMIC_DISPATCH(input_row32)(even, odd, row_stride, tiles, v, tap_stride);
}
void input_row(const std::uint64_t* even, const std::uint64_t* odd, std::size_t row_stride, std::size_t tiles,
               std::uint64_t* v, std::size_t tap_stride) {
  HWY_DYNAMIC_DISPATCH(input_row64)(even, odd, row_stride, tiles, v, tap_stride);
}
void output_row(const std::uint32_t* m, std::size_t tap_stride, std::size_t tiles, std::uint32_t* y) {
  HWY_DYNAMIC_DISPATCH(output_row32)(m, tap_stride, tiles, y);
}
void output_row(const std::uint64_t* m, std::size_t tap_stride, std::size_t tiles, std::uint64_t* y) {
  HWY_DYNAMIC_DISPATCH(output_row64)(m, tap_stride, tiles, y);
}

}  // namespace

template <Lane L>
void winograd_input(const Shape& in, std::int64_t pad_top, std::int64_t pad_left, TileGrid grid, std::size_t batch,
                    std::span<const L> x, std::span<L> v, ThreadPool& threads) {
  const auto channels = static_cast<std::size_t>(in.c), image = static_cast<std::size_t>(in.size());
  const std::size_t tiles = grid.tiles(), tap_stride = channels * batch * tiles;
  if (x.size() != batch * image || v.size() != kWinogradTaps * tap_stride)
    throw internal_error("winograd_input: a buffer does not fit the shape");
  const std::int64_t rows = grid.rows(), cols = grid.cols();
  const auto half = static_cast<std::size_t>(cols + 1);  // even (or odd) columns of a padded row

  threads.parallel_for(channels, 1, [&](std::size_t begin, std::size_t end) {
    // The padded plane, its even and its odd columns apart.
    const auto padded_rows = static_cast<std::size_t>(2 * rows + 2);
    Lanes<L> even(padded_rows * half), odd(padded_rows * half);
    for (std::size_t c = begin; c < end; ++c) {
      for (std::size_t n = 0; n < batch; ++n) {
        const L* plane = x.data() + n * image + c * static_cast<std::size_t>(in.h * in.w);
        for (std::size_t r = 0; r < padded_rows; ++r) {
          const std::int64_t y = static_cast<std::int64_t>(r) - pad_top;
          L* e = even.data() + r * half;
          L* o = odd.data() + r * half;
          if (y < 0 || y >= in.h) {
            std::fill_n(e, half, L{0});
            std::fill_n(o, half, L{0});
            continue;
          }
          const L* row = plane + y * in.w;
          for (std::int64_t i = 0; i <= cols; ++i) {
            const std::int64_t x0 = 2 * i - pad_left;
            e[i] = x0 >= 0 && x0 < in.w ? row[x0] : 0;
            o[i] = x0 + 1 >= 0 && x0 + 1 < in.w ? row[x0 + 1] : 0;
          }
        }
        L* to = v.data() + (c * batch + n) * tiles;
        for (std::size_t ty = 0; ty < static_cast<std::size_t>(rows); ++ty)
          input_row(even.data() + 2 * ty * half, odd.data() + 2 * ty * half, half, static_cast<std::size_t>(cols),
                    to + ty * static_cast<std::size_t>(cols), tap_stride);
      }
    }
  });
}

template <Lane L>
void winograd_output(std::size_t channels, TileGrid grid, std::size_t batch, std::span<const L> m, std::span<L> y,
                     ThreadPool& threads) {
  const std::size_t tiles = grid.tiles(), tap_stride = channels * batch * tiles;
  const auto pixels = static_cast<std::size_t>(grid.out_h * grid.out_w);
  if (m.size() != kWinogradTaps * tap_stride || y.size() != batch * channels * pixels)
    throw internal_error("winograd_output: a buffer does not fit the shape");
  const auto cols = static_cast<std::size_t>(grid.cols());

  threads.parallel_for(channels, 1, [&](std::size_t begin, std::size_t end) {
    Lanes<L> phases(4 * cols);
    for (std::size_t k = begin; k < end; ++k) {
      for (std::size_t n = 0; n < batch; ++n) {
        const L* from = m.data() + (k * batch + n) * tiles;
        L* plane = y.data() + (n * channels + k) * pixels;
        for (std::int64_t ty = 0; ty < grid.rows(); ++ty) {
          output_row(from + static_cast<std::size_t>(ty) * cols, tap_stride, cols, phases.data());
          for (std::int64_t i = 0; i < 2 && 2 * ty + i < grid.out_h; ++i) {
            const L* left = phases.data() + static_cast<std::size_t>(2 * i) * cols;
            const L* right = left + cols;
            L* row = plane + (2 * ty + i) * grid.out_w;
            const std::int64_t pairs = grid.out_w / 2;
            for (std::int64_t p = 0; p < pairs; ++p) {
              row[2 * p] = left[p];
              row[2 * p + 1] = right[p];
            }
            if (grid.out_w % 2 != 0) row[grid.out_w - 1] = left[pairs];
          }
        }
      }
    }
  });
}

template void winograd_input<std::uint32_t>(const Shape&, std::int64_t, std::int64_t, TileGrid, std::size_t,
                                            std::span<const std::uint32_t>, std::span<std::uint32_t>, ThreadPool&);
template void winograd_input<std::uint64_t>(const Shape&, std::int64_t, std::int64_t, TileGrid, std::size_t,
                                            std::span<const std::uint64_t>, std::span<std::uint64_t>, ThreadPool&);
template void winograd_output<std::uint32_t>(std::size_t, TileGrid, std::size_t, std::span<const std::uint32_t>,
                                             std::span<std::uint32_t>, ThreadPool&);
template void winograd_output<std::uint64_t>(std::size_t, TileGrid, std::size_t, std::span<const std::uint64_t>,
                                             std::span<std::uint64_t>, ThreadPool&);

}  // namespace eqo
#endif
