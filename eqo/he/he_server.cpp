#include <algorithm>

#include "eqo/core/bits.h"
#include "eqo/core/error.h"
#include "eqo/core/wide.h"
#include "eqo/he/he_cipher.h"
#include "eqo/he/he_ring.h"
#include "eqo/he/he_uniform.h"

namespace eqo {
namespace {

constexpr std::uint32_t kMaxWeight = (1U << 23) - 1;

// 2^128 * x / q mod 2^128, rounded down within a few units, for the coefficient `at` of x.
UInt128 wide_fraction(const HeRing& ring, const Residues& x, std::size_t at) {
  UInt128 sum = 0;
  for (std::size_t i = 0; i < ring.primes().size(); ++i)
    sum += rns_wide_fraction(ring.primes()[i].fraction, x[i * ring.degree() + at]);
  return sum;
}

}  // namespace

HePublicKey::HePublicKey(std::shared_ptr<const HeRing> ring, std::span<const std::byte> message)
    : ring_(std::move(ring)), a_(ring_->size()), b_(ring_->size()) {
  if (message.size() != sizeof(Seed) + packed_bytes(ring_->degree(), ring_->modulus_bits()))
    throw protocol_error("homomorphic product: a public key of the wrong size");
  uniform_element(*ring_, kPublicKeyDomain, message.first<sizeof(Seed)>(), 0, a_);
  ring_->unpack(message.subspan(sizeof(Seed)), ring_->degree(), b_, "homomorphic product: the public key");
  for (std::size_t i = 0; i < ring_->primes().size(); ++i) {
    const HeRing::Prime& prime = ring_->primes()[i];
    rns_scale(prime.montgomery, prime.ntt.prime(), ring_->part(std::span(a_), i));
    rns_scale(prime.montgomery, prime.ntt.prime(), ring_->part(std::span(b_), i));
  }
}

HeInputs::HeInputs(const HeRing& ring, std::size_t count, std::span<const std::byte> message)
    : HeInputs(ring, std::vector(count, static_cast<std::uint32_t>(ring.degree())), message) {}

HeInputs::HeInputs(const HeRing& ring, std::span<const std::uint32_t> used, std::span<const std::byte> message)
    : used_(used.begin(), used.end()), stride_(ring.size()) {
  check_used(ring, used);
  std::size_t size = sizeof(Seed);
  for (const std::uint32_t coefficients : used) size += packed_bytes(coefficients, ring.modulus_bits());
  if (message.size() != size) throw protocol_error("homomorphic product: ciphertexts of the wrong size");
  a_.resize(used.size() * stride_);
  b_.resize(used.size() * stride_);
  const auto seed = message.first<sizeof(Seed)>();
  message = message.subspan(sizeof(Seed));
  Residues coefficients(stride_);
  for (std::size_t c = 0; c < used.size(); ++c) {
    uniform_element(ring, kInputsDomain, seed, c, std::span(a_).subspan(c * stride_, stride_));
    const std::size_t bytes = packed_bytes(used[c], ring.modulus_bits());
    std::fill(coefficients.begin(), coefficients.end(), 0);
    ring.unpack(message.first(bytes), used[c], coefficients, "homomorphic product: a ciphertext");
    message = message.subspan(bytes);
    for (std::size_t i = 0; i < ring.primes().size(); ++i)
      ntt_forward(ring.primes()[i].ntt, ring.part(std::span(coefficients), i),
                  ring.part(std::span(b_).subspan(c * stride_, stride_), i));
  }
}

std::size_t HeWeights::add(std::span<const std::int32_t> coefficients) {
  return add(coefficients, {0, static_cast<std::uint32_t>(ring_->degree())});
}

std::size_t HeWeights::add(std::span<const std::int32_t> coefficients, HeSupport support) {
  if (coefficients.size() != ring_->degree() || support.begin >= support.end || support.end > ring_->degree())
    throw usage_error("homomorphic product: a weight polynomial has as many coefficients as the ring's degree");
  std::uint64_t sum = 0;
  std::uint32_t too_large = 0, outside = 0;
  for (std::size_t i = 0; i < coefficients.size(); ++i) {
    const std::int32_t w = coefficients[i];
    const auto sign = static_cast<std::uint32_t>(w >> 31);
    const std::uint32_t magnitude = (static_cast<std::uint32_t>(w) ^ sign) - sign;
    too_large |= static_cast<std::uint32_t>(magnitude > kMaxWeight);
    outside |= i >= support.begin && i < support.end ? 0 : magnitude;
    sum += magnitude;
  }
  if (outside != 0) throw usage_error("homomorphic product: a weight outside its polynomial's support");
  if (too_large != 0) throw usage_error("homomorphic product: a weight of 2^23 or more");
  Residues values(ring_->size()), scratch(ring_->degree());
  for (std::size_t i = 0; i < ring_->primes().size(); ++i) {
    const auto to = ring_->part(std::span(values), i);
    ring_->transform(i, coefficients, scratch, to);
    rns_scale(ring_->primes()[i].montgomery, ring_->moduli()[i], to);
  }
  polynomials_.push_back(std::move(values));
  supports_.push_back(support);
  absolute_sums_.push_back(sum);
  return polynomials_.size() - 1;
}

HeSum he_sum(const HeParams& params, const HePublicKey& key, const HeInputs& inputs, const HeWeights& weights,
             std::span<const HeTerm> terms, std::span<const std::uint32_t> needed, Prg& prg) {
  const HeRing& ring = key.ring();
  ring.check(params);
  if (&weights.ring() != &ring || inputs.stride() != ring.size())
    throw usage_error("homomorphic product: the weights or the ciphertexts are of another ring than the key");
  std::uint64_t absolute_sum = 0;
  std::uint64_t first = 0, end = ring.degree();  // results that may be revealed
  for (const HeTerm& t : terms) {
    if (t.input >= inputs.count() || t.weight >= weights.count())
      throw usage_error("homomorphic product: a term of an input or a weight that does not exist");
    absolute_sum += weights.absolute_sum(t.weight);
    const HeSupport support = weights.support(t.weight);
    if (inputs.used(t.input) == ring.degree()) continue;
    first = std::max(first, std::uint64_t{support.end} - 1);
    end = std::min(end, std::uint64_t{inputs.used(t.input)} + support.begin);
  }
  for (const std::uint32_t at : needed)
    if (at < first || at >= end)
      throw usage_error(
          "homomorphic product: a needed coefficient beyond the degree, or one that depends on what a "
          "short ciphertext left out");
  if (absolute_sum > params.weight_sum)
    throw usage_error("homomorphic product: larger weights than the parameters were made for",
                      "the noise that hides them is made for " + std::to_string(params.weight_sum) + " in all");

  const std::size_t n = ring.degree();
  // An encryption of zero: the public key times u, and errors on both halves.
  const SmallPolynomial u = sample_ternary(prg, n), error_a = sample_error(prg, n), error_b = sample_error(prg, n);
  HeSum sum{Residues(ring.size()), Residues(ring.size())};
  Residues scratch(n), values(n), sum_a(n), sum_b(n);
  std::vector<NttTerm> products;
  for (std::size_t i = 0; i < ring.primes().size(); ++i) {
    const NttTables& ntt = ring.primes()[i].ntt;
    ring.transform(i, u, scratch, values);
    products.clear();
    for (const HeTerm& t : terms)
      products.push_back({ring.part(inputs.a(t.input), i).data(), ring.part(inputs.b(t.input), i).data(),
                          ring.part(weights.polynomial(t.weight), i).data()});
    products.push_back({ring.part(key.a(), i).data(), ring.part(key.b(), i).data(), values.data()});
    ntt_dot(products, ntt.prime(), sum_a, sum_b);
    const auto a = ring.part(std::span(sum.a), i), b = ring.part(std::span(sum.b), i);
    ntt_inverse(ntt, sum_a, a);
    ntt_inverse(ntt, sum_b, b);
    rns_add_small(error_a, ntt.prime(), a);
    rns_add_small(error_b, ntt.prime(), b);
  }
  return sum;
}

Bytes he_release(const HeParams& params, const HeRing& ring, const HeSum& sum, std::span<const std::uint32_t> needed,
                 std::span<const Word> mask, Prg& prg) {
  ring.check(params);
  if (needed.size() != mask.size())
    throw usage_error("homomorphic product: the mask must have one element a needed coefficient");
  const std::size_t n = ring.degree();
  const unsigned l = params.ring_bits, kept = params.kept_bits(), free_bits = l + params.flooding_shift;

  Words a(n, 0);
  for (std::size_t i = 0; i < ring.primes().size(); ++i)
    rns_add_fraction(ring.primes()[i].fraction, ring.part(std::span(sum.a), i), a);
  rns_round(params.switched_bits(), a);

  // In fractions of q flooding is uniform in [-2^(127 - l - j), 2^(127 - l - j)) / 2^128.
  Words b(needed.size()), random(2 * needed.size());
  prg.fill(std::as_writable_bytes(std::span(random)));
  const Ring kept_ring(kept);
  const UInt128 offset = (UInt128{1} << (127 - kept)) - (UInt128{1} << (127 - free_bits));
  for (std::size_t i = 0; i < needed.size(); ++i) {
    if (needed[i] >= n) throw usage_error("homomorphic product: a needed coefficient beyond the degree");
    const UInt128 flooding = (UInt128{random[2 * i]} << 64 | random[2 * i + 1]) >> free_bits;
    const UInt128 fraction = wide_fraction(ring, sum.b, needed[i]) + flooding + offset;
    // The mask is a multiple of q' / 2^l: added here, it is encoded exactly.
    b[i] = kept_ring.add(static_cast<Word>(fraction >> (128 - kept)), mask[i] << (kept - l));
  }

  Bytes out(he_answer_bytes(params, needed.size()));
  const std::size_t whole = packed_bytes(n, params.switched_bits());
  pack(a, params.switched_bits(), std::span(out).first(whole));
  pack(b, kept, std::span(out).subspan(whole));
  return out;
}

Bytes he_answer(const HeParams& params, const HePublicKey& key, const HeInputs& inputs, const HeWeights& weights,
                std::span<const HeTerm> terms, std::span<const std::uint32_t> needed, std::span<const Word> mask,
                Prg& prg) {
  return he_release(params, key.ring(), he_sum(params, key, inputs, weights, terms, needed, prg), needed, mask, prg);
}

}  // namespace eqo
