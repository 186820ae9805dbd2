#include "eqo/train/winograd_kernel.h"

#include <algorithm>
#include <array>

// Vectors of these targets have no size that the compiler knows, so no arrays of them.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "eqo/train/winograd_kernel.cpp"
#include "hwy/aligned_allocator.h"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace eqo {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;

constexpr std::size_t kTaps = 16, kRows = 8;  // rows of a product at a time
constexpr std::size_t kApart = 16;            // a cache line, lest a tile's taps lie at the same place of all pages

// Memory of `channels` floats a row, of which the last vector may have fewer.
struct Channels {
  std::size_t count, lanes = hn::Lanes(D());
  std::size_t padded() const {  // whole vectors, and whole groups of rows of a product with the transposed
    const std::size_t unit = lanes < 4 ? 4 : lanes;
    return (count + unit - 1) / unit * unit;
  }
  HWY_INLINE V load(const float* row, std::size_t c) const {
    const D d;
    if (c + lanes <= count) return hn::LoadU(d, row + c);
    HWY_ALIGN float rest[16] = {};
    std::copy(row + c, row + count, rest);
    return hn::Load(d, rest);
  }
  HWY_INLINE void store(V v, float* row, std::size_t c) const {
    const D d;
    if (c + lanes <= count) {
      hn::StoreU(v, d, row + c);
      return;
    }
    HWY_ALIGN float rest[16];
    hn::Store(v, d, rest);
    std::copy_n(rest, count - c, row + c);
  }
};

// out [R][n], or added to it, = a b with a(i, j) = a[i * a_row + j * a_column], b [inner][n]; n a multiple of lanes.
template <std::size_t R, std::size_t N, bool kAdd>
HWY_NOINLINE void multiply_block(std::size_t inner, std::size_t n, const float* HWY_RESTRICT a, std::size_t a_row,
                                 std::size_t a_column, const float* HWY_RESTRICT b, float* HWY_RESTRICT out) {
  const D d;
  const std::size_t lanes = hn::Lanes(d);
  V sum[R][N];
  for (std::size_t r = 0; r < R; ++r)
    for (std::size_t v = 0; v < N; ++v) sum[r][v] = kAdd ? hn::Load(d, out + r * n + v * lanes) : hn::Zero(d);
  for (std::size_t j = 0; j < inner; ++j) {
    V row[N];
    for (std::size_t v = 0; v < N; ++v) row[v] = hn::Load(d, b + j * n + v * lanes);
    for (std::size_t r = 0; r < R; ++r) {
      const V factor = hn::Set(d, a[r * a_row + j * a_column]);
      for (std::size_t v = 0; v < N; ++v) sum[r][v] = hn::MulAdd(factor, row[v], sum[r][v]);
    }
  }
  for (std::size_t r = 0; r < R; ++r)
    for (std::size_t v = 0; v < N; ++v) hn::Store(sum[r][v], d, out + r * n + v * lanes);
}

// rows a multiple of 4.
template <bool kAdd>
HWY_INLINE void multiply(std::size_t rows, std::size_t inner, std::size_t n, const float* a, std::size_t a_row,
                         std::size_t a_column, const float* b, float* out) {
  const std::size_t lanes = hn::Lanes(D());
  for (std::size_t v = 0; v < n;) {
    const bool two = v + 2 * lanes <= n;
    std::size_t r = 0;
    for (; r + kRows <= rows && !two; r += kRows)
      multiply_block<kRows, 1, kAdd>(inner, n, a + r * a_row, a_row, a_column, b + v, out + r * n + v);
    for (; r < rows && !two; r += 4)
      multiply_block<4, 1, kAdd>(inner, n, a + r * a_row, a_row, a_column, b + v, out + r * n + v);
    for (; r < rows; r += 4)
      multiply_block<4, 2, kAdd>(inner, n, a + r * a_row, a_row, a_column, b + v, out + r * n + v);
    v += two ? 2 * lanes : lanes;
  }
}

// B^T t B for columns, then rows: t_i of one line becomes (t0 - t2, t1 + t2, t2 - t1, t1 - t3).
HWY_INLINE void input_lines(V& t0, V& t1, V& t2, V& t3) {
  const V a = hn::Sub(t0, t2), b = hn::Add(t1, t2), c = hn::Sub(t2, t1), e = hn::Sub(t1, t3);
  t0 = a;
  t1 = b;
  t2 = c;
  t3 = e;
}
// Its transpose: (t0, t1 - t2 + t3, -t0 + t1 + t2, -t3).
HWY_INLINE void input_lines_back(V& t0, V& t1, V& t2, V& t3) {
  const V b = hn::Add(hn::Sub(t1, t2), t3), c = hn::Sub(hn::Add(t1, t2), t0);
  t1 = b;
  t2 = c;
  t3 = hn::Neg(t3);
}

template <typename F>
HWY_INLINE void both_ways(V (&t)[kTaps], F f) {
  for (std::size_t i = 0; i < 4; ++i) f(t[i], t[4 + i], t[8 + i], t[12 + i]);
  for (std::size_t i = 0; i < 4; ++i) f(t[4 * i], t[4 * i + 1], t[4 * i + 2], t[4 * i + 3]);
}

// Some tiles of the batch, with buffers [tap][tile][channel].
class Block {
 public:
  explicit Block(const WinogradShape& s)
      : s_(s),
        in_{s.channels},
        out_{s.filters},
        rows_((s.out_height + 1) / 2),
        columns_((s.out_width + 1) / 2),
        most_(std::clamp<std::size_t>(2048 / std::max(in_.padded(), out_.padded()), 8, 64)),
        zero_(hwy::AllocateAligned<float>(std::max(in_.padded(), out_.padded()))),
        v_(hwy::AllocateAligned<float>(kTaps * (most_ * in_.padded() + kApart))),
        m_(hwy::AllocateAligned<float>(kTaps * (most_ * out_.padded() + kApart))) {
    std::fill_n(zero_.get(), std::max(in_.padded(), out_.padded()), 0.0F);
  }

  std::size_t tiles() const { return s_.images * rows_ * columns_; }
  std::size_t most() const { return most_; }
  float* v(std::size_t tap) { return v_.get() + tap * v_stride(); }
  float* m(std::size_t tap) { return m_.get() + tap * m_stride(); }
  std::size_t v_width() const { return in_.padded(); }
  std::size_t m_width() const { return out_.padded(); }

  // Rows beyond the block's tiles, up to a multiple of kRows, become zeros.
  void begin(std::size_t first, std::size_t last) {
    first_ = first;
    count_ = last - first;
    filled_ = (count_ + kRows - 1) / kRows * kRows;
    for (std::size_t tap = 0; tap < kTaps; ++tap) {
      std::fill(v(tap) + count_ * v_width(), v(tap) + filled_ * v_width(), 0.0F);
      std::fill(m(tap) + count_ * m_width(), m(tap) + filled_ * m_width(), 0.0F);
    }
  }
  std::size_t filled() const { return filled_; }

  HWY_NOINLINE void transform_input(const float* x) {
    const D d;
    const Channels in = in_;
    const std::size_t stride = v_stride();
    for (std::size_t p = 0; p < count_; ++p) {
      const float* from[kTaps];
      input_pixels(p, x, static_cast<const float*>(zero_.get()), from);
      for (std::size_t c = 0; c < in.count; c += in.lanes) {
        V t[kTaps];
        HWY_UNROLL(16)
        for (std::size_t i = 0; i < kTaps; ++i) t[i] = in.load(from[i], c);
        both_ways(t, [](V& a, V& b, V& e, V& f) HWY_ATTR { input_lines(a, b, e, f); });
        float* to = v_row(p) + c;
        HWY_UNROLL(16)
        for (std::size_t i = 0; i < kTaps; ++i) hn::Store(t[i], d, to + i * stride);
      }
    }
  }

  // y = A^T m A + bias.
  HWY_NOINLINE void transform_output(const float* bias, float* y) {
    const D d;
    const Channels out = out_;
    const std::size_t stride = m_stride();
    for (std::size_t p = 0; p < count_; ++p) {
      float* to[4];
      output_pixels(p, y, static_cast<float*>(nullptr), to);
      for (std::size_t k = 0; k < out.count; k += out.lanes) {
        V left[4], right[4];
        for (std::size_t i = 0; i < 4; ++i) {
          V t[4];
          for (std::size_t j = 0; j < 4; ++j) t[j] = hn::Load(d, m_row(p) + (4 * i + j) * stride + k);
          left[i] = hn::Add(hn::Add(t[0], t[1]), t[2]);
          right[i] = hn::Sub(hn::Sub(t[1], t[2]), t[3]);
        }
        const V b = out.load(bias, k);
        const auto put = [&](std::size_t i, V value) HWY_ATTR {
          if (to[i] != nullptr) out.store(hn::Add(value, b), to[i], k);
        };
        put(0, hn::Add(hn::Add(left[0], left[1]), left[2]));
        put(1, hn::Add(hn::Add(right[0], right[1]), right[2]));
        put(2, hn::Sub(hn::Sub(left[1], left[2]), left[3]));
        put(3, hn::Sub(hn::Sub(right[1], right[2]), right[3]));
      }
    }
  }

  // m = A dy A^T; adds the bias' gradient to `bias`, m_width() long.
  HWY_NOINLINE void transform_output_gradient(const float* dy, float* bias) {
    const D d;
    const Channels out = out_;
    const std::size_t stride = m_stride();
    for (std::size_t p = 0; p < count_; ++p) {
      const float* from[4];
      output_pixels(p, dy, static_cast<const float*>(zero_.get()), from);
      for (std::size_t k = 0; k < out.count; k += out.lanes) {
        V g[4];
        for (std::size_t i = 0; i < 4; ++i) g[i] = out.load(from[i], k);
        hn::Store(hn::Add(hn::Load(d, bias + k), hn::Add(hn::Add(g[0], g[1]), hn::Add(g[2], g[3]))), d, bias + k);
        // A's rows: (1, 0), (1, 1), (1, -1), (0, -1).
        const V lines[4][2] = {{g[0], g[1]},
                               {hn::Add(g[0], g[2]), hn::Add(g[1], g[3])},
                               {hn::Sub(g[0], g[2]), hn::Sub(g[1], g[3])},
                               {hn::Neg(g[2]), hn::Neg(g[3])}};
        for (std::size_t i = 0; i < 4; ++i) {
          const V l = lines[i][0], r = lines[i][1];
          const V t[4] = {l, hn::Add(l, r), hn::Sub(l, r), hn::Neg(r)};
          for (std::size_t j = 0; j < 4; ++j) hn::Store(t[j], d, m_row(p) + (4 * i + j) * stride + k);
        }
      }
    }
  }

  // dx += B v B^T, tiles overlapping.
  HWY_NOINLINE void transform_input_gradient(float* dx) {
    const D d;
    const Channels in = in_;
    const std::size_t stride = v_stride();
    for (std::size_t p = 0; p < count_; ++p) {
      float* to[kTaps];
      input_pixels(p, dx, static_cast<float*>(nullptr), to);
      for (std::size_t c = 0; c < in.count; c += in.lanes) {
        V t[kTaps];
        for (std::size_t i = 0; i < kTaps; ++i) t[i] = hn::Load(d, v_row(p) + i * stride + c);
        both_ways(t, [](V& a, V& b, V& e, V& f) HWY_ATTR { input_lines_back(a, b, e, f); });
        for (std::size_t i = 0; i < kTaps; ++i)
          if (to[i] != nullptr) in.store(hn::Add(in.load(to[i], c), t[i]), to[i], c);
      }
    }
  }

 private:
  std::size_t v_stride() const { return most_ * in_.padded() + kApart; }
  std::size_t m_stride() const { return most_ * out_.padded() + kApart; }
  float* v_row(std::size_t p) { return v_.get() + p * in_.padded(); }
  float* m_row(std::size_t p) { return m_.get() + p * out_.padded(); }

  // Where the 4x4 pixels of a tile's input lie; `outside` for those in the padding.
  template <typename T>
  void input_pixels(std::size_t p, T* x, T* outside, T* (&at)[kTaps]) const {
    const auto [image, i, j] = place(p);
    for (std::size_t a = 0; a < 4; ++a)
      for (std::size_t b = 0; b < 4; ++b) {
        const std::size_t row = i + a - s_.pad_top, column = j + b - s_.pad_left;  // wraps where it is negative
        const bool inside = row < s_.height && column < s_.width;
        at[4 * a + b] = inside ? x + ((image * s_.height + row) * s_.width + column) * s_.channels : outside;
      }
  }
  template <typename T>
  void output_pixels(std::size_t p, T* y, T* outside, T* (&at)[4]) const {
    const auto [image, i, j] = place(p);
    for (std::size_t a = 0; a < 4; ++a) {
      const std::size_t row = i + a / 2, column = j + a % 2;
      const bool inside = row < s_.out_height && column < s_.out_width;
      at[a] = inside ? y + ((image * s_.out_height + row) * s_.out_width + column) * s_.filters : outside;
    }
  }
  std::array<std::size_t, 3> place(std::size_t p) const {
    const std::size_t tile = first_ + p, in_image = tile % (rows_ * columns_);
    return {tile / (rows_ * columns_), 2 * (in_image / columns_), 2 * (in_image % columns_)};
  }

  WinogradShape s_;
  Channels in_, out_;
  std::size_t rows_, columns_, most_;
  std::size_t first_ = 0, count_ = 0, filled_ = 0;
  hwy::AlignedFreeUniquePtr<float[]> zero_, v_, m_;
};

template <typename F>
void for_each_block(Block& block, F f) {
  for (std::size_t first = 0; first < block.tiles(); first += block.most()) {
    block.begin(first, std::min(first + block.most(), block.tiles()));
    f();
  }
}

// u [tap][filter][channel] -> [tap][row][columns padded to whole vectors]; rows are filters, or channels.
hwy::AlignedFreeUniquePtr<float[]> padded_weights(const WinogradShape& s, const float* u, bool transposed) {
  const std::size_t rows = transposed ? s.channels : s.filters, columns = transposed ? s.filters : s.channels;
  const std::size_t width = Channels{columns}.padded();
  auto out = hwy::AllocateAligned<float>(kTaps * rows * width);
  std::fill_n(out.get(), kTaps * rows * width, 0.0F);
  for (std::size_t tap = 0; tap < kTaps; ++tap)
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t c = 0; c < columns; ++c) {
        const std::size_t from = transposed ? c * s.channels + r : r * s.channels + c;
        out[(tap * rows + r) * width + c] = u[tap * rows * columns + from];
      }
  return out;
}

void forward(const WinogradShape& s, const float* x, const float* u, const float* bias, float* y) {
  Block block(s);
  const auto weights = padded_weights(s, u, true);
  for_each_block(block, [&]() HWY_ATTR {
    block.transform_input(x);
    for (std::size_t tap = 0; tap < kTaps; ++tap)
      multiply<false>(block.filled(), s.channels, block.m_width(), block.v(tap), block.v_width(), 1,
                      weights.get() + tap * s.channels * block.m_width(), block.m(tap));
    block.transform_output(bias, y);
  });
}

void backward(const WinogradShape& s, const float* x, const float* u, const float* dy, float* dx, float* du,
              float* dbias) {
  Block block(s);
  const std::size_t rows = (s.filters + kRows - 1) / kRows * kRows;
  const std::size_t width = std::max(rows, block.m_width());
  const auto weights = padded_weights(s, u, false);
  auto sums = hwy::AllocateAligned<float>(kTaps * rows * block.v_width());
  auto bias = hwy::AllocateAligned<float>(width);
  std::fill_n(sums.get(), kTaps * rows * block.v_width(), 0.0F);
  std::fill_n(bias.get(), width, 0.0F);
  if (dx != nullptr) std::fill_n(dx, s.images * s.height * s.width * s.channels, 0.0F);
  // Whole groups of kRows filters are multiplied: m has them if its rows are as long.
  const std::size_t filters = std::min(rows, block.m_width());
  for_each_block(block, [&]() HWY_ATTR {
    block.transform_input(x);
    block.transform_output_gradient(dy, bias.get());
    for (std::size_t tap = 0; tap < kTaps; ++tap) {
      multiply<true>(filters, block.filled(), block.v_width(), block.m(tap), 1, block.m_width(), block.v(tap),
                     sums.get() + tap * rows * block.v_width());
      if (dx != nullptr)
        multiply<false>(block.filled(), s.filters, block.v_width(), block.m(tap), block.m_width(), 1,
                        weights.get() + tap * s.filters * block.v_width(), block.v(tap));
    }
    if (dx != nullptr) block.transform_input_gradient(dx);
  });
  for (std::size_t tap = 0; tap < kTaps; ++tap)
    for (std::size_t k = 0; k < s.filters; ++k)
      std::copy_n(sums.get() + (tap * rows + k) * block.v_width(), s.channels, du + (tap * s.filters + k) * s.channels);
  std::copy_n(bias.get(), s.filters, dbias);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace eqo
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eqo {
namespace {
HWY_EXPORT(forward);
HWY_EXPORT(backward);
}  // namespace

void winograd_forward(const WinogradShape& shape, const float* x, const float* u, const float* bias, float* y) {
  HWY_DYNAMIC_DISPATCH(forward)(shape, x, u, bias, y);
}

WinogradGradients winograd_backward(const WinogradShape& shape, const float* x, const float* u, const float* dy,
                                    float* dx) {
  WinogradGradients g;
  g.u.resize(16 * shape.filters * shape.channels);
  g.bias.resize(shape.filters);
  HWY_DYNAMIC_DISPATCH(backward)(shape, x, u, dy, dx, g.u.data(), g.bias.data());
  return g;
}

}  // namespace eqo
#endif
