#include "eqo/ot/ferret.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <map>
#include <random>

#include "eqo/ot/half_tree.h"
#include "eqo/testing/two_party.h"

namespace eqo {
namespace {

// Correlated OTs from a dealer.
struct Dealt {
  Block delta;
  Blocks q, t;
  Bits choices;
};

Dealt deal(std::size_t n, std::uint64_t seed) {
  std::mt19937_64 rng(seed);
  Dealt d{Block{rng(), rng()}, Blocks(n), Blocks(n), Bits(n)};
  for (std::size_t i = 0; i < n; ++i) {
    d.choices[i] = static_cast<std::uint8_t>(rng() & 1);
    d.q[i] = Block{rng(), rng()};
    d.t[i] = d.q[i] ^ masked(d.choices[i], d.delta);
  }
  return d;
}

TEST(HalfTree, OneUniformPlaceInEachTree) {
  for (unsigned depth = 2; depth <= 13; ++depth) {
    for (std::uint64_t seed = 1; seed <= (depth < 8 ? 200U : 5U); ++seed) {
      SCOPED_TRACE("depth " + std::to_string(depth) + ", seed " + std::to_string(seed));
      const Dealt base = deal(std::size_t{2} * depth, seed);
      const std::size_t leaves = std::size_t{1} << depth;
      Blocks v(2 * leaves), w(2 * leaves), message(std::size_t{2} * (depth - 1));
      Bits u(2 * leaves);
      half_tree_send(depth, base.delta, base.q, v, message);
      half_tree_receive(depth, base.t, base.choices, message, w, u);
      for (std::size_t j = 0; j < 2; ++j) {
        std::size_t place = 0;
        for (unsigned l = 0; l < depth; ++l) place |= std::size_t{1U ^ base.choices[2 * l + j]} << l;
        Block sum;
        for (std::size_t y = 0; y < leaves; ++y) {
          ASSERT_EQ(u[2 * y + j], y == place ? 1 : 0) << y;
          ASSERT_EQ(w[2 * y + j], v[2 * y + j] ^ masked(u[2 * y + j], base.delta)) << y;
          sum ^= v[2 * y + j];
        }
        EXPECT_EQ(sum, base.delta);
      }
    }
  }
}

// The message's sums: one side of each level that the receiver may know, by the tree's definition.
TEST(HalfTree, EachBlockOfTheMessageCounts) {
  constexpr unsigned kDepth = 5;
  const Dealt base = deal(2 * kDepth, 7);
  Blocks v(64), w(64), message(8);
  Bits u(64);
  half_tree_send(kDepth, base.delta, base.q, v, message);
  for (std::size_t i = 0; i < message.size(); ++i) {
    Blocks wrong = message;
    wrong[i].hi ^= 1;
    half_tree_receive(kDepth, base.t, base.choices, wrong, w, u);
    std::array<int, 2> broken{};
    for (std::size_t y = 0; y < w.size(); ++y) broken[y % 2] += !(w[y] == (v[y] ^ masked(u[y], base.delta)));
    EXPECT_GT(broken[i % 2], 0);
    EXPECT_EQ(broken[1 - i % 2], 0);
  }
}

struct Iterated {
  Blocks q, t;
  Bits choices;
  std::vector<std::size_t> messages;
};

Iterated iterate(const LpnSet& set, const Dealt& seeds, std::uint64_t row, unsigned threads) {
  ThreadPool pool(threads);
  Iterated r{Blocks(set.outputs()), Blocks(set.outputs()), Bits(set.outputs()), {}};
  std::vector<std::byte> wire;
  ferret_send(set, row, seeds.delta, seeds.q, r.q, pool, [&](std::span<const std::byte> m) {
    wire.insert(wire.end(), m.begin(), m.end());
    r.messages.push_back(m.size());
  });
  std::size_t at = 0;
  ferret_receive(set, row, seeds.t, seeds.choices, r.t, r.choices, pool, [&](std::span<std::byte> m) {
    std::copy_n(wire.begin() + static_cast<std::ptrdiff_t>(at), m.size(), m.begin());
    at += m.size();
  });
  EXPECT_EQ(at, wire.size());
  EXPECT_EQ(at, set.message_bytes(set.trees));
  return r;
}

// The columns of one row of the public code, by its definition.
std::array<std::uint64_t, 10> columns(const LpnSet& set, std::uint64_t row) {
  const detail::Kernel& k = detail::portable_kernel();
  detail::AesKey key;
  k.expand_key(detail::kCodeKey, key);
  Block w[2];
  k.ctr(key, Block{2 * row, set.stream}, 2, w);
  const std::uint64_t words[4] = {w[0].lo, w[0].hi, w[1].lo, w[1].hi};
  std::array<std::uint64_t, 10> at{};
  for (unsigned j = 0; j < 10; ++j) at[j] = words[j / 3] >> (21 * (j % 3)) & (set.dimension() - 1);
  return at;
}

class FerretTest : public ::testing::TestWithParam<unsigned> {};

// Outputs are seeds times the code plus the trees: correlated; the noise that remains has one uniform place in each
// tree.
TEST_P(FerretTest, CodeAndRegularNoise) {
  const LpnSet& set = kLpnSets[GetParam()];
  const Dealt seeds = deal(set.seeds(), 11 + GetParam());
  const std::uint64_t row = 3 * set.outputs();
  const Iterated r = iterate(set, seeds, row, 1 + GetParam() % 3);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < r.q.size(); ++i) wrong += !(r.t[i] == (r.q[i] ^ masked(r.choices[i], seeds.delta)));
  EXPECT_EQ(wrong, 0U);
  for (const std::uint8_t c : r.choices) ASSERT_LE(c, 1);

  // Two trees of which every row is decoded by the definition, and the noise of all trees from the choices.
  const std::size_t leaves = set.tree_leaves();
  std::vector<std::size_t> places;
  for (const std::size_t pair : {std::size_t{0}, std::size_t{set.trees / 2 - 1}}) {
    std::array<std::size_t, 2> ones{};
    for (std::size_t y = 0; y < 2 * leaves; ++y) {
      const std::size_t i = pair * 2 * leaves + y;
      std::uint8_t noise = r.choices[i];
      for (const std::uint64_t at : columns(set, row + i)) noise ^= seeds.choices[at];
      ASSERT_LE(noise, 1);
      if (noise == 0) continue;
      ++ones[y % 2];
      std::size_t place = 0;
      for (unsigned l = 0; l < set.depth; ++l)
        place |= std::size_t{1U ^ seeds.choices[set.dimension() + pair * 2 * set.depth + 2 * l + y % 2]} << l;
      EXPECT_EQ(y / 2, place);
    }
    EXPECT_EQ(ones, (std::array<std::size_t, 2>{1, 1}));
  }

  // The choices are balanced, alone and against their neighbours.
  const auto n = static_cast<double>(r.choices.size());
  std::size_t ones = 0, changes = 0;
  for (std::size_t i = 0; i < r.choices.size(); ++i) {
    ones += r.choices[i];
    changes += r.choices[i] ^ r.choices[(i + 1) % r.choices.size()];
  }
  EXPECT_NEAR(static_cast<double>(ones), n / 2, 7 * std::sqrt(n) / 2);
  EXPECT_NEAR(static_cast<double>(changes), n / 2, 7 * std::sqrt(n) / 2);
}

INSTANTIATE_TEST_SUITE_P(AllSets, FerretTest, ::testing::Range(0U, kLpnSetCount));

TEST(Ferret, TheSameForAnyNumberOfThreadsAndOtherForOtherRows) {
  const LpnSet& set = kLpnSets[0];
  const Dealt seeds = deal(set.seeds(), 5);
  const Iterated one = iterate(set, seeds, 0, 1), three = iterate(set, seeds, 0, 3), later = iterate(set, seeds, 1, 2);
  EXPECT_TRUE(one.q == three.q && one.t == three.t && one.choices == three.choices);
  EXPECT_FALSE(one.q == later.q);
}

// Bytes of the choices, chi-square with 255 degrees of freedom (mean 255, deviation 22.6).
TEST(Ferret, ChoicesAreUniform) {
  const LpnSet& set = kLpnSets[0];
  const Iterated r = iterate(set, deal(set.seeds(), 6), 0, 2);
  std::array<double, 256> count{};
  for (std::size_t i = 0; i + 8 <= r.choices.size(); i += 8) {
    unsigned byte = 0;
    for (unsigned b = 0; b < 8; ++b) byte |= static_cast<unsigned>(r.choices[i + b]) << b;
    ++count[byte];
  }
  const double expected = static_cast<double>(r.choices.size()) / 8 / 256;
  double chi = 0;
  for (const double c : count) chi += (c - expected) * (c - expected) / expected;
  EXPECT_LT(chi, 255 + 7 * 22.6);
  EXPECT_GT(chi, 255 - 7 * 22.6);
}

// The noise places of all sets together hit every quarter of a tree equally often, and nearly all differ.
TEST(Ferret, PlacesAreUniform) {
  const LpnSet& set = kLpnSets[0];
  Dealt seeds = deal(set.seeds(), 8);
  std::fill_n(seeds.choices.begin(), set.dimension(), std::uint8_t{0});  // the choices are then the noise
  std::copy_n(seeds.q.begin(), set.dimension(), seeds.t.begin());
  const Iterated r = iterate(set, seeds, 0, 1);
  std::map<std::size_t, std::size_t> places;
  std::size_t total = 0;
  for (std::size_t i = 0; i < r.choices.size(); ++i) {
    if (r.choices[i] == 0) continue;
    ++total;
    ++places[i % (2 * set.tree_leaves()) / 2];
  }
  EXPECT_EQ(total, set.trees);
  std::array<std::size_t, 4> quarter{};
  std::size_t most = 0;
  for (const auto& [place, n] : places) {
    quarter[place / (set.tree_leaves() / 4)] += n;
    most = std::max(most, n);
  }
  for (const std::size_t q : quarter) EXPECT_NEAR(static_cast<double>(q), 212.5, 7 * 12.6);
  EXPECT_LT(most, 12U);
}

}  // namespace
}  // namespace eqo
