#include "eqo/kernels/gemm.h"

#include <algorithm>
#include <cstring>

#include "eqo/core/error.h"
#include "eqo/core/secret.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "eqo/kernels/gemm.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

// One task: rows [row0, row1) of one product, columns [col0, col1) of it. `panel` is scratch of kPanelBytes.
#ifndef EQO_KERNELS_GEMM_TASK
#define EQO_KERNELS_GEMM_TASK
namespace eqo {
template <typename L>
struct GemmTask {
  std::size_t row0, row1, col0, col1, inner, cols;
  const L* u;
  const L* v;
  L* m;
  L* panel;
};
inline constexpr std::size_t kInnerBlock = 256;      // rows of V packed at a time
inline constexpr std::size_t kPanelElements = 8192;  // kInnerBlock rows of two 64-byte vectors
inline constexpr std::size_t kDotCols = 6;           // up to here vectors run along `inner`
}  // namespace eqo
#endif

HWY_BEFORE_NAMESPACE();
namespace eqo {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// More accumulators where there are more registers.
constexpr std::size_t kRowsAtOnce = HWY_MAX_BYTES >= 64 ? 8 : 4;

template <class D>
HWY_INLINE hn::Vec<D> mul_low(D, hn::Vec<D> a, hn::Vec<D> b) {
#if HWY_TARGET != HWY_AVX3 && HWY_TARGET != HWY_SCALAR
  if constexpr (sizeof(hn::TFromD<D>) == 8) {
    // a * b mod 2^64 from 32-bit products: low * low + ((low * high + high * low) << 32).
    const D d;
    const hn::Repartition<std::uint32_t, D> d32;
    const auto a32 = hn::BitCast(d32, a), b32 = hn::BitCast(d32, b);
    const auto cross = hn::BitCast(d, a32 * hn::Shuffle2301(b32));
    return hn::MulEven(a32, b32) + hn::ShiftLeft<32>(cross + hn::ShiftRight<32>(cross));
  } else  // NOLINT(readability-else-after-return)
#endif
    return a * b;
}

// acc[R][V vectors] over one packed panel, then added to M. `valid` columns of the panel exist in M.
template <std::size_t R, std::size_t V, typename L>
HWY_INLINE void micro(const L* HWY_RESTRICT u, std::size_t u_stride, const L* HWY_RESTRICT panel, std::size_t inner,
                      L* HWY_RESTRICT m, std::size_t m_stride, std::size_t valid) {
  const hn::ScalableTag<L> d;
  constexpr std::size_t n = HWY_LANES(L);
  hn::Vec<decltype(d)> acc[R][V];
  for (std::size_t r = 0; r < R; ++r)
    for (std::size_t j = 0; j < V; ++j) acc[r][j] = hn::Zero(d);
  for (std::size_t c = 0; c < inner; ++c) {
    hn::Vec<decltype(d)> b[V];
    for (std::size_t j = 0; j < V; ++j) b[j] = hn::Load(d, panel + (c * V + j) * n);
    for (std::size_t r = 0; r < R; ++r) {
      const auto a = hn::Set(d, u[r * u_stride + c]);
      for (std::size_t j = 0; j < V; ++j) acc[r][j] = acc[r][j] + mul_low(d, a, b[j]);
    }
  }
  if (valid == V * n) {
    for (std::size_t r = 0; r < R; ++r)
      for (std::size_t j = 0; j < V; ++j) {
        L* to = m + r * m_stride + j * n;
        hn::StoreU(hn::LoadU(d, to) + acc[r][j], d, to);
      }
  } else {
    HWY_ALIGN L out[V * n];
    for (std::size_t r = 0; r < R; ++r) {
      for (std::size_t j = 0; j < V; ++j) hn::Store(acc[r][j], d, out + j * n);
      for (std::size_t t = 0; t < valid; ++t) m[r * m_stride + t] += out[t];
    }
  }
}

template <std::size_t V, typename L>
HWY_INLINE void panel_product(const GemmTask<L>& g, std::size_t col, std::size_t valid) {
  constexpr std::size_t width = V * HWY_LANES(L);
  static_assert(width * kInnerBlock <= kPanelElements);
  for (std::size_t c0 = 0; c0 < g.inner; c0 += kInnerBlock) {
    const std::size_t depth = g.inner - c0 < kInnerBlock ? g.inner - c0 : kInnerBlock;
    for (std::size_t c = 0; c < depth; ++c) {
      const L* from = g.v + (c0 + c) * g.cols + col;
      L* to = g.panel + c * width;
      if (valid == width) {
        memcpy(to, from, width * sizeof(L));
      } else {
        for (std::size_t t = 0; t < width; ++t) to[t] = t < valid ? from[t] : 0;
      }
    }
    const L* u = g.u + c0;
    L* m = g.m + col;
    std::size_t k = g.row0;
    for (; k + kRowsAtOnce <= g.row1; k += kRowsAtOnce)
      micro<kRowsAtOnce, V>(u + k * g.inner, g.inner, g.panel, depth, m + k * g.cols, g.cols, valid);
    if (kRowsAtOnce > 4 && k + 4 <= g.row1) {
      micro<4, V>(u + k * g.inner, g.inner, g.panel, depth, m + k * g.cols, g.cols, valid);
      k += 4;
    }
    for (; k < g.row1; ++k) micro<1, V>(u + k * g.inner, g.inner, g.panel, depth, m + k * g.cols, g.cols, valid);
  }
}

template <typename L>
HWY_INLINE void columns_task(const GemmTask<L>& g) {
  constexpr std::size_t n = HWY_LANES(L);
  std::size_t col = g.col0;
  for (; col + 2 * n <= g.col1; col += 2 * n) panel_product<2>(g, col, 2 * n);
  if (col + n < g.col1) {
    panel_product<2>(g, col, g.col1 - col);
  } else if (col < g.col1) {
    panel_product<1>(g, col, g.col1 - col);
  }
}

// Few columns: `v` is transposed to [cols][inner] by the caller, vectors run along `inner`.
template <typename L>
HWY_INLINE void dot_task(const GemmTask<L>& g) {
  for (std::size_t k = g.row0; k < g.row1; ++k) {
    const L* HWY_RESTRICT u = g.u + k * g.inner;
    for (std::size_t t = 0; t < g.cols; ++t) {
      const L* HWY_RESTRICT v = g.v + t * g.inner;
      L sum = 0;
      for (std::size_t c = 0; c < g.inner; ++c) sum += u[c] * v[c];
      g.m[k * g.cols + t] += sum;
    }
  }
}

void columns32(const GemmTask<std::uint32_t>& g) { columns_task(g); }
void columns64(const GemmTask<std::uint64_t>& g) { columns_task(g); }
void dot32(const GemmTask<std::uint32_t>& g) { dot_task(g); }
void dot64(const GemmTask<std::uint64_t>& g) { dot_task(g); }
const char* target_name() { return hwy::TargetName(HWY_TARGET); }

}  // namespace HWY_NAMESPACE
}  // namespace eqo
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eqo {
namespace {

HWY_EXPORT(columns32);
HWY_EXPORT(columns64);
HWY_EXPORT(dot32);
HWY_EXPORT(dot64);
HWY_EXPORT(target_name);

void columns(const GemmTask<std::uint32_t>& g) { HWY_DYNAMIC_DISPATCH(columns32)(g); }
void columns(const GemmTask<std::uint64_t>& g) { HWY_DYNAMIC_DISPATCH(columns64)(g); }
void dot(const GemmTask<std::uint32_t>& g) { HWY_DYNAMIC_DISPATCH(dot32)(g); }
void dot(const GemmTask<std::uint64_t>& g) { HWY_DYNAMIC_DISPATCH(dot64)(g); }

template <typename L>
void gemm(const GemmShape& s, std::span<const L> u, std::span<const L> v, std::span<L> m, ThreadPool& threads) {
  if (u.size() != s.count * s.rows * s.inner || v.size() != s.count * s.inner * s.cols ||
      m.size() != s.count * s.rows * s.cols)
    throw internal_error("gemm: an operand does not fit the shape");
  if (m.empty() || s.inner == 0) return;
  const bool few = s.cols <= kDotCols && s.inner >= 8;

  // Tasks are (product, column block, row block); rows are split only if there are too few of the others.
  const std::size_t col_step = few ? s.cols : 128;
  const std::size_t col_blocks = (s.cols + col_step - 1) / col_step;
  const std::size_t wanted = threads.size() == 1 ? 1 : 4 * std::size_t{threads.size()};
  std::size_t row_blocks = std::clamp<std::size_t>(wanted / (s.count * col_blocks), 1, (s.rows + 7) / 8);
  const std::size_t row_step = ((s.rows + row_blocks - 1) / row_blocks + 7) / 8 * 8;
  row_blocks = (s.rows + row_step - 1) / row_step;

  const std::size_t v_size = s.inner * s.cols;
  WipedVector<L> transposed;
  if (few) {
    transposed.resize(v.size());
    for (std::size_t p = 0; p < s.count; ++p)
      for (std::size_t c = 0; c < s.inner; ++c)
        for (std::size_t t = 0; t < s.cols; ++t)
          transposed[p * v_size + t * s.inner + c] = v[p * v_size + c * s.cols + t];
  }
  const L* values = few ? transposed.data() : v.data();

  threads.parallel_for(s.count * col_blocks * row_blocks, 1, [&](std::size_t begin, std::size_t end) {
    WipedVector<L> scratch(few ? 0 : kPanelElements + 64 / sizeof(L));
    L* panel = scratch.data();
    if (!few) panel += (64 - reinterpret_cast<std::uintptr_t>(panel) % 64) % 64 / sizeof(L);
    for (std::size_t i = begin; i < end; ++i) {
      const std::size_t p = i / (col_blocks * row_blocks), block = i % (col_blocks * row_blocks);
      const std::size_t row0 = block % row_blocks * row_step, col0 = block / row_blocks * col_step;
      const GemmTask<L> task{row0,
                             std::min(row0 + row_step, s.rows),
                             col0,
                             std::min(col0 + col_step, s.cols),
                             s.inner,
                             s.cols,
                             u.data() + p * s.rows * s.inner,
                             values + p * v_size,
                             m.data() + p * s.rows * s.cols,
                             panel};
      few ? dot(task) : columns(task);
    }
  });
}

}  // namespace

void gemm_mod(const GemmShape& shape, std::span<const std::uint32_t> u, std::span<const std::uint32_t> v,
              std::span<std::uint32_t> m, ThreadPool& threads) {
  gemm<std::uint32_t>(shape, u, v, m, threads);
}
void gemm_mod(const GemmShape& shape, std::span<const std::uint64_t> u, std::span<const std::uint64_t> v,
              std::span<std::uint64_t> m, ThreadPool& threads) {
  gemm<std::uint64_t>(shape, u, v, m, threads);
}

const char* kernel_target_name() { return HWY_DYNAMIC_DISPATCH(target_name)(); }

}  // namespace eqo
#endif
