#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "eqo/he/he_cipher.h"
#include "eqo/he/he_ring.h"
#include "eqo/he/sampling.h"

namespace eqo::he_testing {

inline Seed test_seed(std::uint64_t value) {
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

inline HeSizes sizes(unsigned l, std::uint64_t k, std::uint64_t c, std::uint64_t area, std::uint64_t w, unsigned u) {
  return {.ring_bits = l,
          .folded_outputs = k,
          .input_channels = c,
          .kernel_area = area,
          .max_weight = w,
          .log_revealed = u,
          .min_degree = 4096,
          .min_modulus_bits = 0};
}

inline Words random_words(std::size_t n, unsigned bits, std::mt19937_64& rng) {
  Words x(n);
  for (Word& e : x) e = Ring(bits).reduce(rng());
  return x;
}

// sum += x * w mod X^n + 1, over the integers mod 2^64
inline void schoolbook(std::span<const Word> x, std::span<const std::int32_t> w, Words& sum) {
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
inline Product random_product(const HeParams& p, std::size_t inputs, std::size_t terms, std::uint64_t nonzero,
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

inline HeWeights prepared(const Pair& pair, const Product& product) {
  HeWeights weights(pair.ring);
  for (const auto& w : product.weights) weights.add(w);
  return weights;
}

}  // namespace eqo::he_testing
