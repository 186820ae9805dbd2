#pragma once
#include <cstddef>
#include <span>
#include <vector>

namespace eqo::quant {

// out = W * X with X of `cols` columns: the one hot loop of calibration, on plain floating point numbers. It is exact
// for integers as long as every partial sum is exactly representable (below 2^24 or 2^53). The order of the additions
// is fixed, so results are the same on every machine. F is float or double.
template <class F>
class PackedMatrix {
 public:
  PackedMatrix() = default;
  // `values` is [rows][inner].
  PackedMatrix(std::span<const F> values, std::size_t rows, std::size_t inner);

  std::size_t rows() const { return rows_; }
  std::size_t inner() const { return inner_; }
  // Rows that `out` must have room for, and columns that a row of x and of out must have.
  std::size_t padded_rows() const { return (rows_ + 3) / 4 * 4; }
  static std::size_t padded_cols(std::size_t cols) { return (cols + 15) / 16 * 16; }

  // x is [inner][ld], out is [padded_rows()][ld], ld a multiple of 16. Throws internal_error if they don't fit.
  void multiply(std::span<const F> x, std::size_t ld, std::span<F> out) const;

 private:
  std::size_t rows_ = 0, inner_ = 0;
  std::vector<F> packed_;  // [rows / 4][inner][4], zeros behind the last row
};

extern template class PackedMatrix<float>;
extern template class PackedMatrix<double>;

}  // namespace eqo::quant
