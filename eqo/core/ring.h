#pragma once
#include <cstdint>
#include <string>

#include "eqo/core/error.h"

namespace eqo {

using Word = std::uint64_t;  // one ring element, always kept reduced

// The ring Z_{2^bits}, 1 <= bits <= 64. Cheap to copy; pass by value.
class Ring {
 public:
  explicit constexpr Ring(unsigned bits) : bits_(bits) {
    if (bits < 1 || bits > 64) throw usage_error("ring width must be in 1..64, got " + std::to_string(bits));
  }
  constexpr unsigned bits() const { return bits_; }
  constexpr Word mask() const { return ~Word{0} >> (64 - bits_); }
  constexpr Word reduce(Word x) const { return x & mask(); }
  constexpr Word add(Word a, Word b) const { return reduce(a + b); }
  constexpr Word sub(Word a, Word b) const { return reduce(a - b); }
  constexpr Word mul(Word a, Word b) const { return reduce(a * b); }
  constexpr Word neg(Word a) const { return reduce(Word{0} - a); }
  constexpr Word msb(Word a) const { return (a >> (bits_ - 1)) & 1; }
  // Two's-complement value of a reduced element.
  constexpr std::int64_t to_signed(Word x) const {
    const Word sign = Word{1} << (bits_ - 1);
    return static_cast<std::int64_t>((x ^ sign) - sign);
  }
  constexpr Word from_signed(std::int64_t x) const { return reduce(static_cast<Word>(x)); }
  friend constexpr bool operator==(Ring, Ring) = default;

 private:
  unsigned bits_;
};

static_assert(Ring(64).mask() == ~Word{0});
static_assert(Ring(8).to_signed(0xff) == -1);
static_assert(Ring(64).to_signed(~Word{0}) == -1);
static_assert(Ring(1).to_signed(1) == -1);

}  // namespace eqo
