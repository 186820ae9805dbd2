#include "eqo/he/sampling.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <map>

#include "eqo/he/he_params.h"
#include "eqo/he/targets_testing.h"

namespace eqo {
namespace {

Prg seeded(std::uint8_t value) {
  std::array<std::byte, 16> bytes{};
  bytes[0] = static_cast<std::byte>(value);
  return Prg(Seed(bytes));
}

TEST(Sampling, ErrorTableIsTheGaussian) {
  long double total = 1;
  for (int k = 1; k <= HeParams::kMaxError; ++k) total += 2 * std::exp(-k * k / (2 * 3.2L * 3.2L));
  ASSERT_EQ(error_thresholds().size(), static_cast<std::size_t>(HeParams::kMaxError));
  long double cumulative = 0;
  for (int k = 0; k < HeParams::kMaxError; ++k) {
    cumulative += (k == 0 ? 1 : 2) * std::exp(-k * k / (2 * 3.2L * 3.2L)) / total;
    const auto table = static_cast<long double>(error_thresholds()[static_cast<std::size_t>(k)]);
    EXPECT_NEAR(static_cast<double>(table / std::exp2(63.0L) - cumulative), 0, 1e-17) << k;
  }
}

// Pearson's statistic of counts against probabilities.
double chi_square(const std::map<int, double>& probability, const std::map<int, int>& counts, int n) {
  double sum = 0;
  for (const auto& [value, p] : probability) {
    const auto found = counts.find(value);
    const double expected = p * n, have = found == counts.end() ? 0 : found->second;
    sum += (have - expected) * (have - expected) / expected;
  }
  return sum;
}

TEST(Sampling, Distributions) {
  const int n = 1 << 20;
  Prg prg = seeded(1);
  std::map<int, int> ternary, error;
  for (const std::int32_t x : sample_ternary(prg, n)) ++ternary[x];
  EXPECT_EQ(ternary.size(), 3U);
  // 99.99 % points of chi-square with 2 and 25 degrees of freedom
  EXPECT_LT(chi_square({{-1, 1 / 3.}, {0, 1 / 3.}, {1, 1 / 3.}}, ternary, n), 18.4);

  double squares = 0, total = 0;
  for (const std::int32_t x : sample_error(prg, n)) {
    ASSERT_LE(std::abs(x), HeParams::kMaxError);
    ++error[x];
    squares += double(x) * x;
  }
  EXPECT_NEAR(std::sqrt(squares / n), HeParams::kSigma, 0.02);
  std::map<int, double> gauss;
  for (int k = -40; k <= 40; ++k) total += std::exp(-k * k / (2 * 3.2 * 3.2));
  for (int k = -12; k <= 12; ++k) gauss[k] = std::exp(-k * k / (2 * 3.2 * 3.2)) / total;
  EXPECT_LT(chi_square(gauss, error, n), 60);
}

TEST(Sampling, EveryInstructionSetAgrees) {
  Prg once = seeded(2);
  const SmallPolynomial ternary = sample_ternary(once, 1001), error = sample_error(once, 1001);
  on_every_target([&] {
    Prg again = seeded(2);
    EXPECT_EQ(sample_ternary(again, 1001), ternary);
    EXPECT_EQ(sample_error(again, 1001), error);
  });
}

TEST(Sampling, Uniform) {
  // A prime just above a power of two: about half of the words are rejected.
  for (const std::uint32_t p : {12289U, 16411U, 1073741827U, 2147352577U}) {
    Prg prg = seeded(3);
    Residues x(1 << 18);
    sample_uniform(prg, p, x);
    std::array<int, 64> cells{};
    for (const std::uint32_t e : x) {
      ASSERT_LT(e, p);
      ++cells[std::uint64_t{e} * cells.size() / p];
    }
    double sum = 0;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const auto first = static_cast<double>((i * p + 63) / 64), last = static_cast<double>(((i + 1) * p + 63) / 64);
      const double expected = (last - first) / p * static_cast<double>(x.size());
      sum += (cells[i] - expected) * (cells[i] - expected) / expected;
    }
    EXPECT_LT(sum, 117) << p;  // 99.99 % point with 63 degrees of freedom
  }
}

TEST(Sampling, PublicSeedsAreSeparated) {
  const std::array<std::byte, 16> zero{}, one{std::byte{1}};
  const Block first = public_prg("a", zero, 0).block();
  EXPECT_EQ(first, public_prg("a", zero, 0).block());
  EXPECT_FALSE(first == public_prg("b", zero, 0).block());
  EXPECT_FALSE(first == public_prg("a", one, 0).block());
  EXPECT_FALSE(first == public_prg("a", zero, 1).block());
  EXPECT_FALSE(first == public_prg("", zero, 0).block());
}

}  // namespace
}  // namespace eqo
