#include "eqo/train/winograd_kernel.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <random>

namespace eqo {
namespace {

constexpr std::array<std::array<double, 4>, 4> kB = {{{1, 0, 0, 0}, {0, 1, -1, 1}, {-1, 1, 1, 0}, {0, 0, 0, -1}}};
constexpr std::array<std::array<double, 2>, 4> kA = {{{1, 0}, {1, 1}, {1, -1}, {0, -1}}};

// Calls f(y index, tap, x index, factor): y += factor * u[tap][k][c] * x, over everything but k and c.
template <typename F>
void for_each_product(const WinogradShape& s, F f) {
  for (std::size_t n = 0; n < s.images; ++n)
    for (std::size_t i = 0; i < s.out_height; ++i)
      for (std::size_t j = 0; j < s.out_width; ++j)
        for (std::size_t tap = 0; tap < 16; ++tap)
          for (std::size_t at = 0; at < 16; ++at) {
            const std::size_t row = i / 2 * 2 + at / 4, column = j / 2 * 2 + at % 4;
            if (row < s.pad_top || row >= s.pad_top + s.height || column < s.pad_left || column >= s.pad_left + s.width)
              continue;
            const double factor = kA[tap / 4][i % 2] * kA[tap % 4][j % 2] * kB[at / 4][tap / 4] * kB[at % 4][tap % 4];
            if (factor != 0)
              f((n * s.out_height + i) * s.out_width + j, tap,
                (n * s.height + row - s.pad_top) * s.width + column - s.pad_left, factor);
          }
}

struct Case {
  WinogradShape shape;
  std::vector<float> x, u, bias, dy;
};

Case random_case(std::mt19937_64& generator) {
  const auto draw = [&](std::size_t lo, std::size_t hi) {
    return std::uniform_int_distribution<std::size_t>(lo, hi)(generator);
  };
  Case c;
  WinogradShape& s = c.shape;
  s.images = draw(1, 3);
  s.height = draw(3, 11);
  s.width = draw(3, 11);
  s.channels = draw(0, 2) == 0 ? 16 * draw(1, 2) : draw(1, 21);
  s.filters = draw(0, 2) == 0 ? 16 * draw(1, 3) : draw(1, 21);
  s.pad_top = draw(0, 1);
  s.pad_left = draw(0, 1);
  s.out_height = s.height - 2 + s.pad_top + draw(0, 1);
  s.out_width = s.width - 2 + s.pad_left + draw(0, 1);
  const auto integers = [&](std::size_t n, int most) {
    std::vector<float> v(n);
    for (float& f : v) f = static_cast<float>(std::uniform_int_distribution<int>(-most, most)(generator));
    return v;
  };
  c.x = integers(s.images * s.height * s.width * s.channels, 63);
  c.u = integers(16 * s.filters * s.channels, 24);
  c.bias = integers(s.filters, 1000);
  c.dy = integers(s.images * s.out_height * s.out_width * s.filters, 30);
  return c;
}

// On integers below 2^24 float32 is exact, so the kernels must agree with the definition to the last bit.
TEST(WinogradKernel, IsItsDefinitionAndItsGradientsTheTransposed) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    std::mt19937_64 generator(seed);
    const Case c = random_case(generator);
    const WinogradShape& s = c.shape;
    SCOPED_TRACE(::testing::Message() << "seed " << seed << ": " << s.images << " x " << s.height << " x " << s.width
                                      << ", " << s.channels << " to " << s.filters);
    std::vector<double> y(c.dy.size()), dx(c.x.size()), du(c.u.size()), dbias(s.filters);
    for (std::size_t i = 0; i < y.size(); ++i) {
      y[i] = static_cast<double>(c.bias[i % s.filters]);
      dbias[i % s.filters] += static_cast<double>(c.dy[i]);
    }
    for_each_product(s, [&](std::size_t to, std::size_t tap, std::size_t from, double factor) {
      for (std::size_t k = 0; k < s.filters; ++k)
        for (std::size_t ch = 0; ch < s.channels; ++ch) {
          const std::size_t weight = (tap * s.filters + k) * s.channels + ch;
          const double v = factor * static_cast<double>(c.x[from * s.channels + ch]);
          const double g = static_cast<double>(c.dy[to * s.filters + k]);
          y[to * s.filters + k] += static_cast<double>(c.u[weight]) * v;
          du[weight] += g * v;
          dx[from * s.channels + ch] += g * factor * static_cast<double>(c.u[weight]);
        }
    });
    std::vector<float> out(c.dy.size()), gradient(c.x.size());
    winograd_forward(s, c.x.data(), c.u.data(), c.bias.data(), out.data());
    const WinogradGradients g = winograd_backward(s, c.x.data(), c.u.data(), c.dy.data(), gradient.data());
    const auto equal = [](const std::vector<float>& a, const std::vector<double>& b) {
      ASSERT_EQ(a.size(), b.size());
      for (std::size_t i = 0; i < a.size(); ++i) ASSERT_EQ(static_cast<double>(a[i]), b[i]) << i;
    };
    equal(out, y);
    equal(gradient, dx);
    equal(g.u, du);
    equal(g.bias, dbias);
    EXPECT_EQ(winograd_backward(s, c.x.data(), c.u.data(), c.dy.data(), nullptr).u, g.u);
  }
}

}  // namespace
}  // namespace eqo
