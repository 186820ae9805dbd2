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
          << k.bits << " bits, levels " << k.options.levels << ", COT " << k.options.cot_sixteenths << ", "
          << k.x.side[0][i] << " + " << k.x.side[1][i];
      for (std::size_t t = 0; t < k.cuts.size(); ++t)
        ASSERT_EQ(got[n * (1 + t) + i], carry_plain(k.cuts[t], k.x.side[0][i], k.x.side[1][i]))
            << k.bits << " bits cut at " << k.cuts[t] << ", levels " << k.options.levels;
    }
  }
}

constexpr std::array<unsigned, 3> kPrices{0, 8, 496};
constexpr std::array<Party, 2> kParties{Party::kServer, Party::kClient};

TEST(Carry, ExhaustiveForSmallWidthsAllCutsLevelsPricesAndReceivers) {
  for (const Party receiver : kParties)
    for (const unsigned price : kPrices) {
      std::vector<Case> cases;
      for (unsigned levels = 1; levels <= 5; ++levels) {
        const CompareOptions options{levels, price, receiver};
        for (unsigned bits = 0; bits <= 6; ++bits) {
          const SharedWords x = all_shares(Ring(std::max(1U, bits)));
          cases.push_back({bits, {}, options, x});
          for (unsigned cut = 0; cut <= bits && bits <= 5; ++cut) cases.push_back({bits, {cut}, options, x});
        }
        cases.push_back({5, {2, 2, 4}, {5, price, receiver}, all_shares(Ring(5))});
      }
      cases.push_back({5, {0, 1, 2, 3, 4, 5}, {5, price, receiver}, all_shares(Ring(5))});
      check_all(std::move(cases));
    }
}

TEST(Carry, RandomWidthsSizesAndOptions) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng(seed);
  std::vector<Case> cases;
  const auto options = [&](unsigned levels) { return CompareOptions{levels, kPrices[rng() % 3], kParties[rng() % 2]}; };
  for (const unsigned bits : kWidths)
    for (const std::size_t n : kSizes)
      for (unsigned levels = 1; levels <= 8; ++levels) {
        if ((n == 1000 && levels % 3 != 1) || bits > 16U << (levels - 1)) continue;
        cases.push_back({bits, {}, options(levels), critical_pairs(bits, n, rng)});
        if (levels < 4) continue;  // enough for a cut anywhere
        const auto cut = static_cast<unsigned>(rng() % (bits + 1));
        cases.push_back({bits, {cut}, options(levels), critical_pairs(cut, n, rng)});
      }
  check_all(std::move(cases), 2);
}

// Tables of every width, as the only leaf and above another one.
TEST(Carry, EveryLeafWidth) {
  std::mt19937_64 rng(6);
  std::vector<Case> cases;
  for (unsigned bits = 1; bits <= 16; ++bits)
    for (const unsigned price : {8U, 4096U})
      for (const Party receiver : kParties)
        cases.push_back({bits, {}, {1, price, receiver}, critical_pairs(bits, 3000, rng)});
  check_all(std::move(cases));
}

TEST(Carry, SeveralMessagesForALargeTensor) {
  std::mt19937_64 rng(5);
  std::vector<Case> cases;
  for (const Party receiver : kParties) {
    cases.push_back({16, {}, {1, 8, receiver}, critical_pairs(16, 3001, rng)});     // entries
    cases.push_back({11, {4}, {3, 8, receiver}, critical_pairs(11, 263001, rng)});  // tables of one word
  }
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
  for (const CompareOptions options : {CompareOptions{1, 496, Party::kServer}, CompareOptions{4, 8}}) {
    const SharedWords x{{Words(n, 200), Words(n, 77)}};
    Script script;
    for (const unsigned bits : {1U, 4U, 8U})
      script.add([=](CostMeter& m) { carry_cost(m, bits, n, options); },
                 [&, bits](Context& c) { return to_words(carry(c, bits, x.of(c), options)); });
    for (const Opened& r : script.run()) {
      EXPECT_LT(uniformity(r.server, 2), kUniform);
      EXPECT_LT(uniformity(r.client, 2), kUniform);
    }
  }
}

TEST(Carry, SharesOfEveryLeafAreUniform) {
  const std::size_t n = 40000;
  const SharedWords x{{Words(n, 0x5a3), Words(n, 0xa11)}};
  for (const unsigned width : {1U, 2U, 3U, 6U, 8U}) {
    CarryPlan plan;  // leaves alone
    for (const unsigned at : {0U, width}) plan.leaves.push_back({at, width});
    const std::size_t leaves = plan.leaves.size();
    Script script;
    script.add([&](CostMeter& m) { compare_leaves_cost(m, plan, Party::kClient, n, 0); },
               [&](Context& c) {
                 const CarryLeaves l = compare_leaves(c, plan, Party::kClient, x.of(c), 0);
                 Words w(leaves * n);
                 for (std::size_t i = 0; i < w.size(); ++i) w[i] = Word{l.carry[i]} | l.propagate[i] << 1;
                 return w;
               });
    const Opened r = script.run().front();
    for (std::size_t j = 0; j < leaves; ++j) {
      const unsigned offset = plan.leaves[j].offset;
      const Word mask = Ring(plan.leaves[j].bits).mask();
      const Word a = x.side[0][0] >> offset & mask, b = x.side[1][0] >> offset & mask;
      const Words opened = r.bits();
      const Word bits = j == 0 ? 1 : 3;  // leaf 0 has a carry alone
      std::array<Words, 2> seen;
      for (std::size_t i = j * n; i < (j + 1) * n; ++i) {
        const Word propagate = j > 0 && (a ^ b) == mask ? 1 : 0;
        if (j > 0) {
          ASSERT_EQ(opened[i] >> 1, propagate);
        }
        if (propagate == 0) {
          ASSERT_EQ(opened[i] & 1, a + b > mask ? 1U : 0U);
        }
        seen[0].push_back(r.server[i] & bits);
        seen[1].push_back(r.client[i] & bits);
      }
      if (j > 0 && width == 1) continue;  // shared as they are
      for (const Words& s : seen) EXPECT_LT(uniformity(s, bits + 1), kUniform) << "leaf " << j << " of width " << width;
    }
  }
}

TEST(Carry, RefusesBadOptions) {
  const Words x(3);
  const std::array<unsigned, 2> falling{3, 2};
  const std::array<unsigned, 1> beyond{9};
  for (const CompareOptions bad : {CompareOptions{0}, CompareOptions{9}, CompareOptions{3, 4097}})
    expect_refused(Category::kUsage, [&](Context& c) { carry(c, 8, x, bad); });
  expect_refused(Category::kUsage, [&](Context& c) { carry(c, 65, x, {}); });
  expect_refused(Category::kUsage, [&](Context& c) { carry(c, 17, x, {1}); });
  expect_refused(Category::kUsage, [&](Context& c) { carry(c, 33, x, {2}); });
  expect_refused(Category::kUsage, [&](Context& c) { carry_with_cuts(c, 8, falling, x, {}); });
  expect_refused(Category::kUsage, [&](Context& c) { carry_with_cuts(c, 8, beyond, x, {}); });
}

std::uint64_t price_of(const CarryPlan& plan, const CompareOptions& options) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < plan.leaves.size(); ++i) sum += leaf_price(plan.leaves[i].bits, i == 0, options);
  for (const auto& joins : plan.levels)
    for (const auto& j : joins) sum += join_price(j.spine, options);
  return sum;
}

TEST(CarryPlan, CoversTheNumberOnceAndCutsAreSpineNodes) {
  std::mt19937_64 rng(7);
  for (int round = 0; round < 3000; ++round) {
    const auto bits = static_cast<unsigned>(1 + rng() % 64);
    const CompareOptions options{static_cast<unsigned>(3 + rng() % 6), kPrices[rng() % 3]};
    std::vector<unsigned> cuts;
    for (unsigned c = 1; c <= bits; ++c)
      if (rng() % bits == 0) cuts.push_back(c);
    while (cuts.size() > 4) cuts.pop_back();
    const CarryPlan plan = plan_carry(bits, cuts, options);
    struct Node {
      unsigned begin, end, level;
    };
    std::vector<Node> nodes;
    for (const auto& leaf : plan.leaves) {
      ASSERT_EQ(leaf.offset, nodes.empty() ? 0 : nodes.back().end);
      ASSERT_GE(leaf.bits, 1U);
      ASSERT_LE(leaf.bits, 8U);
      nodes.push_back({leaf.offset, leaf.offset + leaf.bits, 0});
    }
    ASSERT_EQ(nodes.back().end, bits);
    ASSERT_LE(plan.levels.size(), options.levels + cuts.size());
    for (unsigned level = 1; level <= plan.levels.size(); ++level) {
      std::size_t spines = 0;
      for (const auto& j : plan.levels[level - 1]) {
        Node& hi = nodes.at(j.hi);
        const Node& lo = nodes.at(j.lo);
        ASSERT_EQ(hi.begin, lo.end);
        ASSERT_LT(hi.level, level);
        ASSERT_LT(lo.level, level);
        ASSERT_EQ(j.spine, lo.begin == 0);
        spines += j.spine ? 1 : 0;
        hi = {lo.begin, hi.end, level};
      }
      ASSERT_LE(spines, 1U);
    }
    ASSERT_EQ(nodes[plan.top()].begin, 0U);
    ASSERT_EQ(plan.cuts.size(), cuts.size());
    for (std::size_t i = 0; i < cuts.size(); ++i) {
      ASSERT_EQ(nodes[plan.cuts[i]].begin, 0U);
      ASSERT_EQ(nodes[plan.cuts[i]].end, cuts[i]);
    }
  }
}

// Every composition of `bits` into leaves, and every binary tree over them.
class BruteForce {
 public:
  BruteForce(unsigned bits, std::vector<unsigned> cuts, const CompareOptions& options)
      : bits_(bits), cuts_(std::move(cuts)), options_(options) {
    for (std::uint32_t ends = 0; ends < 1U << (bits - 1); ++ends) {
      std::vector<unsigned> at{0};
      for (unsigned i = 1; i < bits; ++i)
        if ((ends >> (i - 1) & 1) != 0) at.push_back(i);
      at.push_back(bits);
      trees(at, 0, at.size() - 1, [&](std::uint64_t price, unsigned depth, std::uint64_t spine) {
        for (const unsigned c : cuts_)
          if ((spine >> c & 1) == 0) return;
        if (depth <= options_.levels) best_ = std::min(best_, price);
      });
    }
  }
  std::uint64_t best() const { return best_; }

 private:
  using Found = std::function<void(std::uint64_t, unsigned, std::uint64_t)>;  // price, depth, ends of spine nodes
  void trees(const std::vector<unsigned>& at, std::size_t from, std::size_t to, const Found& found) {
    const std::uint64_t end = from == 0 ? std::uint64_t{1} << at[to] : 0;
    if (to == from + 1) {
      if (at[to] - at[from] <= 8) found(leaf_price(at[to] - at[from], from == 0, options_), 0, end);
      return;
    }
    for (std::size_t mid = from + 1; mid < to; ++mid)
      trees(at, from, mid, [&](std::uint64_t p, unsigned d, std::uint64_t s) {
        trees(at, mid, to, [&](std::uint64_t q, unsigned e, std::uint64_t) {
          found(p + q + join_price(from == 0, options_), std::max(d, e) + 1, s | end);
        });
      });
  }
  unsigned bits_;
  std::vector<unsigned> cuts_;
  CompareOptions options_;
  std::uint64_t best_ = ~std::uint64_t{0};
};

TEST(CarryPlan, IsNeverDearerThanAnyOther) {
  for (const unsigned price : {0U, 8U, 100U, 496U})
    for (unsigned levels = 1; levels <= 5; ++levels)
      for (unsigned bits = 1; bits <= 8; ++bits)
        for (unsigned cut = 0; cut < bits; ++cut) {
          const std::vector<unsigned> cuts = cut == 0 ? std::vector<unsigned>{} : std::vector<unsigned>{cut};
          const CompareOptions options{levels, price};
          const CarryPlan plan = plan_carry(bits, cuts, options);
          if (plan.levels.size() > levels) {  // impossible in as many as that
            ASSERT_EQ(BruteForce(bits, cuts, options).best(), ~std::uint64_t{0});
            continue;
          }
          ASSERT_EQ(price_of(plan, options), BruteForce(bits, cuts, options).best()) << bits << " bits, cut " << cut;
        }
}

// What crosses the wire and the COTs, for each element.
struct Measured {
  double bits, cots;
  std::uint64_t flights;
};
Measured measured(unsigned bits, const std::vector<unsigned>& cuts, const CompareOptions& options) {
  CostMeter m;
  m.record_trace();
  carry_with_cuts_cost(m, bits, cuts, 8000, options);
  std::uint64_t bytes = 0;
  for (const Message& message : m.trace()) bytes += message.bytes;
  return {static_cast<double>(bytes) / 1000, static_cast<double>(m.cost().cots[0] + m.cost().cots[1]) / 8000,
          m.cost().flights};
}

TEST(CarryPlan, ThePriceIsWhatTheProtocolCosts) {
  for (unsigned bits = 1; bits <= 64; ++bits)
    for (unsigned levels = 3; levels <= 8; levels += 2)
      for (const unsigned price : kPrices) {
        const CompareOptions options{levels, price, kParties[bits % 2]};
        const CarryPlan plan = plan_carry(bits, {}, options);
        const Measured m = measured(bits, {}, options);
        ASSERT_EQ(16 * m.bits + m.cots * price, static_cast<double>(price_of(plan, options))) << bits;
        ASSERT_LE(m.flights, 2 + plan.levels.size());
      }
}

// By hand: leaf 0 of 3 bits, leaves of 2 bits, spine ANDs, other joins.
TEST(CarryPlan, CostsWhatTheHeaderSays) {
  const auto bits_of = [](unsigned bits, unsigned levels) { return measured(bits, {}, {.levels = levels}).bits; };
  EXPECT_EQ(bits_of(13, 3), 10 + 5 * 5 + 3 * 4 + 2 * 6);
  EXPECT_EQ(bits_of(13, 4), 10 + 5 * 5 + 4 * 4 + 1 * 6);
  EXPECT_EQ(bits_of(13, 2), 19 + 3 * 13 + 2 * 4 + 1 * 6);  // 4 | 3 | 3 3
  EXPECT_EQ(bits_of(11, 2), 10 + 5 + 2 * 13 + 2 * 4 + 1 * 6);
  EXPECT_EQ(measured(13, {}, {.levels = 3}).flights, 5U);
  EXPECT_EQ(measured(13, {8}, {.levels = 3}).flights, 5U);
  EXPECT_EQ(bits_of(1, 3), 2);
  EXPECT_EQ(measured(1, {}, {}).flights, 1U);  // no table: both parties send at once
  const Measured no_table = measured(3, {1}, {});
  EXPECT_EQ(no_table.bits, 2 + 4 + 4);
  EXPECT_EQ(no_table.cots, 1 + 2 + 2);
  EXPECT_EQ(no_table.flights, 3U);
  EXPECT_EQ(measured(0, {0}, {}).bits, 0);
}

}  // namespace
}  // namespace eqo
