#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "eqo/he/modular.h"
#include "eqo/he/residues.h"

namespace eqo {

// The negacyclic number-theoretic transform: N evaluations of a polynomial modulo a prime p at the odd powers of psi, a
// primitive 2N-th root of unity, so that products modulo X^N + 1 become products of the values.
//
// Vectors of 32-bit lanes, whatever their length (up to 16 lanes), chosen at run time. Four stages run on the
// polynomial as 16 rows of N/16; then it is transposed, and in the other stages lane i works on row i, so that no stage
// moves data between lanes. The order of the values follows from that and is the same on every machine: it goes on the
// wire. Value [lo * 16 + hi] is the one at psi^(2 * reversed(hi * N/16 + lo) + 1), bits reversed in log2 N.
//
// Multiplication by a fixed factor is Shoup's; two stages at a time, and of the first one's results those that the
// second multiplies stay below 2p unreduced. Everything else is reduced: with primes up to 2^31 there is no room to be
// lazier, and three such primes do what takes four of 30 bits. Constant time.
class NttTables {
 public:
  // N: a power of two from 256 on; prime: below 2^31, 1 mod 2N. Throws internal_error otherwise.
  NttTables(std::size_t degree, std::uint32_t prime);

  std::size_t degree() const { return degree_; }
  std::uint32_t prime() const { return prime_; }

  // Twiddle factors with Shoup's quotients. `top` has one for each of the 15 blocks of the first four stages, at
  // 2^stage + block; `low` has 16 lanes for each block of the later ones, at 16 * (2^(stage - 4) + block).
  struct Direction {
    Residues top, top_quotients, low, low_quotients;
  };
  const Direction& forward() const { return forward_; }
  const Direction& inverse() const { return inverse_; }
  modular::Factor scale() const { return scale_; }              // 1 / N
  modular::Factor scaled_last() const { return scaled_last_; }  // the inverse's last twiddle factor times 1 / N

 private:
  std::size_t degree_;
  std::uint32_t prime_;
  Direction forward_, inverse_;
  modular::Factor scale_, scaled_last_;
};

// Coefficients to values and back, N reduced residues each. `x` is scratch afterwards; `out` must not overlap it.
void ntt_forward(const NttTables& tables, std::span<std::uint32_t> x, std::span<std::uint32_t> out);
void ntt_inverse(const NttTables& tables, std::span<std::uint32_t> x, std::span<std::uint32_t> out);

// One product of a sum: the values w times those of both halves of a ciphertext.
struct NttTerm {
  const std::uint32_t* a;
  const std::uint32_t* b;
  const std::uint32_t* w;
};
// out_a[i] = sum over terms of a[i] * w[i] / 2^32 mod p, out_b likewise: Montgomery's form of one factor makes up for
// the division. Reduced residues in and out, a multiple of 16 of them; at least one term.
void ntt_dot(std::span<const NttTerm> terms, std::uint32_t prime, std::span<std::uint32_t> out_a,
             std::span<std::uint32_t> out_b);
// out[i] = x[i] * y[i] / 2^32 mod p
void ntt_multiply(std::span<const std::uint32_t> x, std::span<const std::uint32_t> y, std::uint32_t prime,
                  std::span<std::uint32_t> out);

// The instruction set in use.
const char* ntt_target_name();

}  // namespace eqo
