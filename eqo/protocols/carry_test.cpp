#include "eqo/protocols/carry.h"

#include "eqo/protocols/carry_leaves.h"
#include "eqo/protocols/carry_plan.h"
#include "eqo/protocols/nonlinear_testing.h"

namespace eqo {
namespace {

using namespace testing;  // the test helpers

Word carry_plain(unsigned bits, Word a, Word b) {
  if (bits == 0) return 0;
  const Word mask = Ring(bits).mask();
  a &= mask;
  b &= mask;
  return b > mask - a ? 1 : 0;
}

// Pairs around the place where the carry flips.
SharedWords critical_pairs(unsigned bits, std::size_t n, std::mt19937_64& rng) {
  SharedWords x{{Words(n), Words(n)}};
  for (std::size_t i = 0; i < n; ++i) {
    x.side[0][i] = rng();
    x.side[1][i] = rng();
    if (i % 4 != 3) x.side[1][i] = ~x.side[0][i] + (i % 4);  // the low bits' sum is 2^bits - 1, 2^bits, 2^bits + 1
    if (i % 8 == 4) x.side[1][i] ^= Word{1} << (rng() % std::max(1U, bits));
  }
  return x;
}

struct Case {
  unsigned bits = 0;
  std::vector<unsigned> cuts;
  CompareOptions options;
  SharedWords x;
};

void check_all(std::vector<Case> cases, unsigned threads = 1) {
  Script script;
  for (const Case& k : cases)
    script.add([&k](CostMeter& m) { carry_with_cuts_cost(m, k.bits, k.cuts, k.x.side[0].size(), k.options); },
               [&k](Context& c) {
                 const Carries r = carry_with_cuts(c, k.bits, k.cuts, k.x.of(c), k.options);
                 Words w = to_words(r.top);
                 for (const Bits& cut : r.at_cuts) w.insert(w.end(), cut.begin(), cut.end());
                 return w;
               });
  const std::vector<Opened> results = script.run(threads);
  for (std::size_t j = 0; j < cases.size(); ++j) {
    const Case& k = cases[j];
    const std::size_t n = k.x.side[0].size();
    const Words got = results[j].bits();
    ASSERT_EQ(got.size(), n * (1 + k.cuts.size()));
    for (std::size_t i = 0; i < n; ++i) {
      ASSERT_EQ(got[i], carry_plain(k.bits, k.x.side[0][i], k.x.side[1][i]))
          << k.bits << " bits, leaf " << k.options.leaf_bits << ", " << k.x.side[0][i] << " + " << k.x.side[1][i];
      for (std::size_t t = 0; t < k.cuts.size(); ++t)
        ASSERT_EQ(got[n * (1 + t) + i], carry_plain(k.cuts[t], k.x.side[0][i], k.x.side[1][i]))
            << k.bits << " bits cut at " << k.cuts[t] << ", leaf " << k.options.leaf_bits;
    }
  }
}

TEST(Carry, ExhaustiveForSmallWidthsAllLeavesAllCuts) {
  for (unsigned leaf = 1; leaf <= 8; ++leaf) {
    std::vector<Case> cases;
    for (unsigned bits = 0; bits <= 6; ++bits) {
      const SharedWords x = all_shares(Ring(std::max(1U, bits)));
      cases.push_back({bits, {}, {leaf, 0}, x});
      if (bits > 5) continue;
      for (unsigned cut = 0; cut <= bits; ++cut) cases.push_back({bits, {cut}, {leaf, cut % 2}, x});
    }
    const SharedWords x = all_shares(Ring(5));
    cases.push_back({5, {0, 1, 2, 3, 4, 5}, {leaf, 1}, x});
    cases.push_back({5, {2, 2, 4}, {leaf, 0}, x});
    check_all(std::move(cases));
  }
}

TEST(Carry, RandomWidthsSizesAndLeaves) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng(seed);
  std::vector<Case> cases;
  for (const unsigned bits : kWidths)
    for (const std::size_t n : kSizes)
      for (unsigned leaf = 1; leaf <= 8; ++leaf) {
        if (n == 1000 && leaf % 3 != 1) continue;
        cases.push_back({bits, {}, {leaf, static_cast<unsigned>(rng() % 3)}, critical_pairs(bits, n, rng)});
        const auto cut = static_cast<unsigned>(rng() % (bits + 1));
        cases.push_back({bits, {cut}, {leaf, static_cast<unsigned>(rng() % 3)}, critical_pairs(cut, n, rng)});
      }
  check_all(std::move(cases), 2);
}

TEST(Carry, SeveralMessagesForALargeTensor) {
  std::mt19937_64 rng(5);
  std::vector<Case> cases;
  for (const unsigned leaf : {1U, 4U, 8U}) cases.push_back({9, {4}, {leaf, 0}, critical_pairs(9, 70001, rng)});
  check_all(std::move(cases), 2);
}

TEST(Carry, TheTraceIsTheSameForOtherNumbers) {
  std::mt19937_64 rng(3);
  std::vector<Message> first;
  for (int round = 0; round < 2; ++round) {
    const SharedWords x = round == 0 ? SharedWords{{Words(100), Words(100)}} : critical_pairs(20, 100, rng);
    Script script;
    script.add([](CostMeter& m) { carry_cost(m, 20, 100, {}); },
               [&](Context& c) { return to_words(carry(c, 20, x.of(c), {})); });
    script.run();
    if (round == 0) first = script.trace();
    EXPECT_EQ(script.trace(), first);
  }
}

TEST(Carry, SharesOfTheResultAreUniform) {
  const std::size_t n = 40000;
  for (const unsigned leaf : {1U, 4U}) {
    const SharedWords x{{Words(n, 200), Words(n, 77)}};
    Script script;
    for (const unsigned bits : {1U, 4U, 8U})
      script.add(
          [=](CostMeter& m) {
            carry_cost(m, bits, n, {leaf, 0});
          },
          [&, bits](Context& c) {
            return to_words(carry(c, bits, x.of(c), {leaf, 0}));
          });
    for (const Opened& r : script.run()) {
      EXPECT_LT(uniformity(r.server, 2), kUniform);
      EXPECT_LT(uniformity(r.client, 2), kUniform);
    }
  }
}

TEST(Carry, SharesOfEveryLeafAreUniform) {
  const std::size_t n = 40000;
  const SharedWords x{{Words(n, 0x5a3), Words(n, 0xa11)}};
  for (const unsigned leaf : {1U, 3U, 6U, 7U}) {
    const CarryPlan plan = plan_carry(14, {}, {leaf, 0});
    const std::size_t leaves = plan.leaves.size();
    Script script;
    script.add([&](CostMeter& m) { compare_leaves_cost(m, plan, n, 0); },
               [&](Context& c) {
                 const CarryLeaves l = compare_leaves(c, plan, x.of(c), 0);
                 Words w(leaves * n);
                 for (std::size_t i = 0; i < w.size(); ++i) w[i] = Word{l.lt[i]} | l.eq[i] << 1;
                 return w;
               });
    const Opened r = script.run().front();
    for (std::size_t j = 0; j < leaves; ++j) {
      const unsigned offset = plan.leaves[j].offset;
      const Word mask = Ring(plan.leaves[j].bits).mask();
      const Word a = ~x.side[0][0] >> offset & mask, b = x.side[1][0] >> offset & mask;
      const Words opened = r.bits();
      // Of the lowest leaf only less-than counts; an equality of single bits is shared without an OT.
      const Word bits = j == 0 || plan.leaves[j].bits == 1 ? 1 : 3;
      std::array<Words, 2> seen;
      for (std::size_t i = j * n; i < (j + 1) * n; ++i) {
        ASSERT_EQ(opened[i] & 1, a < b ? 1U : 0U);
        if (j > 0) {
          ASSERT_EQ(opened[i] >> 1, a == b ? 1U : 0U);
        }
        seen[0].push_back(r.server[i] & bits);
        seen[1].push_back(r.client[i] & bits);
      }
      for (const Words& s : seen) EXPECT_LT(uniformity(s, bits + 1), kUniform) << "leaf " << j << " of width " << leaf;
    }
  }
}

TEST(Carry, RefusesBadOptions) {
  const Words x(3);
  const std::array<unsigned, 2> falling{3, 2};
  const std::array<unsigned, 1> beyond{9};
  for (const CompareOptions bad : {CompareOptions{0, 0}, CompareOptions{9, 0}, CompareOptions{4, 9}})
    expect_refused(Category::kUsage, [&](Context& c) { carry(c, 8, x, bad); });
  expect_refused(Category::kUsage, [&](Context& c) { carry(c, 65, x, {}); });
  expect_refused(Category::kUsage, [&](Context& c) { carry_with_cuts(c, 8, falling, x, {}); });
  expect_refused(Category::kUsage, [&](Context& c) { carry_with_cuts(c, 8, beyond, x, {}); });
}

TEST(CarryPlan, CoversTheNumberOnceAndCutsAreSpineNodes) {
  std::mt19937_64 rng(7);
  for (int round = 0; round < 20000; ++round) {
    const auto bits = static_cast<unsigned>(1 + rng() % 64);
    const CompareOptions options{static_cast<unsigned>(1 + rng() % 8), static_cast<unsigned>(rng() % 9)};
    std::vector<unsigned> cuts;
    for (unsigned c = 1; c <= bits; ++c)
      if (rng() % (1 + bits / (1 + round % 4)) == 0) cuts.push_back(c);
    const CarryPlan plan = plan_carry(bits, cuts, options);
    unsigned at = 0;
    for (const auto& leaf : plan.leaves) {
      ASSERT_EQ(leaf.offset, at);
      ASSERT_GE(leaf.bits, 1U);
      ASSERT_LE(leaf.bits, options.leaf_bits);
      at += leaf.bits;
    }
    ASSERT_EQ(at, bits);
    std::size_t covered = 1;
    std::vector<unsigned> ends{plan.leaves[0].bits};  // bits under the spine after each level
    for (std::size_t i = 0; i < plan.siblings.size(); ++i) {
      ASSERT_GE(plan.siblings[i], 1U);
      if (i < 7) {
        ASSERT_LE(plan.siblings[i], 1U << i);
      }
      covered += plan.siblings[i];
      ends.push_back(plan.leaves[covered - 1].offset + plan.leaves[covered - 1].bits);
    }
    ASSERT_EQ(covered, plan.leaves.size());
    for (std::size_t i = 0; i < cuts.size(); ++i) ASSERT_EQ(ends[plan.cut_levels[i]], cuts[i]);
    if (cuts.empty() && options.extra_levels == 0) {
      const std::size_t q = plan.leaves.size();
      ASSERT_EQ(q, (bits + options.leaf_bits - 1) / options.leaf_bits);
      ASSERT_GE(std::size_t{1} << plan.levels(), q);
      ASSERT_TRUE(plan.levels() == 0 || (std::size_t{1} << (plan.levels() - 1)) < q);
    }
    std::uint64_t ands = 0;
    for (const LevelAnds& level : level_ands(plan)) ands += level.singles + level.pairs;
    ASSERT_EQ(ands, plan.leaves.size() - 1);
  }
}

TEST(CarryPlan, CostsWhatTheHeaderSays) {
  const auto bits_each = [](unsigned bits, const std::vector<unsigned>& cuts, CompareOptions options) {
    CostMeter m;
    m.record_trace();
    carry_with_cuts_cost(m, bits, cuts, 8000, options);
    std::uint64_t bytes = 0;
    for (const Message& message : m.trace()) bytes += message.bytes;
    return std::pair(static_cast<double>(bytes) / 1000, m.cost().flights);
  };
  using Result = std::pair<double, std::uint64_t>;
  // 15 bits, leaves 4 4 4 3: (4+16) + 2(4+32) + (3+16) + spine 2*4 + pair 6.
  EXPECT_EQ(bits_each(15, {}, {4, 0}), Result(20 + 72 + 19 + 8 + 6, 4U));
  // 4 bits of 1-bit leaves: 4*2 + 2 spine + 1 pair.
  EXPECT_EQ(bits_each(4, {}, {1, 0}), Result(8 + 8 + 6, 4U));
  // One more level: spine only.
  EXPECT_EQ(bits_each(4, {}, {1, 1}), Result(8 + 12, 5U));
  // A cut that the leaves allow at no cost.
  EXPECT_EQ(bits_each(16, {8}, {4, 0}), bits_each(16, {}, {4, 0}));
  EXPECT_EQ(bits_each(0, {0}, {4, 0}), Result(0, 0U));
}

}  // namespace
}  // namespace eqo
