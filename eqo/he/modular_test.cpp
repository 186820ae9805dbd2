#include "eqo/he/modular.h"

#include <gtest/gtest.h>

#include <random>

#include "eqo/core/error.h"

namespace eqo::modular {
namespace {

bool is_prime_by_division(std::uint32_t n) {
  if (n < 2) return false;
  for (std::uint64_t d = 2; d * d <= n; ++d)
    if (n % d == 0) return false;
  return true;
}

TEST(Modular, Primality) {
  for (std::uint32_t n = 0; n < 20000; ++n) ASSERT_EQ(is_prime(n), is_prime_by_division(n)) << n;
  for (std::uint32_t n = 0x7fffffffU; n > 0x7fffffffU - 500; --n) ASSERT_EQ(is_prime(n), is_prime_by_division(n)) << n;
  EXPECT_FALSE(is_prime(3215031751U));  // a strong pseudoprime to 2, 3, 5 and 7
  EXPECT_TRUE(is_prime(4294967291U));   // the largest below 2^32
}

TEST(Modular, ArithmeticAgainstWideIntegers) {
  std::mt19937_64 rng(1);
  for (const std::uint32_t p : {3U, 12289U, 1048583U, 2147352577U, 2147483647U}) {
    ASSERT_TRUE(is_prime(p));
    EXPECT_EQ(negative_inverse(p) * p, 0xffffffffU);
    for (int i = 0; i < 2000; ++i) {
      const auto a = static_cast<std::uint32_t>(rng() % p), b = static_cast<std::uint32_t>(rng() % p);
      const std::uint32_t x = i == 0 ? 0xffffffffU : static_cast<std::uint32_t>(rng());
      ASSERT_EQ(add(a, b, p), (std::uint64_t{a} + b) % p);
      ASSERT_EQ(sub(a, b, p), (std::uint64_t{a} + p - b) % p);
      ASSERT_EQ(mul(x, factor(b, p), p), std::uint64_t{x} * b % p) << x << " * " << b << " mod " << p;
      if (a != 0) {
        ASSERT_EQ(mul(a, inverse(a, p), p), 1U % p);
      }
    }
    ASSERT_EQ(mul(0xffffffffU, factor(p - 1, p), p), std::uint64_t{0xffffffffU} * (p - 1) % p);
  }
}

TEST(Modular, RootsOfUnity) {
  const std::uint32_t p = 2147352577;  // 2^31 - 2^17 + 1
  for (std::uint32_t order = 2; order <= 1U << 17; order *= 2) {
    const std::uint32_t root = root_of_unity(order, p);
    EXPECT_EQ(pow(root, order, p), 1U);
    EXPECT_EQ(pow(root, order / 2, p), p - 1);
  }
  EXPECT_THROW(root_of_unity(1U << 18, p), Error);
  EXPECT_THROW(root_of_unity(3, p), Error);
}

}  // namespace
}  // namespace eqo::modular
