#include "eqo/he/he_ring.h"

#include <algorithm>
#include <bit>

#include "eqo/core/bits.h"
#include "eqo/core/error.h"
#include "eqo/he/he_cipher.h"

namespace eqo {

HeRing::HeRing(std::size_t degree, unsigned modulus_bits)
    : degree_(degree), modulus_bits_(modulus_bits), moduli_(modulus_primes(degree, modulus_bits)) {
  for (std::size_t i = 0; i < moduli_.size(); ++i) {
    const std::uint32_t p = moduli_[i];
    const auto montgomery = static_cast<std::uint32_t>((std::uint64_t{1} << 32) % p);
    primes_.push_back({NttTables(degree, p), modular::factor(montgomery, p), rns_fraction(moduli_, i),
                       static_cast<unsigned>(std::bit_width(p))});
  }
}

std::shared_ptr<const HeRing> make_he_ring(const HeParams& params) {
  return std::make_shared<const HeRing>(params.degree, params.modulus_bits);
}

void HeRing::check(const HeParams& params) const {
  if (params.degree != degree_ || params.modulus_bits != modulus_bits_)
    throw usage_error("homomorphic product: the parameters are of another ring than the key or the ciphertexts");
}

void HeRing::transform(std::size_t i, std::span<const std::int32_t> small, std::span<std::uint32_t> scratch,
                       std::span<std::uint32_t> out) const {
  rns_from_small(small, moduli_[i], scratch);
  ntt_forward(primes_[i].ntt, scratch, out);
}

void HeRing::pack(std::span<const std::uint32_t> x, std::size_t used, std::span<std::byte> out) const {
  if (x.size() != size() || used % 8 != 0 || out.size() != packed_bytes(used, modulus_bits_))
    throw internal_error("homomorphic product: an element of the wrong size to pack");
  Words words(used);
  for (std::size_t i = 0; i < primes_.size(); ++i) {
    const auto residues = part(x, i).first(used);
    std::copy(residues.begin(), residues.end(), words.begin());
    const std::size_t bytes = packed_bytes(used, primes_[i].bits);
    eqo::pack(words, primes_[i].bits, out.first(bytes));
    out = out.subspan(bytes);
  }
}

void HeRing::unpack(std::span<const std::byte> in, std::size_t used, std::span<std::uint32_t> x,
                    const std::string& what) const {
  if (x.size() != size() || used % 8 != 0 || in.size() != packed_bytes(used, modulus_bits_))
    throw internal_error("homomorphic product: an element of the wrong size to unpack");
  Words words(used);
  Word too_large = 0;
  for (std::size_t i = 0; i < primes_.size(); ++i) {
    const std::size_t bytes = packed_bytes(used, primes_[i].bits);
    eqo::unpack(in.first(bytes), primes_[i].bits, words);
    in = in.subspan(bytes);
    const auto residues = part(x, i);
    for (std::size_t j = 0; j < used; ++j) {
      too_large |= static_cast<Word>(words[j] >= moduli_[i]);
      residues[j] = static_cast<std::uint32_t>(words[j]);
    }
  }
  if (too_large != 0) throw protocol_error(what + ": a coefficient is not below its modulus");
}

}  // namespace eqo
