#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "eqo/core/error.h"
#include "eqo/he/he_ring.h"
#include "eqo/he/sampling.h"

namespace eqo {

// What the seed of a message stands for: the uniform halves of a public key or of fresh ciphertexts.
inline constexpr std::string_view kPublicKeyDomain = "eqo he public key", kInputsDomain = "eqo he inputs";

// out = the index-th uniform element of its message, in the transform's domain.
inline void uniform_element(const HeRing& ring, std::string_view domain, std::span<const std::byte> seed,
                            std::uint64_t index, std::span<std::uint32_t> out) {
  Prg prg = public_prg(domain, seed, index);
  for (std::size_t i = 0; i < ring.primes().size(); ++i) sample_uniform(prg, ring.moduli()[i], ring.part(out, i));
}

// Throws usage_error unless these are lengths of ciphertexts of this ring.
inline void check_used(const HeRing& ring, std::span<const std::uint32_t> used) {
  for (const std::uint32_t coefficients : used)
    if (coefficients == 0 || coefficients % 8 != 0 || coefficients > ring.degree())
      throw usage_error("homomorphic product: a ciphertext sends a multiple of 8 coefficients, at most " +
                        std::to_string(ring.degree()));
}

}  // namespace eqo
