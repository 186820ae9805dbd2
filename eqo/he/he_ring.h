#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "eqo/core/secret.h"
#include "eqo/he/he_params.h"
#include "eqo/he/ntt.h"
#include "eqo/he/rns.h"
#include "eqo/he/sampling.h"

namespace eqo {

// Tables of R = Z_q[X]/(X^N + 1) for one modulus, immutable: shared by the keys and layers with equal degree and
// modulus_bits. Elements are Residues: N of the first prime, N of the second, ...
class HeRing {
 public:
  struct Prime {
    NttTables ntt;
    modular::Factor montgomery;  // 2^32 mod p: to Montgomery's form
    RnsFraction fraction;
    unsigned bits;
  };

  HeRing(std::size_t degree, unsigned modulus_bits);
  std::size_t degree() const { return degree_; }
  unsigned modulus_bits() const { return modulus_bits_; }
  std::span<const std::uint32_t> moduli() const { return moduli_; }
  const std::vector<Prime>& primes() const { return primes_; }
  std::size_t size() const { return degree_ * primes_.size(); }  // of an element
  // Throws usage_error if the parameters are of another ring.
  void check(const HeParams& params) const;

  // Residues of the i-th prime.
  template <typename T>
  std::span<T> part(std::span<T> x, std::size_t i) const {
    return x.subspan(i * degree_, degree_);
  }

  // out = small modulo the i-th prime, transformed. `scratch` has N residues.
  void transform(std::size_t i, std::span<const std::int32_t> small, std::span<std::uint32_t> scratch,
                 std::span<std::uint32_t> out) const;

  // The first `used` residues of each prime, a multiple of 8, on the wire: packed at the prime's width,
  // packed_bytes(used, modulus_bits) in all.
  void pack(std::span<const std::uint32_t> x, std::size_t used, std::span<std::byte> out) const;
  // Leaves the other residues as they are. Throws protocol_error that names `what` if one is not below its prime.
  void unpack(std::span<const std::byte> in, std::size_t used, std::span<std::uint32_t> x,
              const std::string& what) const;

 private:
  std::size_t degree_;
  unsigned modulus_bits_;
  std::vector<std::uint32_t> moduli_;
  std::vector<Prime> primes_;
};

}  // namespace eqo
