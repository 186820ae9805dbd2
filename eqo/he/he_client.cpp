#include "eqo/core/bits.h"
#include "eqo/core/ct.h"
#include "eqo/core/error.h"
#include "eqo/he/he_cipher.h"
#include "eqo/he/he_ring.h"
#include "eqo/he/he_uniform.h"

namespace eqo {
namespace {

std::span<const std::byte> write_seed(Prg& prg, std::span<std::byte> out) {
  prg.fill(out.first<sizeof(Seed)>());
  return out.first<sizeof(Seed)>();
}

}  // namespace

// Decryption multiplies numbers of up to 41 bits by the ternary secret: below 2^55 in absolute value, so two primes of
// 31 bits hold the products.
struct HeClientKey::Switched {
  NttTables first, second;
  modular::Factor one, inverse;  // modulo the second prime: 1, and of the first prime
  std::uint64_t product;

  explicit Switched(std::size_t degree)
      : first(degree, modulus_primes(degree, 62)[0]), second(degree, modulus_primes(degree, 62)[1]) {
    const std::uint32_t p = second.prime();
    one = modular::factor(1, p);
    inverse = modular::factor(modular::inverse(first.prime() % p, p), p);
    product = std::uint64_t{first.prime()} * p;
  }
  // The integer in (-product / 2, product / 2) with these residues, mod 2^64.
  Word combine(std::uint32_t x, std::uint32_t y) const {
    const std::uint32_t p = second.prime();
    const std::uint32_t d = modular::sub(y, modular::mul(x, one, p), p);
    const Word value = x + std::uint64_t{first.prime()} * modular::mul(d, inverse, p);
    return value - (ct::mask_from_bit(static_cast<Word>(value > product / 2)) & product);
  }
};

HeClientKey::HeClientKey(std::shared_ptr<const HeRing> ring, Prg& prg)
    : ring_(std::move(ring)),
      switched_(std::make_shared<const Switched>(ring_->degree())),
      secret_(ring_->size()),
      switched_secret_(2 * ring_->degree()) {
  const std::size_t n = ring_->degree();
  const SmallPolynomial secret = sample_ternary(prg, n);
  Residues scratch(n);
  auto transform = [&](const NttTables& tables, std::span<std::uint32_t> out) {
    const std::uint32_t p = tables.prime();
    rns_from_small(secret, p, scratch);
    ntt_forward(tables, scratch, out);
    rns_scale(modular::factor(static_cast<std::uint32_t>((std::uint64_t{1} << 32) % p), p), p, out);
  };
  for (std::size_t i = 0; i < ring_->primes().size(); ++i)
    transform(ring_->primes()[i].ntt, ring_->part(std::span(secret_), i));
  transform(switched_->first, std::span(switched_secret_).first(n));
  transform(switched_->second, std::span(switched_secret_).subspan(n));
}

Bytes HeClientKey::public_key(Prg& prg) const {
  const std::size_t n = ring_->degree();
  Bytes message(sizeof(Seed) + packed_bytes(n, ring_->modulus_bits()));
  const auto seed = write_seed(prg, message);
  const SmallPolynomial error = sample_error(prg, n);
  Residues a(ring_->size()), b(ring_->size()), scratch(n);
  uniform_element(*ring_, kPublicKeyDomain, seed, 0, a);
  for (std::size_t i = 0; i < ring_->primes().size(); ++i) {
    const auto to = ring_->part(std::span(b), i);
    ring_->transform(i, error, scratch, to);
    ntt_multiply(ring_->part(std::span(a), i), ring_->part(std::span(secret_), i), ring_->moduli()[i], scratch);
    rns_add(scratch, ring_->moduli()[i], to);
  }
  ring_->pack(b, n, std::span(message).subspan(sizeof(Seed)));
  return message;
}

Bytes HeClientKey::encrypt(const HeParams& params, std::span<const Word> messages, Prg& prg) const {
  const std::size_t n = ring_->degree();
  return encrypt(params, messages, std::vector(messages.size() / n, static_cast<std::uint32_t>(n)), prg);
}

Bytes HeClientKey::encrypt(const HeParams& params, std::span<const Word> messages, std::span<const std::uint32_t> used,
                           Prg& prg) const {
  ring_->check(params);
  const std::size_t n = ring_->degree();
  if (messages.empty() || messages.size() != used.size() * n)
    throw usage_error("homomorphic product: ciphertexts hold " + std::to_string(n) + " elements each");
  check_used(*ring_, used);
  Bytes out(he_inputs_bytes(params, used));
  const auto seed = write_seed(prg, out);
  std::span<std::byte> left = std::span(out).subspan(sizeof(Seed));
  std::vector<RnsEncoding> encodings;
  for (std::size_t i = 0; i < ring_->primes().size(); ++i)
    encodings.push_back(rns_encoding(ring_->moduli(), i, params.ring_bits));
  Residues a(ring_->size()), b(ring_->size()), product(n), coefficients(n);
  for (std::size_t c = 0; c < used.size(); ++c) {
    uniform_element(*ring_, kInputsDomain, seed, c, a);
    const SmallPolynomial error = sample_error(prg, n);
    for (std::size_t i = 0; i < encodings.size(); ++i) {
      const NttTables& ntt = ring_->primes()[i].ntt;
      const auto to = ring_->part(std::span(b), i);
      ntt_multiply(ring_->part(std::span(a), i), ring_->part(std::span(secret_), i), ntt.prime(), product);
      ntt_inverse(ntt, product, coefficients);
      rns_encode(encodings[i], messages.subspan(c * n, n), error, to);
      rns_add(coefficients, ntt.prime(), to);
    }
    const std::size_t bytes = packed_bytes(used[c], ring_->modulus_bits());
    ring_->pack(b, used[c], left.first(bytes));
    left = left.subspan(bytes);
  }
  return out;
}

Words HeClientKey::decrypt(const HeParams& params, std::span<const std::byte> answer,
                           std::span<const std::uint32_t> needed) const {
  ring_->check(params);
  const std::size_t n = ring_->degree();
  const unsigned l = params.ring_bits, switched = params.switched_bits(), kept = params.kept_bits();
  if (answer.size() != he_answer_bytes(params, needed.size()))
    throw protocol_error("homomorphic product: an answer of the wrong size");
  const std::size_t whole = packed_bytes(n, switched);
  if (const auto used = static_cast<unsigned>(needed.size() * kept % 8);
      used != 0 && static_cast<unsigned>(answer.back()) >> used != 0)
    throw protocol_error("homomorphic product: the padding of an answer is not zero");

  // a * secret over the integers
  const Words a = unpack(answer.first(whole), n, switched);
  Residues x(n), values(n), products(2 * n);
  for (const bool second : {false, true}) {
    const NttTables& tables = second ? switched_->second : switched_->first;
    const std::size_t offset = second ? n : 0;
    rns_from_words(a, tables.prime(), x);
    ntt_forward(tables, x, values);
    ntt_multiply(values, std::span(switched_secret_).subspan(offset, n), tables.prime(), x);
    ntt_inverse(tables, x, std::span(products).subspan(offset, n));
  }

  Words out = unpack(answer.subspan(whole), needed.size(), kept);
  const Ring ring(l);
  const Word half = Word{1} << (switched - l - 1);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::uint32_t at = needed[i];
    if (at >= n) throw usage_error("homomorphic product: a needed coefficient beyond the degree");
    const Word phase = (out[i] << (switched - kept)) - switched_->combine(products[at], products[n + at]);
    out[i] = ring.reduce((phase + half) >> (switched - l));
  }
  return out;
}

}  // namespace eqo
