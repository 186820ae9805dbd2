#include "eqo/kernels/lane_packing.h"

#include <gtest/gtest.h>
#include <hwy/highway.h>

#include <random>
#include <vector>

#include "eqo/core/bits.h"
#include "eqo/core/error.h"

namespace eqo {
namespace {

// A guard behind the buffers: nothing beyond the packed bytes may change.
template <typename L>
void equals_core_packing(std::size_t n, unsigned width) {
  std::mt19937_64 rng(n * 100 + width);
  std::vector<L> in(n);
  for (L& x : in) x = static_cast<L>(rng());
  const Words words(in.begin(), in.end());
  const Bytes want = pack(words, width);
  std::vector<std::byte> out(want.size() + 1, std::byte{0xaa});
  pack_lanes(std::span<const L>(in), width, std::span(out).first(want.size()));
  ASSERT_TRUE(std::equal(want.begin(), want.end(), out.begin())) << "n " << n << " width " << width;
  ASSERT_EQ(out.back(), std::byte{0xaa}) << "n " << n << " width " << width;

  std::vector<L> back(n + 1, L{0x55});
  unpack_lanes(want, width, std::span(back).first(n));
  ASSERT_EQ(back[n], L{0x55});
  for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(back[i], Ring(width).reduce(in[i])) << "n " << n << " width " << width;
}

void all_widths() {
  for (const std::size_t n : {0, 1, 7, 8, 9, 31, 64, 257, 1500}) {
    for (unsigned w = 1; w <= 16; ++w) equals_core_packing<std::uint16_t>(n, w);
    for (unsigned w = 1; w <= 32; ++w) equals_core_packing<std::uint32_t>(n, w);
    for (unsigned w = 1; w <= 64; ++w) equals_core_packing<std::uint64_t>(n, w);
  }
}

TEST(LanePacking, EqualsTheCorePacking) { all_widths(); }

TEST(LanePacking, EveryInstructionSetAgrees) {
  const auto all = hwy::SupportedTargets();
  for (auto left = all; left != 0; left &= left - 1) {
    const auto target = left & -left;
    if ((HWY_TARGETS & target) == 0) continue;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    all_widths();
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

TEST(LanePacking, RefusesTheWrongSizes) {
  std::vector<std::uint16_t> x(8);
  std::vector<std::byte> out(9);
  EXPECT_NO_THROW(pack_lanes(std::span<const std::uint16_t>(x), 9, out));
  EXPECT_THROW(pack_lanes(std::span<const std::uint16_t>(x), 8, out), Error);
  EXPECT_THROW(pack_lanes(std::span<const std::uint16_t>(x), 17, out), Error);
  EXPECT_THROW(pack_lanes(std::span<const std::uint16_t>(x), 0, out), Error);
  EXPECT_THROW(unpack_lanes(std::span<const std::byte>(out), 10, std::span(x)), Error);
}

TEST(LanePacking, ShiftInAndOutAreBitCopies) {
  std::mt19937_64 rng(3);
  for (std::size_t n : {1, 2, 17})
    for (unsigned bit = 0; bit < 8; ++bit) {
      std::vector<std::byte> in(n), out(n + 1, std::byte{0xff}), back(n);
      for (std::byte& b : in) b = static_cast<std::byte>(rng());
      shift_in(in, bit, out);
      const Bits bits = unpack_bits(out, 8 * n + 8), want = unpack_bits(in, 8 * n);
      for (unsigned i = 0; i < bit; ++i) ASSERT_EQ(bits[i], 1) << "kept";
      for (std::size_t i = 0; i < 8 * n; ++i) ASSERT_EQ(bits[bit + i], want[i]);
      for (std::size_t i = 8 * n + bit; i < 8 * n + 8; ++i) ASSERT_EQ(bits[i], 0);
      shift_out(out, bit, back);
      ASSERT_EQ(back, in);
      shift_out(std::span(out).first(n), bit, back);
      ASSERT_EQ(back[n - 1], static_cast<std::byte>(std::to_integer<unsigned>(out[n - 1]) >> bit));
    }
}

}  // namespace
}  // namespace eqo
