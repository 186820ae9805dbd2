#include "eqo/he/ntt.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "eqo/core/error.h"
#include "eqo/he/he_params.h"
#include "eqo/he/targets_testing.h"

namespace eqo {
namespace {

std::uint32_t prime_below(std::uint32_t bound, std::size_t degree) {
  auto p = static_cast<std::uint32_t>((bound - 1) / (2 * degree) * (2 * degree) + 1);
  while (!modular::is_prime(p)) p -= static_cast<std::uint32_t>(2 * degree);
  return p;
}

Residues random_residues(std::size_t n, std::uint32_t p, std::mt19937_64& rng) {
  Residues x(n);
  for (std::uint32_t& e : x) e = static_cast<std::uint32_t>(rng() % p);
  return x;
}

Residues forward(const NttTables& t, Residues x) {
  Residues out(x.size());
  ntt_forward(t, x, out);
  return out;
}
Residues inverse(const NttTables& t, Residues x) {
  Residues out(x.size());
  ntt_inverse(t, x, out);
  return out;
}

std::size_t reversed(std::size_t x, std::size_t size) {
  std::size_t r = 0;
  for (; size > 1; size /= 2, x /= 2) r = r * 2 + x % 2;
  return r;
}

// x * y mod X^n + 1
Residues schoolbook(const Residues& x, const Residues& y, std::uint32_t p) {
  const std::size_t n = x.size();
  Residues out(n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      const std::uint32_t m = modular::mul(x[i], y[j], p);
      std::uint32_t& to = out[(i + j) % n];
      to = i + j < n ? modular::add(to, m, p) : modular::sub(to, m, p);
    }
  return out;
}

TEST(Ntt, ValuesAreEvaluations) {
  for (const std::size_t n : {256U, 512U, 4096U, 8192U}) {
    const std::uint32_t p = prime_below(1U << 31, n);
    const NttTables tables(n, p);
    const std::uint32_t psi = modular::root_of_unity(static_cast<std::uint32_t>(2 * n), p);
    std::mt19937_64 rng(n);
    const Residues x = random_residues(n, p, rng);
    on_every_target([&] {
      const Residues values = forward(tables, x);
      for (int i = 0; i < 40; ++i) {
        const std::size_t hi = i == 0 ? 0 : rng() % 16, lo = i == 0 ? 0 : rng() % (n / 16);
        const std::uint32_t at = modular::pow(psi, 2 * reversed(hi * (n / 16) + lo, n) + 1, p);
        std::uint32_t want = 0;
        for (std::size_t j = n; j-- > 0;) want = modular::add(modular::mul(want, at, p), x[j], p);
        ASSERT_EQ(values[lo * 16 + hi], want) << "degree " << n;
      }
    });
  }
}

TEST(Ntt, InverseIsInverse) {
  for (const std::size_t n : {256U, 512U, 1024U, 4096U, 8192U})
    for (const std::uint32_t bound : {1U << 24, 1U << 30, 1U << 31}) {
      const std::uint32_t p = prime_below(bound, n);
      const NttTables tables(n, p);
      std::mt19937_64 rng(n + bound);
      const Residues x = random_residues(n, p, rng), largest(n, p - 1), zero(n, 0);
      on_every_target([&] {
        EXPECT_EQ(inverse(tables, forward(tables, x)), x);
        EXPECT_EQ(forward(tables, inverse(tables, x)), x);
        EXPECT_EQ(inverse(tables, forward(tables, largest)), largest);
        EXPECT_EQ(forward(tables, inverse(tables, largest)), largest);
        EXPECT_EQ(forward(tables, zero), zero);
        for (const std::uint32_t v : forward(tables, x)) ASSERT_LT(v, p);
      });
    }
}

TEST(Ntt, ProductsAreNegacyclic) {
  for (const std::size_t n : {256U, 512U}) {
    const std::uint32_t p = prime_below(1U << 31, n);
    const NttTables tables(n, p);
    std::mt19937_64 rng(n);
    const Residues x = random_residues(n, p, rng), y = random_residues(n, p, rng), want = schoolbook(x, y, p);
    const modular::Factor montgomery = modular::factor(static_cast<std::uint32_t>((std::uint64_t{1} << 32) % p), p);
    on_every_target([&] {
      Residues values = forward(tables, y), product(n);
      for (std::uint32_t& v : values) v = modular::mul(v, montgomery, p);
      ntt_multiply(forward(tables, x), values, p, product);
      EXPECT_EQ(inverse(tables, product), want);
    });
  }
}

TEST(Ntt, SumsOfProducts) {
  for (const std::uint32_t bound : {1U << 24, 1U << 31}) {
    const std::uint32_t p = prime_below(bound, 256);
    const std::uint32_t to_plain = modular::inverse(static_cast<std::uint32_t>((std::uint64_t{1} << 32) % p), p);
    std::mt19937_64 rng(bound);
    for (const std::size_t n : {1U, 2U, 3U, 4U, 7U, 64U, 65U})
      for (const bool extreme : {false, true}) {
        const std::size_t size = 256;
        const Residues a = extreme ? Residues(n * size, p - 1) : random_residues(n * size, p, rng);
        const Residues b = extreme ? Residues(n * size, p - 1) : random_residues(n * size, p, rng);
        const Residues w = extreme ? Residues(n * size, p - 1) : random_residues(n * size, p, rng);
        std::vector<NttTerm> terms;
        for (std::size_t i = 0; i < n; ++i) terms.push_back({&a[i * size], &b[i * size], &w[i * size]});
        on_every_target([&] {
          Residues out_a(size), out_b(size);
          ntt_dot(terms, p, out_a, out_b);
          for (std::size_t i = 0; i < size; ++i) {
            std::uint32_t want_a = 0, want_b = 0;
            for (std::size_t j = 0; j < n; ++j) {
              want_a = modular::add(want_a, modular::mul(a[j * size + i], w[j * size + i], p), p);
              want_b = modular::add(want_b, modular::mul(b[j * size + i], w[j * size + i], p), p);
            }
            ASSERT_EQ(out_a[i], modular::mul(want_a, to_plain, p)) << n << " terms";
            ASSERT_EQ(out_b[i], modular::mul(want_b, to_plain, p)) << n << " terms";
          }
        });
      }
  }
}

// The order and the root of unity are part of the wire format: X^1 at the first values of the first prime of 91 bits.
TEST(Ntt, KnownAnswer) {
  const std::uint32_t p = modulus_primes(4096, 91)[0];
  const NttTables tables(4096, p);
  Residues x(4096, 0);
  x[1] = 1;
  const Residues values = forward(tables, x);
  EXPECT_EQ((std::vector<std::uint32_t>(values.begin(), values.begin() + 4)),
            (std::vector<std::uint32_t>{510015274, 739635244, 277060850, 607994700}));
}

TEST(Ntt, Refuses) {
  EXPECT_THROW(NttTables(128, 12289), Error);
  EXPECT_THROW(NttTables(4096, 12289), Error);
  EXPECT_THROW(NttTables(768, 12289), Error);
  EXPECT_THROW(NttTables(256, 2147483648U + 1024 + 1), Error);
  EXPECT_THROW(NttTables(256, 3 * 512 + 1), Error);
  const NttTables tables(256, 12289);
  Residues x(256), out(255);
  EXPECT_THROW(ntt_forward(tables, x, out), Error);
  EXPECT_THROW(ntt_inverse(tables, out, x), Error);
}

}  // namespace
}  // namespace eqo
