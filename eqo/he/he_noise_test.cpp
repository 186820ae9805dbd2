#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <random>

#include "eqo/core/bits.h"
#include "eqo/he/he_testing.h"

namespace eqo {
namespace {

using namespace he_testing;  // NOLINT(google-build-using-namespace)

// What is left of the phase b - a * secret when the encoded result is taken off, for each coefficient.
std::vector<std::int64_t> noise(const Pair& pair, const HeSum& sum, const Words& result) {
  const std::size_t n = pair.params.degree;
  std::vector<Residues> left;
  for (std::size_t i = 0; i < 2; ++i) {
    const NttTables& ntt = pair.ring->primes()[i].ntt;
    const std::uint32_t p = ntt.prime();
    Residues s(n), x(n), a(n), product(n), encoded(n);
    pair.ring->transform(i, pair.secret, x, s);
    x.assign(sum.a.begin() + static_cast<std::ptrdiff_t>(i * n),
             sum.a.begin() + static_cast<std::ptrdiff_t>(i * n + n));
    ntt_forward(ntt, x, a);
    for (std::size_t j = 0; j < n; ++j) x[j] = modular::mul(a[j], s[j], p);
    ntt_inverse(ntt, x, product);
    rns_encode(rns_encoding(pair.ring->moduli(), i, pair.params.ring_bits), result, SmallPolynomial(n, 0), encoded);
    for (std::size_t j = 0; j < n; ++j)
      x[j] = modular::sub(modular::sub(sum.b[i * n + j], product[j], p), encoded[j], p);
    left.push_back(x);
  }
  const std::uint32_t p0 = pair.ring->moduli()[0], p1 = pair.ring->moduli()[1];
  const auto q = static_cast<std::int64_t>(std::uint64_t{p0} * p1);
  std::vector<std::int64_t> out(n);
  for (std::size_t j = 0; j < n; ++j) {
    const std::uint32_t d =
        modular::mul(modular::sub(left[1][j], left[0][j] % p1, p1), modular::inverse(p0 % p1, p1), p1);
    const auto x = static_cast<std::int64_t>(left[0][j] + std::uint64_t{p0} * d);
    out[j] = x > q / 2 ? x - q : x;
  }
  return out;
}

TEST(HeNoise, NoiseStaysBelowItsBound) {
  std::mt19937_64 rng(12);
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    const HeSizes s = sizes(static_cast<unsigned>(2 + rng() % 31), 1 + rng() % 8, 1 + rng() % 64, 1 + rng() % 9,
                            1 + rng() % 100, static_cast<unsigned>(rng() % 20));
    Pair pair(s, seed);
    const std::uint64_t nonzero = s.folded_outputs * s.input_channels * s.kernel_area;
    const Product product = random_product(pair.params, 2, 3, nonzero, s.max_weight, seed % 2 == 0, rng);
    const HeSum sum = he_sum(pair.params, *pair.public_key, pair.send(product.messages), prepared(pair, product),
                             product.terms, std::vector<std::uint32_t>{}, pair.prg);
    std::int64_t largest = 0;
    for (const std::int64_t x : noise(pair, sum, product.want)) largest = std::max(largest, std::abs(x));
    EXPECT_LE(largest, static_cast<std::int64_t>(pair.params.noise_bound)) << "seed " << seed;
    EXPECT_GE(largest, 400) << "seed " << seed;  // there is an encryption of zero in it
  }
}

// A public key or a fresh ciphertext hides nothing without its error: b - a * secret - the encoded message.
TEST(HeNoise, FreshErrorsAreGaussian) {
  Pair pair(sizes(14, 1, 1, 1, 1, 18), 4);
  const std::size_t n = pair.params.degree;
  std::mt19937_64 rng(4);
  const Words message = random_words(2 * n, 14, rng);
  const HeInputs inputs = pair.send(message);
  const SmallPolynomial none(n, 0);
  for (std::size_t i = 0; i < pair.ring->primes().size(); ++i) {
    const NttTables& ntt = pair.ring->primes()[i].ntt;
    const std::uint32_t p = ntt.prime();
    const std::uint32_t from_montgomery = modular::inverse(pair.ring->primes()[i].montgomery.value, p);
    Residues s(n), x(n), coefficients(n), encoded(n);
    pair.ring->transform(i, pair.secret, x, s);
    auto expect_error = [&](std::span<const std::uint32_t> a, std::span<const std::uint32_t> b, std::uint32_t factor,
                            std::span<const Word> m) {
      for (std::size_t j = 0; j < n; ++j)
        x[j] = modular::mul(modular::sub(b[i * n + j], modular::mul(a[i * n + j], s[j], p), p), factor, p);
      ntt_inverse(ntt, x, coefficients);
      rns_encode(rns_encoding(pair.ring->moduli(), i, 14), m, none, encoded);
      double squares = 0;
      for (std::size_t j = 0; j < n; ++j) {
        const std::uint32_t d = modular::sub(coefficients[j], encoded[j], p);
        const double e = d > p / 2 ? -static_cast<double>(p - d) : d;
        ASSERT_LE(std::abs(e), HeParams::kMaxError);
        squares += e * e;
      }
      EXPECT_NEAR(std::sqrt(squares / static_cast<double>(n)), HeParams::kSigma, 0.2);
    };
    for (std::size_t c = 0; c < 2; ++c) expect_error(inputs.a(c), inputs.b(c), 1, std::span(message).subspan(c * n, n));
    expect_error(pair.public_key->a(), pair.public_key->b(), from_montgomery, Words(n, 0));
  }
}

TEST(HeNoise, EncryptionOfZeroHasTheNoiseOfTheFormula) {
  Pair pair(sizes(14, 1, 1, 1, 1, 18), 3);
  const std::size_t n = pair.params.degree;
  HeWeights weights(pair.ring);
  weights.add(std::vector<std::int32_t>(n, 0));
  const HeInputs inputs = pair.send(Words(n, 1));
  double squares = 0;
  for (int i = 0; i < 8; ++i) {
    const HeSum sum = he_sum(pair.params, *pair.public_key, inputs, weights, std::vector<HeTerm>{{0, 0}},
                             std::vector<std::uint32_t>{}, pair.prg);
    for (const std::int64_t x : noise(pair, sum, Words(n, 0))) squares += double(x) * double(x);
  }
  const double expected = 3.2 * std::sqrt(1 + 4.0 * static_cast<double>(n) / 3);
  EXPECT_NEAR(std::sqrt(squares / (8.0 * static_cast<double>(n))) / expected, 1, 0.05);
}

// The error that a client sees in an answer, in units of q' / 2^(l+9), for all coefficients.
std::vector<int> visible_error(const Pair& pair, const Bytes& answer, const Words& result) {
  const std::size_t n = pair.params.degree;
  const unsigned wide = pair.params.switched_bits(), kept = pair.params.kept_bits(), l = pair.params.ring_bits;
  const std::size_t whole = packed_bytes(n, wide);
  const Words a = unpack(std::span(answer).first(whole), n, wide);
  const Words b = unpack(std::span(answer).subspan(whole), n, kept);
  Words product(n, 0);
  schoolbook(a, std::vector<std::int32_t>(pair.secret.begin(), pair.secret.end()), product);
  std::vector<int> out(n);
  const Ring ring(wide);
  for (std::size_t i = 0; i < n; ++i)
    out[i] =
        static_cast<int>(ring.to_signed(ring.reduce((b[i] << (wide - kept)) - product[i] - (result[i] << (wide - l)))));
  return out;
}

struct Statistics {
  std::array<double, 32> cells{};  // of the error
  std::array<double, 256> bytes{};
  double n = 0, sum = 0, squares = 0;
};

Statistics statistics(Pair& pair, std::int32_t weight, bool random_sign, int answers) {
  const std::size_t n = pair.params.degree;
  std::mt19937_64 rng(5);
  Product product;
  product.messages = random_words(n, pair.params.ring_bits, rng);
  product.weights.assign(1, std::vector<std::int32_t>(n, 0));
  for (std::size_t i = 0; i < 144; ++i) product.weights[0][28 * i] = random_sign && rng() % 2 ? -weight : weight;
  product.terms = {{0, 0}};
  product.want.assign(n, 0);
  schoolbook(product.messages, product.weights[0], product.want);
  std::vector<std::uint32_t> needed(n);
  std::iota(needed.begin(), needed.end(), 0);
  const HeWeights weights = prepared(pair, product);
  Statistics s;
  for (int i = 0; i < answers; ++i) {
    const Words mask = random_words(n, pair.params.ring_bits, rng);
    Words result = product.want;
    for (std::size_t j = 0; j < n; ++j) result[j] = Ring(pair.params.ring_bits).add(result[j], mask[j]);
    const Bytes answer = he_answer(pair.params, *pair.public_key, pair.send(product.messages), weights, product.terms,
                                   needed, mask, pair.prg);
    for (const std::byte b : answer) s.bytes[std::to_integer<std::size_t>(b)] += 1;
    for (const int e : visible_error(pair, answer, result)) {
      EXPECT_LT(std::abs(e), 256);
      s.cells[static_cast<std::size_t>(std::clamp((e + 128) / 8, 0, 31))] += 1;
      s.n += 1;
      s.sum += e;
      s.squares += double(e) * e;
    }
  }
  return s;
}

// 144 weights of the largest value against none at all: what the client sees has the same distribution.
void expect_independent(const HeSizes& s, int answers) {
  Pair pair(s, 9);
  const Statistics zero = statistics(pair, 0, false, answers);
  const double flooding = std::exp2(8.0 - pair.params.flooding_shift);
  const double rounding = (1 + 2 * static_cast<double>(pair.params.degree) / 3) / 12;
  double byte_chi = 0;
  for (const bool random_sign : {false, true}) {
    const Statistics full = statistics(pair, 8, random_sign, answers);
    const double variance = zero.squares / zero.n;
    EXPECT_NEAR(zero.sum / zero.n, 0, 5 * std::sqrt(variance / zero.n));
    EXPECT_NEAR(full.sum / full.n, 0, 5 * std::sqrt(variance / full.n));
    EXPECT_NEAR(full.squares / full.n / variance, 1, 0.03);
    // Two uniform numbers, flooding and the cut of +-32, and the rounding of the uniform half.
    EXPECT_NEAR(std::sqrt(variance), std::sqrt((flooding * flooding + 32 * 32) / 3 + rounding), 0.5);
    double chi = 0, cells = 0;
    for (std::size_t i = 0; i < full.cells.size(); ++i) {
      const double both = zero.cells[i] + full.cells[i];
      if (both < 20) continue;
      chi += (zero.cells[i] - full.cells[i]) * (zero.cells[i] - full.cells[i]) / both;
      cells += 1;
    }
    EXPECT_GT(cells, 15);
    EXPECT_LT(chi, cells + 5 * std::sqrt(2 * cells));
    byte_chi = 0;
    const double expected = std::accumulate(full.bytes.begin(), full.bytes.end(), 0.0) / 256;
    for (const double b : full.bytes) byte_chi += (b - expected) * (b - expected) / expected;
    EXPECT_LT(byte_chi, 255 + 5 * std::sqrt(2 * 255.0));
  }
}

TEST(HeNoise, AnswersDoNotDependOnTheWeights) {
  expect_independent(sizes(14, 1, 16, 9, 8, 18), 12);
  expect_independent(sizes(24, 1, 64, 9, 8, 22), 5);  // N = 8192, with other shares of the margin
}

}  // namespace
}  // namespace eqo
