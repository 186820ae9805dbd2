#pragma once
#include <cstdint>
#include <span>
#include <string_view>

#include "eqo/he/he_ring.h"
#include "eqo/he/sampling.h"

namespace eqo {

// What the seed of a message stands for: the uniform halves of a public key or of fresh ciphertexts.
inline constexpr std::string_view kPublicKeyDomain = "eqo he public key", kInputsDomain = "eqo he inputs";

// A uniform element, in the transform's domain: the index-th of its message.
inline Residues uniform_element(const HeRing& ring, std::string_view domain, std::span<const std::byte> seed,
                                std::uint64_t index) {
  Prg prg = public_prg(domain, seed, index);
  Residues x(ring.size());
  for (std::size_t i = 0; i < ring.primes().size(); ++i)
    sample_uniform(prg, ring.moduli()[i], ring.part(std::span(x), i));
  return x;
}

}  // namespace eqo
