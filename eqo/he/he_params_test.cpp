#include "eqo/he/he_params.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>

#include "eqo/core/error.h"
#include "eqo/he/he_testing.h"
#include "eqo/he/modular.h"

namespace eqo {
namespace {

using he_testing::sizes;

// The formulas as they are written down, in floating point.
void expect_formulas(const HeSizes& s, const HeParams& p) {
  const auto n = static_cast<double>(p.degree);
  const double weights = static_cast<double>(s.folded_outputs) * static_cast<double>(s.input_channels) *
                         static_cast<double>(s.kernel_area) * static_cast<double>(s.max_weight);
  const double bound = weights * (6 * 3.2 + 1) + 12 * 3.2 * std::sqrt(2 * n / 3);
  EXPECT_GE(static_cast<double>(p.noise_bound), bound * (1 - 1e-12));
  EXPECT_LE(static_cast<double>(p.noise_bound), bound * (1 + 1e-12) + 2);
  const double flooding = 40 + s.log_revealed + std::log2(bound);
  const double fraction = std::exp2(p.log2_flooding() + s.ring_bits + 1 - p.log2_modulus());
  EXPECT_GE(p.log2_flooding(), flooding - 1e-9);
  EXPECT_GE(p.log2_modulus(), s.ring_bits + 1 + flooding + 3 - 1e-9);
  EXPECT_LE(fraction, 0.125 + 1e-12);
  EXPECT_GE((1 - fraction) * 256 - 32, 9 * std::sqrt((1 + 2 * n / 3) / 12));
  EXPECT_LE(p.log2_session_distance(), -41 + 1e-2);
  EXPECT_LE(p.modulus_bits, max_modulus_bits(p.degree));
  EXPECT_EQ(p.modulus_bits, std::ceil(p.log2_modulus()));
  EXPECT_EQ(p.switched_bits(), s.ring_bits + 9);
  EXPECT_EQ(p.kept_bits(), s.ring_bits + 3);
}

TEST(HeParams, FormulasForRandomSizes) {
  std::mt19937_64 rng(7);
  int small = 0, large = 0;
  for (int i = 0; i < 300; ++i) {
    HeSizes s = sizes(2 + static_cast<unsigned>(rng() % 31), 1 + rng() % 16, 1 + rng() % 512, 1 + rng() % 49,
                      1 + rng() % 200, static_cast<unsigned>(rng() % 31));
    const HeParams p = make_he_params(s);
    SCOPED_TRACE(testing::Message() << "trial " << i << ": " << p.modulus_bits << " bits");
    expect_formulas(s, p);
    (p.degree == 4096 ? small : large) += 1;
    // One bit less would not do, and neither would the smaller ring.
    if (p.degree == 4096) {
      EXPECT_LT(p.log2_modulus() - 1.01, s.ring_bits + 4 + 40 + s.log_revealed + std::log2(p.noise_bound));
    } else {
      EXPECT_GT(s.ring_bits + 4 + 40 + s.log_revealed + std::log2(p.noise_bound - 800), 108.99);
    }
    EXPECT_EQ(p, make_he_params(s));
    s.min_modulus_bits = p.modulus_bits + 1;
    const HeParams wider = make_he_params(s);
    EXPECT_TRUE(wider.degree > p.degree || wider.modulus_bits == p.modulus_bits + 1);
  }
  EXPECT_GT(small, 50);
  EXPECT_GT(large, 50);
}

TEST(HeParams, ResNet32) {
  struct Stage {
    std::uint64_t k, c;
  };
  for (const auto [k, c] : {Stage{1, 16}, Stage{2, 32}, Stage{3, 64}})
    for (const unsigned l : {14U, 16U}) {
      const HeParams p = make_he_params(sizes(l, k, c, 9, 8, 18));
      EXPECT_EQ(p.degree, 4096U);
      EXPECT_GE(p.modulus_bits, l == 14 ? 90U : 92U);
      EXPECT_LE(p.modulus_bits, l == 14 ? 95U : 97U);
      EXPECT_LE(p.log2_session_distance(), -41);
    }
  // The bytes of one layer of the first stage: 6 ciphertexts there, 16 results of 1024 coefficients back.
  const HeParams p = make_he_params(sizes(14, 1, 16, 9, 8, 18));
  EXPECT_EQ(p.modulus_bits, 91U);
  EXPECT_EQ(he_public_key_bytes(p), 16 + 4096U * 91 / 8);
  EXPECT_EQ(he_inputs_bytes(p, 6), 16 + 6 * (4096U * 91 / 8));
  EXPECT_EQ(he_answer_bytes(p, 1024), 4096U * 23 / 8 + 1024U * 17 / 8);
  EXPECT_EQ(he_answer_bytes(p, 3), 4096U * 23 / 8 + 7);
}

TEST(HeParams, Primes) {
  for (const std::size_t degree : {std::size_t{4096}, std::size_t{8192}})
    for (unsigned bits = 48; bits <= max_modulus_bits(degree); ++bits) {
      const auto primes = modulus_primes(degree, bits);
      EXPECT_EQ(primes.size(), (bits + 30) / 31);
      double log = 0;
      for (const std::uint32_t p : primes) {
        EXPECT_TRUE(modular::is_prime(p));
        EXPECT_EQ(p % (2 * degree), 1U);
        EXPECT_LT(p, 1U << 31);
        log += std::log2(p);
      }
      EXPECT_EQ(std::set(primes.begin(), primes.end()).size(), primes.size());
      EXPECT_LE(log, bits);
      // Packed prime by prime they are no wider than the modulus, and little of it is lost: there are fewer narrow
      // primes.
      EXPECT_GE(log, bits - (bits < 24 * primes.size() ? 0.8 : 0.11));
    }
  // A fixed table: both parties must have it, whatever their version.
  EXPECT_EQ(modulus_primes(4096, 91), (std::vector<std::uint32_t>{1073692673, 1073668097, 2147377153}));
  EXPECT_EQ(modulus_primes(8192, 155),
            (std::vector<std::uint32_t>{2147352577, 2147205121, 2147074049, 2146959361, 2146713601}));
}

TEST(HeParams, Refuses) {
  auto category = [](const HeSizes& s) {
    try {
      make_he_params(s);
    } catch (const Error& e) {
      return e.category();
    }
    return Category::kInternal;
  };
  EXPECT_EQ(category(sizes(1, 1, 1, 1, 1, 0)), Category::kUsage);
  EXPECT_EQ(category(sizes(33, 1, 1, 1, 1, 0)), Category::kUsage);
  EXPECT_EQ(category(sizes(14, 0, 1, 1, 1, 0)), Category::kUsage);
  EXPECT_EQ(category(sizes(14, 1, 1, 1, 1 << 23, 0)), Category::kUsage);
  EXPECT_EQ(category(sizes(14, 1, 1, 1, 1, 41)), Category::kUsage);
  EXPECT_EQ(category(sizes(14, 1 << 16, 1 << 16, 1 << 16, 1, 0)), Category::kModel);
  EXPECT_EQ(category(sizes(14, ~std::uint64_t{0}, 2, 1, 1, 0)), Category::kUsage);
  HeSizes s = sizes(14, 1, 1, 1, 1, 0);
  s.min_degree = 16384;
  EXPECT_EQ(category(s), Category::kUsage);
  s.min_degree = 8192;
  s.min_modulus_bits = 219;
  EXPECT_EQ(category(s), Category::kModel);
  EXPECT_THROW(max_modulus_bits(2048), Error);
  EXPECT_THROW(modulus_primes(4096, 110), Error);
}

}  // namespace
}  // namespace eqo
