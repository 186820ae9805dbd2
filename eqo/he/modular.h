#pragma once
#include <cstdint>

namespace eqo::modular {

// Arithmetic modulo a prime p < 2^31, a scalar at a time: for tables, encodings and tests. Constant time but for
// pow() and inverse(), which take public arguments.

constexpr std::uint32_t add(std::uint32_t a, std::uint32_t b, std::uint32_t p) {
  const std::uint32_t s = a + b, d = s - p;  // below 2^32: p < 2^31
  return s < d ? s : d;                      // s < p wraps d to more than 2^31
}
constexpr std::uint32_t sub(std::uint32_t a, std::uint32_t b, std::uint32_t p) {
  const std::uint32_t d = a - b, s = d + p;
  return d < s ? d : s;
}
constexpr std::uint32_t mul(std::uint32_t a, std::uint32_t b, std::uint32_t p) {
  return static_cast<std::uint32_t>(std::uint64_t{a} * b % p);
}
constexpr std::uint32_t pow(std::uint32_t a, std::uint64_t e, std::uint32_t p) {
  std::uint32_t r = 1;
  for (; e != 0; e >>= 1, a = mul(a, a, p))
    if (e & 1) r = mul(r, a, p);
  return r;
}
constexpr std::uint32_t inverse(std::uint32_t a, std::uint32_t p) { return pow(a, p - 2, p); }

// A fixed factor w < p with its quotient floor(w * 2^32 / p): multiplies by two products and no division (Shoup;
// Harvey, "Faster arithmetic for number-theoretic transforms", 2014).
struct Factor {
  std::uint32_t value = 0, quotient = 0;
};
constexpr Factor factor(std::uint32_t w, std::uint32_t p) {
  return {w, static_cast<std::uint32_t>((std::uint64_t{w} << 32) / p)};
}
// x * w mod p, for any 32-bit x.
constexpr std::uint32_t mul(std::uint32_t x, Factor w, std::uint32_t p) {
  const auto q = static_cast<std::uint32_t>((std::uint64_t{x} * w.quotient) >> 32);
  const std::uint32_t r = x * w.value - q * p, d = r - p;  // r < 2p
  return r < d ? r : d;
}

// -p^-1 mod 2^32, for odd p.
constexpr std::uint32_t negative_inverse(std::uint32_t p) {
  std::uint32_t inv = p;  // right to 3 bits; each step doubles them
  for (int i = 0; i < 4; ++i) inv *= 2 - p * inv;
  return 0 - inv;
}

// Deterministic for all 32-bit numbers (Miller-Rabin with bases 2, 7 and 61: Jaeschke 1993).
bool is_prime(std::uint32_t n);

// An element of order exactly `order`, a power of two that divides p - 1: the same for every caller.
std::uint32_t root_of_unity(std::uint32_t order, std::uint32_t p);

}  // namespace eqo::modular
