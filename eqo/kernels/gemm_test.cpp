#include "eqo/kernels/gemm.h"

#include <gtest/gtest.h>
#include <hwy/highway.h>

#include <random>
#include <vector>

#include "eqo/core/error.h"

namespace eqo {
namespace {

template <typename L>
void compare_with_naive(const GemmShape& s, unsigned threads, std::uint64_t seed) {
  std::mt19937_64 rng(seed);
  std::vector<L> u(s.count * s.rows * s.inner), v(s.count * s.inner * s.cols), m(s.count * s.rows * s.cols);
  for (auto* x : {&u, &v, &m})
    for (L& e : *x) e = static_cast<L>(rng());
  std::vector<L> want = m;
  for (std::size_t p = 0; p < s.count; ++p)
    for (std::size_t k = 0; k < s.rows; ++k)
      for (std::size_t c = 0; c < s.inner; ++c)
        for (std::size_t t = 0; t < s.cols; ++t)
          want[(p * s.rows + k) * s.cols + t] += u[(p * s.rows + k) * s.inner + c] * v[(p * s.inner + c) * s.cols + t];
  ThreadPool pool(threads);
  gemm_mod(s, std::span<const L>(u), std::span<const L>(v), std::span<L>(m), pool);
  ASSERT_EQ(m, want) << "count " << s.count << " rows " << s.rows << " inner " << s.inner << " cols " << s.cols
                     << " threads " << threads << " seed " << seed << " target " << kernel_target_name();
}

void all_shapes(std::uint64_t seed, int rounds) {
  std::mt19937_64 rng(seed);
  auto pick = [&](std::size_t lo, std::size_t hi) { return lo + rng() % (hi - lo + 1); };
  for (int i = 0; i < rounds; ++i) {
    const GemmShape s{pick(1, 3), pick(1, 21), pick(1, 40), pick(1, 150)};
    compare_with_naive<std::uint32_t>(s, 1 + i % 3, seed + static_cast<unsigned>(i));
    compare_with_naive<std::uint64_t>(s, 1 + i % 3, seed + static_cast<unsigned>(i));
  }
  for (const GemmShape& s : {GemmShape{1, 1, 1, 1}, GemmShape{1, 9, 600, 33}, GemmShape{2, 17, 257, 1},
                             GemmShape{1, 40, 3, 6}, GemmShape{5, 1, 9, 64}, GemmShape{1, 64, 300, 16}}) {
    compare_with_naive<std::uint32_t>(s, 3, seed);
    compare_with_naive<std::uint64_t>(s, 3, seed);
  }
}

TEST(Gemm, EqualsNaiveLoops) { all_shapes(1, 60); }

TEST(Gemm, EveryInstructionSetAgrees) {
  const auto all = hwy::SupportedTargets();
  for (auto left = all; left != 0; left &= left - 1) {
    const auto target = left & -left;
    if ((HWY_TARGETS & target) == 0) continue;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    EXPECT_STREQ(kernel_target_name(), hwy::TargetName(target));
    all_shapes(2, 12);
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

TEST(Gemm, EmptyInnerDimensionLeavesM) {
  std::vector<std::uint32_t> m{1, 2};
  ThreadPool pool(1);
  gemm_mod({1, 1, 0, 2}, std::span<const std::uint32_t>(), {}, m, pool);
  EXPECT_EQ(m, (std::vector<std::uint32_t>{1, 2}));
}

TEST(Gemm, RefusesOperandsOfTheWrongSize) {
  std::vector<std::uint32_t> u(6), v(6), m(4);
  ThreadPool pool(1);
  const GemmShape shape{1, 2, 3, 2};
  EXPECT_NO_THROW(gemm_mod(shape, u, v, m, pool));
  const std::span<const std::uint32_t> us(u), vs(v);
  EXPECT_THROW(gemm_mod(shape, us.first(5), vs, m, pool), Error);
  EXPECT_THROW(gemm_mod(shape, us, vs.first(5), m, pool), Error);
  EXPECT_THROW(gemm_mod(shape, us, vs, std::span(m).first(3), pool), Error);
}

}  // namespace
}  // namespace eqo
