#include "eqo/core/error.h"
#include "eqo/he/ntt.h"

namespace eqo {
namespace {

std::size_t reversed(std::size_t x, std::size_t size) {
  std::size_t r = 0;
  for (; size > 1; size /= 2, x /= 2) r = r * 2 + x % 2;
  return r;
}

NttTables::Direction make_direction(std::size_t n, std::uint32_t p, std::uint32_t root) {
  std::vector<std::uint32_t> powers(n);
  powers[0] = 1;
  for (std::size_t i = 1; i < n; ++i) powers[i] = modular::mul(powers[i - 1], root, p);
  NttTables::Direction d;
  d.top.resize(16);
  d.low.resize(n);
  for (std::size_t i = 1; i < 16; ++i) d.top[i] = powers[reversed(i, n)];
  // Block `block` of row `hi` in the stage with 16 * m blocks in all.
  for (std::size_t m = 1; m < n / 16; m *= 2)
    for (std::size_t block = 0; block < m; ++block)
      for (std::size_t hi = 0; hi < 16; ++hi)
        d.low[16 * (m + block) + hi] = powers[reversed(16 * m + hi * m + block, n)];
  for (const std::uint32_t w : d.top) d.top_quotients.push_back(modular::factor(w, p).quotient);
  for (const std::uint32_t w : d.low) d.low_quotients.push_back(modular::factor(w, p).quotient);
  return d;
}

}  // namespace

NttTables::NttTables(std::size_t degree, std::uint32_t prime) : degree_(degree), prime_(prime) {
  if (degree < 256 || degree > (1U << 20) || (degree & (degree - 1)) != 0 || prime >> 31 != 0 ||
      (prime - 1) % (2 * degree) != 0 || !modular::is_prime(prime))
    throw internal_error("no transform of this degree modulo this prime");
  const std::uint32_t root = modular::root_of_unity(static_cast<std::uint32_t>(2 * degree), prime);
  forward_ = make_direction(degree, prime, root);
  inverse_ = make_direction(degree, prime, modular::inverse(root, prime));
  const std::uint32_t scale = modular::inverse(static_cast<std::uint32_t>(degree), prime);
  scale_ = modular::factor(scale, prime);
  scaled_last_ = modular::factor(modular::mul(scale, inverse_.top[1], prime), prime);
}

}  // namespace eqo
