#include "eqo/he/rns.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "eqo/core/error.h"
#include "eqo/he/he_params.h"
#include "eqo/he/residues.h"
#include "eqo/he/targets_testing.h"

namespace eqo {
namespace {

constexpr std::size_t kSize = 67;

// q of two primes: everything can be computed in 128 bits.
struct Modulus {
  std::vector<std::uint32_t> primes = modulus_primes(4096, 60);
  UInt128 q = UInt128{primes[0]} * primes[1];
  UInt128 random(std::mt19937_64& rng) const { return ((UInt128{rng()} << 64) | rng()) % q; }
};

TEST(Rns, EncodingRounds) {
  const Modulus modulus;
  std::mt19937_64 rng(1);
  for (const unsigned l : {1U, 2U, 7U, 14U, 31U, 32U}) {
    const Ring ring(l);
    Words m(kSize);
    for (Word& e : m) e = ring.reduce(rng());
    m[0] = 0, m[1] = ring.mask(), m[2] = ring.reduce(Word{1} << (l - 1));
    std::vector<std::int32_t> error(kSize);
    for (std::int32_t& e : error) e = static_cast<std::int32_t>(rng() % 39) - 19;
    on_every_target([&] {
      for (std::size_t i = 0; i < 2; ++i) {
        const std::uint32_t p = modulus.primes[i];
        Residues out(kSize);
        rns_encode(rns_encoding(modulus.primes, i, l), m, error, out);
        for (std::size_t j = 0; j < kSize; ++j) {
          const UInt128 scaled = ((modulus.q * m[j] + (UInt128{1} << (l - 1))) >> l) + p;
          const auto e = static_cast<std::uint64_t>(error[j] + 19);
          ASSERT_EQ((out[j] + 19) % p, static_cast<std::uint64_t>((scaled + e) % p)) << "l " << l << " m " << m[j];
        }
      }
    });
  }
}

TEST(Rns, SmallNumbers) {
  const std::uint32_t p = modulus_primes(8192, 63)[0];
  ASSERT_LT(p, 1U << 21);
  std::mt19937_64 rng(2);
  std::vector<std::int32_t> x(kSize);
  for (std::int32_t& e : x) e = static_cast<std::int32_t>(rng());
  x[0] = 0, x[1] = -1, x[2] = static_cast<std::int32_t>(p), x[3] = -x[2], x[4] = 0x7fffffff, x[5] = -0x7fffffff;
  on_every_target([&] {
    Residues out(kSize), sum(kSize, p - 1);
    rns_from_small(x, p, out);
    for (std::size_t j = 0; j < kSize; ++j) {
      const auto q = static_cast<std::int64_t>(p);
      ASSERT_EQ(out[j], ((x[j] % q) + q) % q) << x[j];
    }
    std::vector<std::int32_t> small(kSize);
    for (std::size_t j = 0; j < kSize; ++j) small[j] = static_cast<std::int32_t>(j) - 19;
    rns_add_small(small, p, sum);
    for (std::size_t j = 0; j < kSize; ++j) ASSERT_EQ(sum[j], (p - 1 + j + p - 19) % p);
    rns_add(out, p, sum);
    rns_scale(modular::factor(12345, p), p, sum);
    for (std::size_t j = 0; j < kSize; ++j)
      ASSERT_EQ(sum[j], ((p - 1 + j + p - 19) % p + out[j]) % p * std::uint64_t{12345} % p);
  });
}

// round(x * 2^bits / q), within half a unit and no more: the rounding is to the nearest and not down.
TEST(Rns, SwitchesTheModulus) {
  const Modulus modulus;
  std::mt19937_64 rng(3);
  std::vector<UInt128> x(kSize);
  for (UInt128& e : x) e = modulus.random(rng);
  x[0] = 0, x[1] = modulus.q - 1, x[2] = modulus.q / 2, x[3] = 1;
  for (const unsigned bits : {11U, 23U, 41U})
    on_every_target([&] {
      Words sum(kSize, 0);
      for (std::size_t i = 0; i < 2; ++i) {
        Residues part(kSize);
        for (std::size_t j = 0; j < kSize; ++j) part[j] = static_cast<std::uint32_t>(x[j] % modulus.primes[i]);
        rns_add_fraction(rns_fraction(modulus.primes, i), part, sum);
      }
      rns_round(bits, sum);
      for (std::size_t j = 0; j < kSize; ++j) {
        const UInt128 want = ((x[j] << bits) + modulus.q / 2) / modulus.q;
        ASSERT_EQ(sum[j], static_cast<Word>(want) & Ring(bits).mask()) << bits << " bits, " << j;
      }
    });
}

TEST(Rns, Fractions) {
  for (const unsigned bits : {91U, 109U}) {
    const auto primes = modulus_primes(4096, bits);
    for (std::size_t i = 0; i < primes.size(); ++i) {
      const RnsFraction f = rns_fraction(primes, i);
      // limbs * 2^32 + rest is 2^160 / p rounded down
      const UInt128 high = (UInt128{f.limbs[0]} << 64 | f.limbs[1]);
      const UInt128 remainder = ~UInt128{0} - high * f.p + 1;  // 2^128 - high * p, below p
      ASSERT_LT(remainder, f.p);
      ASSERT_EQ(f.rest, static_cast<std::uint64_t>((remainder << 32) / f.p));
      std::uint64_t cofactor = 1;
      for (std::size_t j = 0; j < primes.size(); ++j)
        if (j != i) cofactor = cofactor * primes[j] % f.p;
      ASSERT_EQ(cofactor * f.inverse.value % f.p, 1U);
    }
  }
}

// 2^128 * x / q by long division, at most two units a prime above the sum of the primes' parts.
TEST(Rns, WideFractions) {
  const Modulus modulus;
  std::mt19937_64 rng(6);
  for (int i = 0; i < 200; ++i) {
    const UInt128 x = i == 0 ? modulus.q - 1 : modulus.random(rng);
    UInt128 want = 0, rest = x, sum = 0;
    for (int bit = 0; bit < 128; ++bit) {
      rest *= 2;
      want = want * 2 + (rest >= modulus.q ? 1 : 0);
      rest -= rest >= modulus.q ? modulus.q : 0;
    }
    for (std::size_t j = 0; j < 2; ++j)
      sum += rns_wide_fraction(rns_fraction(modulus.primes, j), static_cast<std::uint32_t>(x % modulus.primes[j]));
    ASSERT_LE(static_cast<Word>(want - sum), 4U) << i;
  }
}

TEST(Rns, WideNumbers) {
  std::mt19937_64 rng(4);
  for (const std::uint32_t p : modulus_primes(4096, 62)) {
    Words x(kSize);
    for (Word& e : x) e = rng() >> 2;
    x[0] = 0, x[1] = p, x[2] = p - 1, x[3] = 0x7fffffff, x[4] = (Word{1} << 62) - 1;
    on_every_target([&] {
      Residues out(kSize);
      rns_from_words(x, p, out);
      for (std::size_t j = 0; j < kSize; ++j) ASSERT_EQ(out[j], x[j] % p);
    });
  }
  Residues out(kSize);
  EXPECT_THROW(rns_from_words(Words(kSize), 12289, out), Error);
  EXPECT_THROW(rns_add(Residues(3), 12289, out), Error);
}

}  // namespace
}  // namespace eqo
