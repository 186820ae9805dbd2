#include "eqo/kernels/weight_code.h"

#include <algorithm>
#include <string>

#include "eqo/core/error.h"

namespace eqo {

std::int64_t WeightCode::value(unsigned code) const {
  std::int64_t sum = offset;
  for (unsigned i = 0; i < bits(); ++i) {
    const auto bit = static_cast<std::int64_t>((code >> i) & 1U);
    sum += bit * signs[i] * (std::int64_t{1} << exponents[i]);
  }
  return sum * (std::int64_t{1} << shift);
}

std::int64_t WeightCode::min_value() const {
  unsigned code = 0;
  for (unsigned i = 0; i < bits(); ++i) code |= (signs[i] < 0 ? 1U : 0U) << i;
  return value(code);
}

std::int64_t WeightCode::max_value() const {
  unsigned code = 0;
  for (unsigned i = 0; i < bits(); ++i) code |= (signs[i] > 0 ? 1U : 0U) << i;
  return value(code);
}

WeightCode WeightCode::twos_complement(unsigned bits) {
  if (bits < 1 || bits > 16) throw usage_error("weight width must be in 1..16, got " + std::to_string(bits));
  WeightCode code;
  for (unsigned i = 0; i < bits; ++i) {
    code.exponents.push_back(static_cast<std::uint8_t>(i));
    code.signs.push_back(i + 1 == bits ? std::int8_t{-1} : std::int8_t{1});
  }
  return code;
}

void WeightCode::validate() const {
  auto refuse = [](const std::string& what) {
    throw model_error("weight code: " + what, "the model file is damaged or was made by another version");
  };
  if (exponents.empty() || exponents.size() > 16) refuse("the width must be in 1..16 bits");
  if (signs.size() != exponents.size()) refuse("as many signs as exponents are needed");
  if (!std::is_sorted(exponents.begin(), exponents.end())) refuse("the exponents must be ascending");
  if (exponents.back() >= 32) refuse("an exponent is above 31");
  if (!std::all_of(signs.begin(), signs.end(), [](std::int8_t s) { return s == 1 || s == -1; }))
    refuse("a sign is neither +1 nor -1");
  constexpr std::int64_t kMaxOffset = std::int64_t{1} << 31;
  if (offset <= -kMaxOffset || offset >= kMaxOffset) refuse("the offset is out of range");
  if (shift >= 32) refuse("the shift is above 31");
  std::int64_t magnitude = offset < 0 ? -offset : offset;
  for (const std::uint8_t e : exponents) magnitude += std::int64_t{1} << e;
  if (magnitude >= (std::int64_t{1} << (62 - shift))) refuse("the values do not fit 62 bits");
}

template <Lane L>
Lanes<L> decode_codes(std::span<const WeightCode> formats, std::size_t products, std::span<const std::uint16_t> codes) {
  if (products == 0 || codes.size() % products != 0 || (formats.size() != 1 && formats.size() != products))
    throw internal_error("decode_codes: the codes do not fit the products");
  const std::size_t size = codes.size() / products;
  Lanes<L> out(codes.size());
  for (std::size_t p = 0; p < products; ++p) {
    const WeightCode& f = formats.size() == 1 ? formats[0] : formats[p];
    const std::uint16_t* from = codes.data() + p * size;
    L* to = out.data() + p * size;
    std::fill_n(to, size, static_cast<L>(f.offset));
    // Bit by bit, so that no table is read at a secret place.
    for (unsigned b = 0; b < f.bits(); ++b) {
      const L unit = static_cast<L>(L{1} << f.exponents[b]);
      const L term = f.signs[b] > 0 ? unit : static_cast<L>(L{0} - unit);
      for (std::size_t i = 0; i < size; ++i) to[i] += static_cast<L>((static_cast<L>(from[i]) >> b) & 1U) * term;
    }
    for (std::size_t i = 0; i < size; ++i) to[i] <<= f.shift;
  }
  return out;
}

template Lanes<std::uint32_t> decode_codes<std::uint32_t>(std::span<const WeightCode>, std::size_t,
                                                          std::span<const std::uint16_t>);
template Lanes<std::uint64_t> decode_codes<std::uint64_t>(std::span<const WeightCode>, std::size_t,
                                                          std::span<const std::uint16_t>);

}  // namespace eqo
