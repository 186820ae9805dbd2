#include "eqo/he/he_cipher.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>
#include <random>
#include <string>

#include "eqo/core/bits.h"
#include "eqo/core/error.h"
#include "eqo/crypto/sha256.h"
#include "eqo/he/he_ring.h"
#include "eqo/he/targets_testing.h"

namespace eqo {
namespace {

Seed test_seed(std::uint64_t value) {
  const std::array<std::uint64_t, 2> words{value, 0};
  return Seed(std::as_bytes(std::span(words)));
}

// Both parties and their keys for one set of parameters; rings are expensive enough to be kept.
struct Pair {
  Pair(const HeSizes& sizes, std::uint64_t seed)
      : params(make_he_params(sizes)), ring(cached_ring(params)), prg(test_seed(seed)) {
    Prg key_prg(test_seed(seed + 1));
    key = std::make_unique<HeClientKey>(ring, key_prg);
    public_key = std::make_unique<HePublicKey>(ring, key->public_key(prg));
    Prg same(test_seed(seed + 1));
    secret = sample_ternary(same, params.degree);
  }
  static std::shared_ptr<const HeRing> cached_ring(const HeParams& p) {
    static std::map<std::pair<std::size_t, unsigned>, std::shared_ptr<const HeRing>> rings;
    auto& ring = rings[{p.degree, p.modulus_bits}];
    if (!ring) ring = make_he_ring(p);
    return ring;
  }
  HeInputs send(std::span<const Word> messages) {
    const std::size_t count = messages.size() / params.degree;
    const Bytes bytes = key->encrypt(params, messages, prg);
    EXPECT_EQ(bytes.size(), he_inputs_bytes(params, count));
    return {*ring, count, bytes};
  }

  HeParams params;
  std::shared_ptr<const HeRing> ring;
  Prg prg;
  std::unique_ptr<HeClientKey> key;
  std::unique_ptr<HePublicKey> public_key;
  SmallPolynomial secret;  // the key's, for tests that look at noise
};

HeSizes sizes(unsigned l, std::uint64_t k, std::uint64_t c, std::uint64_t area, std::uint64_t w, unsigned u) {
  return {.ring_bits = l,
          .folded_outputs = k,
          .input_channels = c,
          .kernel_area = area,
          .max_weight = w,
          .log_revealed = u,
          .min_degree = 4096,
          .min_modulus_bits = 0};
}

Words random_words(std::size_t n, unsigned bits, std::mt19937_64& rng) {
  Words x(n);
  for (Word& e : x) e = Ring(bits).reduce(rng());
  return x;
}

// sum += x * w mod X^n + 1, over the integers mod 2^64
void schoolbook(std::span<const Word> x, std::span<const std::int32_t> w, Words& sum) {
  const std::size_t n = x.size();
  for (std::size_t j = 0; j < n; ++j) {
    if (w[j] == 0) continue;
    const Word by = static_cast<Word>(std::int64_t{w[j]});
    for (std::size_t i = 0; i + j < n; ++i) sum[i + j] += by * x[i];
    for (std::size_t i = n - j; i < n; ++i) sum[i + j - n] -= by * x[i];
  }
}

struct Product {
  Words messages;  // of all inputs
  std::vector<std::vector<std::int32_t>> weights;
  std::vector<HeTerm> terms;
  Words want;  // all N coefficients mod 2^l, without mask
};

// `nonzero` weights of up to w_max in absolute value, spread over `terms` polynomials.
Product random_product(const HeParams& p, std::size_t inputs, std::size_t terms, std::uint64_t nonzero,
                       std::uint64_t w_max, bool extreme, std::mt19937_64& rng) {
  Product out;
  out.messages = random_words(inputs * p.degree, p.ring_bits, rng);
  if (extreme) std::fill(out.messages.begin(), out.messages.end(), Ring(p.ring_bits).mask());
  out.weights.assign(terms, std::vector<std::int32_t>(p.degree, 0));
  for (std::uint64_t i = 0; i < nonzero; ++i) {
    std::int32_t& w = out.weights[rng() % terms][rng() % p.degree];
    const auto magnitude = static_cast<std::int32_t>(extreme ? w_max : rng() % (w_max + 1));
    if (w == 0) w = rng() % 2 == 0 ? magnitude : -magnitude;
  }
  out.want.assign(p.degree, 0);
  for (std::uint32_t t = 0; t < terms; ++t) {
    out.terms.push_back({static_cast<std::uint32_t>(rng() % inputs), t});
    schoolbook(std::span(out.messages).subspan(out.terms.back().input * p.degree, p.degree), out.weights[t], out.want);
  }
  for (Word& x : out.want) x = Ring(p.ring_bits).reduce(x);
  return out;
}

HeWeights prepared(const Pair& pair, const Product& product) {
  HeWeights weights(pair.ring);
  for (const auto& w : product.weights) weights.add(w);
  return weights;
}

void expect_right(const HeSizes& s, std::size_t inputs, std::size_t terms, bool extreme, std::uint64_t seed) {
  std::mt19937_64 rng(seed);
  Pair pair(s, seed);
  SCOPED_TRACE(testing::Message() << "seed " << seed << ": l " << s.ring_bits << ", N " << pair.params.degree << ", q "
                                  << pair.params.modulus_bits << " bits, " << terms << " terms");
  const std::uint64_t nonzero = s.folded_outputs * s.input_channels * s.kernel_area;
  const Product product = random_product(pair.params, inputs, terms, nonzero, s.max_weight, extreme, rng);
  std::vector<std::uint32_t> needed(pair.params.degree);
  std::iota(needed.begin(), needed.end(), 0);
  std::shuffle(needed.begin(), needed.end(), rng);
  needed.resize(1 + rng() % needed.size());
  const Words mask = random_words(needed.size(), s.ring_bits, rng);

  const Bytes answer = he_answer(pair.params, *pair.public_key, pair.send(product.messages), prepared(pair, product),
                                 product.terms, needed, mask, pair.prg);
  ASSERT_EQ(answer.size(), he_answer_bytes(pair.params, needed.size()));
  const Words result = pair.key->decrypt(pair.params, answer, needed);
  ASSERT_EQ(result.size(), needed.size());
  for (std::size_t i = 0; i < needed.size(); ++i)
    ASSERT_EQ(result[i], Ring(s.ring_bits).add(product.want[needed[i]], mask[i])) << "coefficient " << needed[i];
}

TEST(HeCipher, RandomProductsAreExact) {
  std::mt19937_64 rng(11);
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    const auto l = static_cast<unsigned>(2 + rng() % 31);
    const HeSizes s =
        sizes(l, 1 + rng() % 8, 1 + rng() % 64, 1 + rng() % 9, 1 + rng() % 200, static_cast<unsigned>(rng() % 26));
    expect_right(s, 1 + rng() % 4, 1 + rng() % 6, rng() % 4 == 0, 100 * seed);
  }
}

TEST(HeCipher, ExtremesAreExact) {
  expect_right(sizes(2, 1, 1, 1, 1, 0), 1, 1, true, 1);
  expect_right(sizes(32, 8, 64, 9, 255, 25), 2, 3, true, 2);
  expect_right(sizes(32, 1, 4096, 1, 1, 40), 1, 1, true, 3);
  expect_right(sizes(14, 1, 1, 1, (1 << 23) - 1, 18), 1, 1, true, 4);
  HeSizes wide = sizes(14, 3, 64, 9, 8, 18);
  wide.min_degree = 8192;
  expect_right(wide, 5, 5, true, 5);
  wide.min_modulus_bits = 200;
  expect_right(wide, 1, 2, false, 6);
}

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

TEST(HeCipher, NoiseStaysBelowItsBound) {
  std::mt19937_64 rng(12);
  for (std::uint64_t seed = 1; seed <= 24; ++seed) {
    const HeSizes s = sizes(static_cast<unsigned>(2 + rng() % 31), 1 + rng() % 8, 1 + rng() % 64, 1 + rng() % 9,
                            1 + rng() % 100, static_cast<unsigned>(rng() % 20));
    Pair pair(s, seed);
    const std::uint64_t nonzero = s.folded_outputs * s.input_channels * s.kernel_area;
    const Product product = random_product(pair.params, 2, 3, nonzero, s.max_weight, seed % 2 == 0, rng);
    const HeSum sum = he_sum(pair.params, *pair.public_key, pair.send(product.messages), prepared(pair, product),
                             product.terms, pair.prg);
    std::int64_t largest = 0;
    for (const std::int64_t x : noise(pair, sum, product.want)) largest = std::max(largest, std::abs(x));
    EXPECT_LE(largest, static_cast<std::int64_t>(pair.params.noise_bound)) << "seed " << seed;
    EXPECT_GE(largest, 400) << "seed " << seed;  // there is an encryption of zero in it
  }
}

// A public key or a fresh ciphertext hides nothing without its error: b - a * secret - the encoded message.
TEST(HeCipher, FreshErrorsAreGaussian) {
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

TEST(HeCipher, EncryptionOfZeroHasTheNoiseOfTheFormula) {
  Pair pair(sizes(14, 1, 1, 1, 1, 18), 3);
  const std::size_t n = pair.params.degree;
  HeWeights weights(pair.ring);
  weights.add(std::vector<std::int32_t>(n, 0));
  const HeInputs inputs = pair.send(Words(n, 1));
  double squares = 0;
  for (int i = 0; i < 8; ++i) {
    const HeSum sum = he_sum(pair.params, *pair.public_key, inputs, weights, std::vector<HeTerm>{{0, 0}}, pair.prg);
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

TEST(HeCipher, AnswersDoNotDependOnTheWeights) {
  expect_independent(sizes(14, 1, 16, 9, 8, 18), 12);
  expect_independent(sizes(24, 1, 64, 9, 8, 22), 5);  // N = 8192, with other shares of the margin
}

TEST(HeCipher, RandomnessIsFresh) {
  Pair pair(sizes(14, 1, 1, 1, 1, 18), 21);
  const std::size_t n = pair.params.degree;
  const Words m(n, 3);
  EXPECT_NE(pair.key->encrypt(pair.params, m, pair.prg), pair.key->encrypt(pair.params, m, pair.prg));
  HeWeights weights(pair.ring);
  weights.add(std::vector<std::int32_t>(n, 0));
  const HeInputs inputs = pair.send(m);
  auto answer = [&] {
    return he_answer(pair.params, *pair.public_key, inputs, weights, std::vector<HeTerm>{{0, 0}},
                     std::vector<std::uint32_t>{0, 1, 2}, Words(3, 0), pair.prg);
  };
  const Bytes first = answer(), second = answer();
  int equal = 0;
  for (std::size_t i = 0; i < first.size(); ++i) equal += first[i] == second[i] ? 1 : 0;
  EXPECT_LT(equal, static_cast<int>(first.size()) / 128);
}

// Messages of a seeded run, the same for every instruction set: whoever changes them changes the wire format.
TEST(HeCipher, KnownTranscript) {
  on_every_target([] {
    Pair pair(sizes(14, 2, 3, 9, 8, 18), 31);
    std::mt19937_64 rng(31);
    const Product product = random_product(pair.params, 2, 2, 54, 8, false, rng);
    Prg prg(test_seed(32));
    const Bytes public_key = pair.key->public_key(prg), inputs = pair.key->encrypt(pair.params, product.messages, prg);
    const std::vector<std::uint32_t> needed{0, 1, 77, 4095};
    const Bytes answer = he_answer(pair.params, HePublicKey(pair.ring, public_key), HeInputs(*pair.ring, 2, inputs),
                                   prepared(pair, product), product.terms, needed, Words(4, 5), prg);
    std::string hex;
    for (const std::byte b : Sha256().add(public_key).add(inputs).add(answer).digest()) {
      static constexpr char kDigits[] = "0123456789abcdef";
      hex += kDigits[std::to_integer<unsigned>(b) >> 4];
      hex += kDigits[std::to_integer<unsigned>(b) & 15];
    }
    EXPECT_EQ(hex, "e2649cd82e477b52fec62adce115b29f186ffd8b744f6fda8adcd8dec384f5ac");
  });
}

template <typename F>
Category category(F f) {
  try {
    f();
  } catch (const Error& e) {
    return e.category();
  }
  return Category::kInternal;
}

TEST(HeCipher, MalformedMessages) {
  Pair pair(sizes(13, 1, 1, 1, 1, 18), 41);
  const std::size_t n = pair.params.degree;
  const Bytes key = pair.key->public_key(pair.prg), inputs = pair.key->encrypt(pair.params, Words(2 * n, 1), pair.prg);
  auto read_key = [&](const Bytes& bytes) { return category([&] { HePublicKey(pair.ring, bytes); }); };
  auto read_inputs = [&](const Bytes& bytes) { return category([&] { HeInputs(*pair.ring, 2, bytes); }); };
  auto resized = [](Bytes bytes, std::size_t size) {
    bytes.resize(size);
    return bytes;
  };
  for (const std::size_t size : {std::size_t{0}, std::size_t{15}, std::size_t{16}, key.size() - 1, key.size() + 1})
    EXPECT_EQ(read_key(resized(key, size)), Category::kProtocol) << size;
  for (const std::size_t size : {std::size_t{0}, std::size_t{16}, inputs.size() - 1, inputs.size() + 1, key.size()})
    EXPECT_EQ(read_inputs(resized(inputs, size)), Category::kProtocol) << size;

  // Every prime, first and last coefficient, at the prime itself and at the largest that its bits hold; then just below
  // it.
  std::size_t offset = sizeof(Seed);
  for (const HeRing::Prime& prime : pair.ring->primes()) {
    const std::uint32_t p = prime.ntt.prime();
    const std::size_t bytes = packed_bytes(n, prime.bits);
    for (const std::size_t at : {std::size_t{0}, n / 2, n - 1})
      for (const Word value : {Word{p} - 1, Word{p}, (Word{1} << prime.bits) - 1}) {
        auto with = [&](Bytes message, std::size_t begin) {
          const std::span<std::byte> part = std::span(message).subspan(begin, bytes);
          Words words = unpack(part, n, prime.bits);
          words[at] = value;
          pack(words, prime.bits, part);
          return message;
        };
        const Category want = value < p ? Category::kInternal : Category::kProtocol;  // kInternal: no error
        EXPECT_EQ(read_key(with(key, offset)), want);
        EXPECT_EQ(read_inputs(with(inputs, offset)), want);
        EXPECT_EQ(read_inputs(with(inputs, offset + packed_bytes(n, pair.params.modulus_bits))), want);
      }
    offset += bytes;
  }
  EXPECT_EQ(offset, key.size());

  HeWeights weights(pair.ring);
  weights.add(std::vector<std::int32_t>(n, 0));
  const std::vector<std::uint32_t> needed{0, 5, 4095};  // 48 bits: no padding; two of them are 32 bits, one is 16
  const std::vector<std::uint32_t> odd{0};
  EXPECT_EQ(pair.params.kept_bits(), 16U);
  auto answer_for = [&](std::span<const std::uint32_t> at, const HeParams& params) {
    return he_answer(params, *pair.public_key, HeInputs(*pair.ring, 2, inputs), weights, std::vector<HeTerm>{{0, 0}},
                     at, Words(at.size(), 0), pair.prg);
  };
  const Bytes answer = answer_for(needed, pair.params);
  auto read = [&](const Bytes& bytes, const HeParams& params, std::span<const std::uint32_t> at) {
    return category([&] { return pair.key->decrypt(params, bytes, at); });
  };
  EXPECT_EQ(read(answer, pair.params, needed), Category::kInternal);
  for (const std::size_t size : {std::size_t{0}, answer.size() - 1, answer.size() + 1})
    EXPECT_EQ(read(resized(answer, size), pair.params, needed), Category::kProtocol);
  EXPECT_EQ(read(answer, pair.params, odd), Category::kProtocol);

  HeParams narrow = pair.params;  // 15 bits a coefficient: one bit of padding
  narrow.ring_bits = 12;
  Bytes padded = answer_for(odd, narrow);
  EXPECT_EQ(read(padded, narrow, odd), Category::kInternal);
  padded.back() |= std::byte{0x80};
  EXPECT_EQ(read(padded, narrow, odd), Category::kProtocol);

  // Any bytes of the right size decrypt to something of the right size.
  std::mt19937_64 rng(41);
  Bytes noise_bytes(answer.size());
  for (std::byte& b : noise_bytes) b = static_cast<std::byte>(rng());
  EXPECT_EQ(pair.key->decrypt(pair.params, noise_bytes, needed).size(), needed.size());
}

TEST(HeCipher, RefusesWhatTheParametersDoNotCover) {
  Pair pair(sizes(14, 1, 2, 1, 7, 18), 51);
  const std::size_t n = pair.params.degree;
  const HeInputs inputs = pair.send(Words(n, 1));
  HeWeights weights(pair.ring);
  std::vector<std::int32_t> w(n, 0);
  w[0] = 7, w[1] = -7;
  weights.add(w);
  w[2] = 1;
  weights.add(w);
  auto answer = [&](std::vector<HeTerm> terms, std::vector<std::uint32_t> needed, std::size_t masks) {
    return category(
        [&] { he_answer(pair.params, *pair.public_key, inputs, weights, terms, needed, Words(masks, 0), pair.prg); });
  };
  EXPECT_EQ(answer({{0, 0}}, {0}, 1), Category::kInternal);
  EXPECT_EQ(answer({{0, 1}}, {0}, 1), Category::kUsage);          // 15 > 14
  EXPECT_EQ(answer({{0, 0}, {0, 0}}, {0}, 1), Category::kUsage);  // 28 > 14
  EXPECT_EQ(answer({{1, 0}}, {0}, 1), Category::kUsage);
  EXPECT_EQ(answer({{0, 2}}, {0}, 1), Category::kUsage);
  EXPECT_EQ(answer({{0, 0}}, {4096}, 1), Category::kUsage);
  EXPECT_EQ(answer({{0, 0}}, {0}, 2), Category::kUsage);
  for (const std::int32_t large : {1 << 23, -(1 << 23), std::numeric_limits<std::int32_t>::min()}) {
    w[0] = large;
    EXPECT_EQ(category([&] { weights.add(w); }), Category::kUsage);
  }
  EXPECT_EQ(category([&] { weights.add(std::vector<std::int32_t>(n - 1)); }), Category::kUsage);
  EXPECT_EQ(category([&] { pair.key->encrypt(pair.params, Words(n - 1), pair.prg); }), Category::kUsage);
  EXPECT_EQ(category([&] { pair.key->encrypt(pair.params, Words(), pair.prg); }), Category::kUsage);
  HeParams other = make_he_params(sizes(20, 1, 2, 1, 7, 18));
  EXPECT_EQ(category([&] { pair.key->encrypt(other, Words(n), pair.prg); }), Category::kUsage);
}

}  // namespace
}  // namespace eqo
