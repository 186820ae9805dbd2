#include "eqo/he/modular.h"

#include "eqo/core/error.h"

namespace eqo::modular {

bool is_prime(std::uint32_t n) {
  for (const std::uint32_t small : {2U, 3U, 5U, 7U, 61U}) {
    if (n == small) return true;
    if (n % small == 0) return false;
  }
  if (n < 2) return false;
  std::uint32_t odd = n - 1;
  unsigned twos = 0;
  for (; odd % 2 == 0; odd /= 2) ++twos;
  for (const std::uint32_t base : {2U, 7U, 61U}) {
    std::uint32_t x = pow(base, odd, n);
    bool witness = x != 1 && x != n - 1;
    for (unsigned i = 1; i < twos && witness; ++i) {
      x = mul(x, x, n);
      witness = x != n - 1;
    }
    if (witness) return false;
  }
  return true;
}

std::uint32_t root_of_unity(std::uint32_t order, std::uint32_t p) {
  if (order < 2 || (order & (order - 1)) != 0 || (p - 1) % order != 0)
    throw internal_error("no root of unity of this order modulo this prime");
  for (std::uint32_t base = 2; base < p; ++base) {
    const std::uint32_t root = pow(base, (p - 1) / order, p);
    if (pow(root, order / 2, p) == p - 1) return root;
  }
  throw internal_error("no root of unity: the modulus is not prime");
}

}  // namespace eqo::modular
