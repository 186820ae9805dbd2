#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "eqo/core/ring.h"
#include "eqo/core/wide.h"
#include "eqo/he/modular.h"

namespace eqo {

// Loops over the residues of a polynomial modulo one prime p, for each instruction set. Residues are reduced, the
// spans of a call equally long. Constant time.

// x as it is, for |x| below 2^31.
void rns_from_small(std::span<const std::int32_t> x, std::uint32_t p, std::span<std::uint32_t> out);
// x += small, for |small| < p.
void rns_add_small(std::span<const std::int32_t> small, std::uint32_t p, std::span<std::uint32_t> x);
// x += y
void rns_add(std::span<const std::uint32_t> y, std::uint32_t p, std::span<std::uint32_t> x);
// x *= w
void rns_scale(modular::Factor w, std::uint32_t p, std::span<std::uint32_t> x);

// The plaintext's scale: round(q * m / 2^l) + error mod p, for m < 2^l and |error| < p, l <= 32. With
// r = (q * m + 2^(l-1)) mod 2^l it is (2^(l-1) - r) / 2^l, since q is 0 mod p.
struct RnsEncoding {
  std::uint32_t p, modulus, mask, half;  // q, 2^l - 1, 2^(l-1) mod 2^32
  modular::Factor inverse;               // 2^-l mod p
  std::uint32_t offset;                  // 2^(l-1) * 2^-l mod p
};
RnsEncoding rns_encoding(std::span<const std::uint32_t> primes, std::size_t i, unsigned l);
void rns_encode(const RnsEncoding& encoding, std::span<const Word> m, std::span<const std::int32_t> error,
                std::span<std::uint32_t> out);

// One prime's part of the fraction of a number x modulo q: x / q = sum over primes of y / p mod 1 with y = x * (q/p)^-1
// mod p. The sum, times 2^64 or 2^128 and rounded down, has an error of a few units.
struct RnsFraction {
  std::uint32_t p;
  modular::Factor inverse;  // (q / p)^-1 mod p
  std::uint64_t limbs[2];   // floor(2^128 / p), high and low
  std::uint32_t rest;       // the next 32 bits
};
RnsFraction rns_fraction(std::span<const std::uint32_t> primes, std::size_t i);
// 2^128 * y / p mod 2^128 of one residue, rounded down within two units.
inline UInt128 rns_wide_fraction(const RnsFraction& f, std::uint32_t x) {
  const std::uint64_t y = modular::mul(x, f.inverse, f.p), high = y * f.limbs[0];
  return UInt128{y} * f.limbs[1] + (UInt128{high} << 64) + ((y * f.rest) >> 32);
}
// sum += 2^64 * y / p, rounded likewise
void rns_add_fraction(const RnsFraction& fraction, std::span<const std::uint32_t> x, std::span<Word> sum);
// x = round(x / 2^(64 - bits)) mod 2^bits
void rns_round(unsigned bits, std::span<Word> x);

// x mod p of numbers below 2^62, for p above 2^30.
void rns_from_words(std::span<const Word> x, std::uint32_t p, std::span<std::uint32_t> out);

}  // namespace eqo
