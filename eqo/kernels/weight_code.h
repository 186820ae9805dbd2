#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "eqo/kernels/lanes.h"

namespace eqo {

// How a stored weight of bits() bits reads as a number; public, one for a whole product or one a Winograd tap:
//   value(code) = (offset + sum_i bit_i(code) * signs[i] * 2^exponents[i]) * 2^shift.
// Two's complement is one choice; {-3,-1,1,3} is another: offset -3, exponents (1, 2).
struct WeightCode {
  std::vector<std::uint8_t> exponents;  // significances, ascending (equal ones allowed)
  std::vector<std::int8_t> signs;       // +1 or -1
  std::int64_t offset = 0;
  std::uint8_t shift = 0;  // the tap's exponent

  unsigned bits() const { return static_cast<unsigned>(exponents.size()); }
  // Bits of `code` above bits() are ignored. |value| < 2^62 for a valid code.
  std::int64_t value(unsigned code) const;
  std::int64_t min_value() const;
  std::int64_t max_value() const;
  // What is beyond the shift: exponents[i] + shift, the place of bit i in the ring.
  unsigned place(unsigned i) const { return static_cast<unsigned>(exponents[i]) + shift; }

  static WeightCode twos_complement(unsigned bits);

  // Throws model_error unless: 1 to 16 bits, as many signs, ascending exponents below 32, signs +1 or -1,
  // |offset| < 2^31, shift < 32, and every value below 2^62 in magnitude.
  void validate() const;

  friend bool operator==(const WeightCode&, const WeightCode&) = default;
};

// codes [products][size] -> their values as lanes, with formats[p] or the only format. Constant time in the codes.
// Throws internal_error if the counts do not fit.
template <Lane L>
Lanes<L> decode_codes(std::span<const WeightCode> formats, std::size_t products, std::span<const std::uint16_t> codes);

}  // namespace eqo
