#pragma once
#include <cstdint>
#include <span>
#include <string_view>

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

}  // namespace eqo
