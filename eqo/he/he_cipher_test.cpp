#include "eqo/he/he_cipher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>
#include <string>

#include "eqo/core/bits.h"
#include "eqo/core/error.h"
#include "eqo/crypto/sha256.h"
#include "eqo/he/he_ring.h"
#include "eqo/he/he_testing.h"
#include "eqo/he/targets_testing.h"

namespace eqo {
namespace {

using namespace he_testing;  // NOLINT(google-build-using-namespace)

template <typename F>
Category category(F f) {
  try {
    f();
  } catch (const Error& e) {
    return e.category();
  }
  return Category::kInternal;
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

// Short ciphertexts: what they leave out may be anything and changes no result that may be needed.
TEST(HeCipher, ShortCiphertextsAreExact) {
  std::mt19937_64 rng(13);
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const HeSizes s = sizes(static_cast<unsigned>(2 + rng() % 31), 1, 1 + rng() % 40, 9, 50, 18);
    Pair pair(s, 1000 + seed);
    const std::size_t n = pair.params.degree;
    Words messages = random_words(2 * n, s.ring_bits, rng), want(n, 0);
    // The second input is shorter and its weights lie higher, as in a last chunk of fewer channels.
    const HeSupport support[2] = {{0, static_cast<std::uint32_t>(n / 2 + rng() % 8)},
                                  {static_cast<std::uint32_t>(n / 4 + rng() % 8), support[0].end}};
    const auto end = static_cast<std::uint32_t>(n / 2 + 64 + rng() % (n / 2 - 72)) / 8 * 8;
    const std::vector<std::uint32_t> used{end, (end - support[1].begin + 7) / 8 * 8};
    HeWeights weights(pair.ring);
    for (std::size_t i = 0; i < 2; ++i) {
      std::vector<std::int32_t> w(n, 0);
      for (std::uint64_t j = 0; j < s.input_channels * 4; ++j)
        w[support[i].begin + rng() % (support[i].end - support[i].begin)] = static_cast<std::int32_t>(rng() % 101) - 50;
      w[support[i].begin] = w[support[i].end - 1] = 1;
      weights.add(w, support[i]);
      schoolbook(std::span(messages).subspan(i * n, n), w, want);
    }
    const Bytes bytes = pair.key->encrypt(pair.params, messages, used, pair.prg);
    ASSERT_EQ(bytes.size(), he_inputs_bytes(pair.params, used));
    const HeInputs inputs(*pair.ring, used, bytes);
    std::vector<std::uint32_t> needed(end - support[0].end + 1);
    std::iota(needed.begin(), needed.end(), support[0].end - 1);
    const Words mask = random_words(needed.size(), s.ring_bits, rng);
    const std::vector<HeTerm> terms{{0, 0}, {1, 1}};
    const Words result = pair.key->decrypt(
        pair.params, he_answer(pair.params, *pair.public_key, inputs, weights, terms, needed, mask, pair.prg), needed);
    for (std::size_t i = 0; i < needed.size(); ++i)
      ASSERT_EQ(result[i], Ring(s.ring_bits).add(Ring(s.ring_bits).reduce(want[needed[i]]), mask[i]))
          << "seed " << seed << ", coefficient " << needed[i];
    // One coefficient more on either side would tell about the weights.
    for (const std::uint32_t outside : {support[0].end - 2, end}) {
      EXPECT_EQ(category([&] {
                  he_answer(pair.params, *pair.public_key, inputs, weights, terms, std::vector{outside}, Words(1, 0),
                            pair.prg);
                }),
                Category::kUsage);
    }
    for (const std::size_t size : {bytes.size() - 1, bytes.size() + 1}) {
      Bytes other = bytes;
      other.resize(size);
      EXPECT_EQ(category([&] { HeInputs(*pair.ring, used, other); }), Category::kProtocol);
    }
    for (const std::uint32_t wrong : {0U, 12U, static_cast<std::uint32_t>(n) + 8}) {
      const std::vector<std::uint32_t> lengths{used[0], wrong};
      EXPECT_EQ(category([&] { pair.key->encrypt(pair.params, messages, lengths, pair.prg); }), Category::kUsage);
      EXPECT_EQ(category([&] { HeInputs(*pair.ring, lengths, bytes); }), Category::kUsage);
    }
    std::vector<std::int32_t> w(n, 0);
    w[5] = 1;
    for (const HeSupport bad : {HeSupport{0, 5}, HeSupport{6, 9}, HeSupport{5, 5}, HeSupport{0, 8193}})
      EXPECT_EQ(category([&] { weights.add(w, bad); }), Category::kUsage);
  }
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
    EXPECT_EQ(hex, "5396c51b62abbeaa0a277b19b3edde7b48ee75aacb415c42c13ff8c0c935afa1");
  });
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
