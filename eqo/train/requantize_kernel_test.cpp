#include "eqo/train/requantize_kernel.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace eqo {
namespace {

TEST(RequantizeKernel, IsItsDefinition) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    std::mt19937_64 generator(seed);
    const auto draw = [&](int lo, int hi) { return std::uniform_int_distribution<int>(lo, hi)(generator); };
    Requantization how;
    how.constant = static_cast<float>(draw(-500, 500));
    how.relu = draw(0, 1) == 1;
    how.shift = static_cast<unsigned>(draw(0, 9));
    how.limit = draw(0, 2) == 0 ? 0.0F : static_cast<float>(1 << draw(4, 12));
    how.penalty = how.limit > 0 ? 0.5F : 0.0F;
    const auto n = static_cast<std::size_t>(draw(1, 100));
    std::vector<float> x(n), dy(n), out(n), dx(n);
    for (float& v : x) v = static_cast<float>(draw(-6000, 6000));
    for (float& v : dy) v = static_cast<float>(draw(-64, 64)) / 8;
    requantize_values(how, n, x.data(), out.data());
    requantize_gradient(how, n, x.data(), dy.data(), dx.data());
    for (std::size_t i = 0; i < n; ++i) {
      SCOPED_TRACE(::testing::Message() << "seed " << seed << ", " << i);
      const double v = static_cast<double>(x[i]) + static_cast<double>(how.constant);
      const double rectified = how.relu ? std::max(v, 0.0) : v;
      EXPECT_EQ(static_cast<double>(out[i]), std::floor(std::ldexp(rectified, -static_cast<int>(how.shift))));
      const auto limit = static_cast<double>(how.limit);
      double expected = !how.relu || v > 0 ? std::ldexp(static_cast<double>(dy[i]), -static_cast<int>(how.shift)) : 0;
      if (limit > 0 && std::abs(v) > limit)
        expected += static_cast<double>(how.penalty) * (v > 0 ? v - limit : v + limit) / (limit * limit);
      EXPECT_NEAR(static_cast<double>(dx[i]), expected, 1e-6 * (1 + std::abs(expected)));
    }
  }
}

}  // namespace
}  // namespace eqo
