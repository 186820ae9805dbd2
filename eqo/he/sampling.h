#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "eqo/core/secret.h"
#include "eqo/crypto/prg.h"
#include "eqo/he/residues.h"

namespace eqo {

using SmallPolynomial = WipedVector<std::int32_t>;  // signed coefficients far below every prime

// The distributions of RLWE. Secret samples take the same steps and random bytes whatever their values.

// Uniform in {-1, 0, 1} up to 2^-63.
SmallPolynomial sample_ternary(Prg& prg, std::size_t n);

// The discrete Gaussian of standard deviation 3.2, cut at 19 = floor(6 sigma) (and 2^-62 of precision): 63 random bits
// are compared with all 19 thresholds of the cumulative table, and one more is the sign. A centred binomial of this
// variance would reach 20 and more, past the 6 sigma that the bound of the noise is made of, and costs as many bits.
SmallPolynomial sample_error(Prg& prg, std::size_t n);

// P(|error| < k + 1) * 2^63 for k = 0..18.
std::span<const std::uint64_t> error_thresholds();

// A generator that both parties derive from a public seed: its key is a hash of the seed, so that whoever chose the
// seed did not choose what comes out. Every use has its own (domain, index).
Prg public_prg(std::string_view domain, std::span<const std::byte> seed, std::uint64_t index);

// Uniform residues below p, by rejection of the words that are not: not for secrets.
void sample_uniform(Prg& prg, std::uint32_t p, std::span<std::uint32_t> out);

}  // namespace eqo
