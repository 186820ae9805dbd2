#include "eqo/ot/pprf.h"

#include <gtest/gtest.h>

#include <set>

#include "eqo/core/error.h"

namespace eqo {
namespace {

// The trees without a channel: ideal base OTs.
TEST(Pprf, ReceiverHasAllLeavesButItsOwn) {
  Prg prg = Prg::from_os();
  for (unsigned k = 1; k <= 8; ++k) {
    SCOPED_TRACE(k);
    const Forest forest(k);
    EXPECT_EQ(forest.trees, (127 + k) / k);
    WipedVector<std::array<Block, 2>> pairs(128);
    Bits choices(128);
    prg.fill_bits(choices);
    Blocks chosen(128);
    for (std::size_t j = 0; j < 128; ++j) {
      pairs[j] = {prg.block(), prg.block()};
      chosen[j] = pairs[j][choices[j]];
    }
    Blocks message(forest.message_bytes() / sizeof(Block)), all, most;
    pprf_expand(forest, pairs, all, message);
    Block delta;
    pprf_reconstruct(forest, chosen, choices, message, most, delta);
    ASSERT_EQ(all.size(), most.size());
    std::set<std::pair<std::uint64_t, std::uint64_t>> different;
    std::size_t at = 0;
    unsigned bits = 0;
    for (std::size_t tree = 0; tree < forest.trees; ++tree) {
      const std::size_t bit = tree * k;
      const unsigned depth = forest.depth(tree);
      bits += depth;
      // Bits [bit, bit + depth) of delta, across the border of its halves.
      const std::uint64_t low =
          bit < 64 ? delta.lo >> bit | (bit == 0 ? 0 : delta.hi << (64 - bit)) : delta.hi >> (bit - 64);
      const std::size_t place = low & (forest.leaves(tree) - 1);
      EXPECT_EQ(most[at], Block{});
      for (std::size_t y = 1; y < forest.leaves(tree); ++y) EXPECT_EQ(most[at + y], all[at + (y ^ place)]);
      for (std::size_t x = 0; x < forest.leaves(tree); ++x) different.insert({all[at + x].lo, all[at + x].hi});
      at += forest.leaves(tree);
    }
    EXPECT_EQ(at, all.size());
    EXPECT_EQ(bits, 128U);
    EXPECT_EQ(different.size(), all.size());
  }
}

TEST(Pprf, ParametersOutOfRangeAreUsageErrors) {
  for (const unsigned k : {0U, 9U, 1000U}) {
    try {
      const Forest forest(k);
      ADD_FAILURE() << k;
    } catch (const Error& e) {
      EXPECT_EQ(e.category(), Category::kUsage);
    }
  }
}

}  // namespace
}  // namespace eqo
