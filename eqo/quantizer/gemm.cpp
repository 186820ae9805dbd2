#include "eqo/quantizer/gemm.h"

#include "eqo/core/error.h"

namespace eqo::quant {
namespace {

// Four rows times 64 bytes of columns at a time. Vectors of 32 bytes: one register with AVX2, two without.
template <class F>
struct Block {
  typedef F Vector __attribute__((vector_size(32), aligned(8), may_alias));
  static constexpr std::size_t kLanes = 32 / sizeof(F);
  static constexpr std::size_t kCols = 2 * kLanes;
};

template <class F>
[[gnu::always_inline]] inline void multiply_body(const F* packed, std::size_t rows, std::size_t inner, const F* x,
                                                 std::size_t ld, F* out) {
  using B = Block<F>;
  using V = typename B::Vector;
  for (std::size_t col = 0; col < ld; col += B::kCols) {
    for (std::size_t row = 0; row < rows; row += 4) {
      const F* w = packed + row * inner;
      const F* v = x + col;
      V a0{}, a1{}, b0{}, b1{}, c0{}, c1{}, d0{}, d1{};
      for (std::size_t i = 0; i < inner; ++i, w += 4, v += ld) {
        const V x0 = *reinterpret_cast<const V*>(v), x1 = *reinterpret_cast<const V*>(v + B::kLanes);
        a0 += x0 * w[0];
        a1 += x1 * w[0];
        b0 += x0 * w[1];
        b1 += x1 * w[1];
        c0 += x0 * w[2];
        c1 += x1 * w[2];
        d0 += x0 * w[3];
        d1 += x1 * w[3];
      }
      F* o = out + row * ld + col;
      const V* const sums[4][2] = {{&a0, &a1}, {&b0, &b1}, {&c0, &c1}, {&d0, &d1}};
      for (std::size_t r = 0; r < 4; ++r) {
        *reinterpret_cast<V*>(o + r * ld) = *sums[r][0];
        *reinterpret_cast<V*>(o + r * ld + B::kLanes) = *sums[r][1];
      }
    }
  }
}

#if defined(__x86_64__)
// Without FMA on purpose: the same sums as on a machine without AVX2.
template <class F>
[[gnu::target("avx2")]] void multiply_avx2(const F* packed, std::size_t rows, std::size_t inner, const F* x,
                                           std::size_t ld, F* out) {
  multiply_body(packed, rows, inner, x, ld, out);
}
#endif

}  // namespace

template <class F>
PackedMatrix<F>::PackedMatrix(std::span<const F> values, std::size_t rows, std::size_t inner)
    : rows_(rows), inner_(inner) {
  if (values.size() != rows * inner) throw internal_error("packed matrix: wrong number of values");
  packed_.assign(padded_rows() * inner, F{0});
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t i = 0; i < inner; ++i) packed_[(r / 4 * inner + i) * 4 + r % 4] = values[r * inner + i];
}

template <class F>
void PackedMatrix<F>::multiply(std::span<const F> x, std::size_t ld, std::span<F> out) const {
  if (ld % 16 != 0 || x.size() < inner_ * ld || out.size() < padded_rows() * ld)
    throw internal_error("packed matrix: buffers don't fit");
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) {
    multiply_avx2(packed_.data(), padded_rows(), inner_, x.data(), ld, out.data());
    return;
  }
#endif
  multiply_body(packed_.data(), padded_rows(), inner_, x.data(), ld, out.data());
}

template class PackedMatrix<float>;
template class PackedMatrix<double>;

}  // namespace eqo::quant
