#include "eqo/he/rns.h"

#include <array>

#include "eqo/core/error.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "eqo/he/rns.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

// Plain loops: the compiler vectorises them for each instruction set.
HWY_BEFORE_NAMESPACE();
namespace eqo {
namespace HWY_NAMESPACE {

HWY_INLINE std::uint32_t reduce_small(std::int32_t x, std::uint32_t p) {  // |x| < p
  return static_cast<std::uint32_t>(x) + (p & static_cast<std::uint32_t>(x >> 31));
}

void from_small(const std::int32_t* HWY_RESTRICT x, std::size_t n, std::uint32_t p, std::uint32_t* HWY_RESTRICT out) {
  const modular::Factor one = modular::factor(1, p);
  for (std::size_t i = 0; i < n; ++i) {
    const auto sign = static_cast<std::uint32_t>(x[i] >> 31);
    const std::uint32_t magnitude = modular::mul((static_cast<std::uint32_t>(x[i]) ^ sign) - sign, one, p);
    const std::uint32_t negated = modular::sub(0, magnitude, p);
    out[i] = magnitude ^ ((magnitude ^ negated) & sign);
  }
}

void add_small(const std::int32_t* HWY_RESTRICT small, std::size_t n, std::uint32_t p, std::uint32_t* HWY_RESTRICT x) {
  for (std::size_t i = 0; i < n; ++i) x[i] = modular::add(x[i], reduce_small(small[i], p), p);
}

void add(const std::uint32_t* HWY_RESTRICT y, std::size_t n, std::uint32_t p, std::uint32_t* HWY_RESTRICT x) {
  for (std::size_t i = 0; i < n; ++i) x[i] = modular::add(x[i], y[i], p);
}

void scale(modular::Factor w, std::size_t n, std::uint32_t p, std::uint32_t* x) {
  for (std::size_t i = 0; i < n; ++i) x[i] = modular::mul(x[i], w, p);
}

void encode(const RnsEncoding& e, const Word* HWY_RESTRICT m, const std::int32_t* HWY_RESTRICT error, std::size_t n,
            std::uint32_t* HWY_RESTRICT out) {
  const RnsEncoding k = e;
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint32_t r = (k.modulus * static_cast<std::uint32_t>(m[i]) + k.half) & k.mask;
    const std::uint32_t scaled = modular::sub(k.offset, modular::mul(r, k.inverse, k.p), k.p);
    out[i] = modular::add(scaled, reduce_small(error[i], k.p), k.p);
  }
}

void add_fraction(const RnsFraction& fraction, const std::uint32_t* HWY_RESTRICT x, std::size_t n,
                  Word* HWY_RESTRICT sum) {
  const RnsFraction f = fraction;
  const std::uint64_t rest = f.limbs[1] >> 32;
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint64_t y = modular::mul(x[i], f.inverse, f.p);
    sum[i] += y * f.limbs[0] + ((y * rest) >> 32);
  }
}

void round(unsigned bits, std::size_t n, Word* x) {
  const Word half = Word{1} << (63 - bits);
  for (std::size_t i = 0; i < n; ++i) x[i] = (x[i] + half) >> (64 - bits);
}

void from_words(const Word* HWY_RESTRICT x, std::size_t n, std::uint32_t p, std::uint32_t* HWY_RESTRICT out) {
  const modular::Factor shift = modular::factor((1U << 31) - p, p);  // 2^31 mod p
  for (std::size_t i = 0; i < n; ++i) {
    const auto low = static_cast<std::uint32_t>(x[i]) & 0x7fffffffU, high = static_cast<std::uint32_t>(x[i] >> 31);
    const std::uint32_t less = low - p;
    out[i] = modular::add(low < less ? low : less, modular::mul(high, shift, p), p);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace eqo
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eqo {
namespace {

HWY_EXPORT(from_small);
HWY_EXPORT(add_small);
HWY_EXPORT(add);
HWY_EXPORT(scale);
HWY_EXPORT(encode);
HWY_EXPORT(add_fraction);
HWY_EXPORT(round);
HWY_EXPORT(from_words);

std::size_t common_size(std::size_t a, std::size_t b) {
  if (a != b) throw internal_error("residues: spans of different lengths");
  return a;
}

}  // namespace

void rns_from_small(std::span<const std::int32_t> x, std::uint32_t p, std::span<std::uint32_t> out) {
  HWY_DYNAMIC_DISPATCH(from_small)(x.data(), common_size(x.size(), out.size()), p, out.data());
}

void rns_add_small(std::span<const std::int32_t> small, std::uint32_t p, std::span<std::uint32_t> x) {
  HWY_DYNAMIC_DISPATCH(add_small)(small.data(), common_size(small.size(), x.size()), p, x.data());
}

void rns_add(std::span<const std::uint32_t> y, std::uint32_t p, std::span<std::uint32_t> x) {
  HWY_DYNAMIC_DISPATCH(add)(y.data(), common_size(y.size(), x.size()), p, x.data());
}

void rns_scale(modular::Factor w, std::uint32_t p, std::span<std::uint32_t> x) {
  HWY_DYNAMIC_DISPATCH(scale)(w, x.size(), p, x.data());
}

RnsEncoding rns_encoding(std::span<const std::uint32_t> primes, std::size_t i, unsigned l) {
  RnsEncoding e{};
  e.p = primes[i];
  e.modulus = 1;
  for (const std::uint32_t p : primes) e.modulus *= p;
  e.mask = static_cast<std::uint32_t>(Ring(l).mask());
  e.half = 1U << (l - 1);
  e.inverse = modular::factor(modular::inverse(modular::pow(2, l, e.p), e.p), e.p);
  e.offset = modular::inverse(2, e.p);
  return e;
}

void rns_encode(const RnsEncoding& encoding, std::span<const Word> m, std::span<const std::int32_t> error,
                std::span<std::uint32_t> out) {
  const std::size_t n = common_size(common_size(m.size(), error.size()), out.size());
  HWY_DYNAMIC_DISPATCH(encode)(encoding, m.data(), error.data(), n, out.data());
}

RnsFraction rns_fraction(std::span<const std::uint32_t> primes, std::size_t i) {
  RnsFraction f{};
  f.p = primes[i];
  std::uint32_t cofactor = 1;
  for (std::size_t j = 0; j < primes.size(); ++j)
    if (j != i) cofactor = modular::mul(cofactor, primes[j] % f.p, f.p);
  f.inverse = modular::factor(modular::inverse(cofactor, f.p), f.p);
  std::array<std::uint32_t, 5> digits;  // of 2^160 / p, by long division
  std::uint64_t remainder = 1;
  for (std::uint32_t& digit : digits) {
    digit = static_cast<std::uint32_t>((remainder << 32) / f.p);
    remainder = (remainder << 32) % f.p;
  }
  f.limbs[0] = std::uint64_t{digits[0]} << 32 | digits[1];
  f.limbs[1] = std::uint64_t{digits[2]} << 32 | digits[3];
  f.rest = digits[4];
  return f;
}

void rns_add_fraction(const RnsFraction& fraction, std::span<const std::uint32_t> x, std::span<Word> sum) {
  HWY_DYNAMIC_DISPATCH(add_fraction)(fraction, x.data(), common_size(x.size(), sum.size()), sum.data());
}

void rns_round(unsigned bits, std::span<Word> x) {
  if (bits < 1 || bits > 63) throw internal_error("residues: a modulus of this width cannot be switched to");
  HWY_DYNAMIC_DISPATCH(round)(bits, x.size(), x.data());
}

void rns_from_words(std::span<const Word> x, std::uint32_t p, std::span<std::uint32_t> out) {
  if (p >> 30 != 1) throw internal_error("residues: the prime must have 31 bits");
  HWY_DYNAMIC_DISPATCH(from_words)(x.data(), common_size(x.size(), out.size()), p, out.data());
}

}  // namespace eqo
#endif
