#include "eqo/protocols/requantize.h"

#include "eqo/protocols/carry.h"
#include "eqo/protocols/nonlinear_testing.h"

namespace eqo {
namespace {

using namespace testing;  // the test helpers

constexpr std::array<Knowledge, 3> kKnowledge{Knowledge::kSigned, Knowledge::kNonNegative, Knowledge::kGuarded};

// The numbers that are promised.
struct Range {
  std::int64_t lo, hi;
};
Range promised(Ring ring, Knowledge k) {
  const Range all{ring.to_signed(Word{1} << (ring.bits() - 1)), ring.to_signed(ring.mask() >> 1)};
  if (k == Knowledge::kNonNegative) return {0, all.hi};
  // Shifts of negative numbers are floors.
  if (k == Knowledge::kGuarded) return {all.lo >> 1, all.hi >> 1};
  return all;
}

struct Case {
  RequantizeSpec spec;
  SharedWords y;
};

// A comparison that takes trees of 2, 3 and 4 levels.
constexpr Ring kWide(20);
constexpr unsigned kShift = 10;
constexpr std::array<unsigned, 1> kCut{kShift};

std::string name(const RequantizeSpec& s) {
  return std::to_string(s.from.bits()) + " to " + std::to_string(s.to.bits()) + " bits by " + std::to_string(s.shift) +
         (s.relu ? ", ReLU" : "") + ", knowledge " + std::to_string(static_cast<int>(s.knowledge)) +
         (s.staged ? ", staged" : "") + ", " + party_name(s.last_receiver);
}

void check_all(const std::vector<Case>& cases, const CompareOptions& options, unsigned threads = 1) {
  Script script;
  for (const Case& k : cases)
    script.add([&](CostMeter& m) { requantize_cost(m, k.spec, k.y.side[0].size(), options); },
               [&](Context& c) { return requantize(c, k.spec, k.y.of(c), options); });
  const auto results = script.run(threads);
  for (std::size_t j = 0; j < cases.size(); ++j) {
    const RequantizeSpec& spec = cases[j].spec;
    const Words y = open(spec.from, cases[j].y), z = results[j].sum(spec.to);
    ASSERT_EQ(z.size(), y.size());
    for (std::size_t i = 0; i < y.size(); ++i) {
      ASSERT_EQ(z[i], requantize_plain(spec, y[i])) << name(spec) << ", " << spec.from.to_signed(y[i]);
      ASSERT_EQ(results[j].server[i], spec.to.reduce(results[j].server[i]));
      ASSERT_EQ(results[j].client[i], spec.to.reduce(results[j].client[i]));
    }
  }
}

// Every sharing of every number in a small ring, one random sharing of each in others.
SharedWords every(Ring ring, Range range, std::mt19937_64& rng) {
  Words y;
  for (std::int64_t v = range.lo; v <= range.hi; ++v) y.push_back(ring.from_signed(v));
  if (ring.bits() > 4) return share(ring, y, rng);
  SharedWords s;
  for (const Word v : y)
    for (Word a = 0; a <= ring.mask(); ++a) {
      s.side[0].push_back(a);
      s.side[1].push_back(ring.sub(v, a));
    }
  return s;
}

// All variants that differ.
std::vector<RequantizeSpec> variants(Ring from, Ring to, unsigned s) {
  std::vector<RequantizeSpec> out;
  for (const bool relu : {false, true})
    for (const Knowledge k : kKnowledge)
      for (const bool staged : {false, true})
        for (const Party last : {Party::kServer, Party::kClient}) {
          if (k == Knowledge::kGuarded && from.bits() < 2) continue;
          if (staged && (!relu || to.bits() <= from.bits() - s)) continue;
          out.push_back({from, to, s, relu, k, staged, last});
        }
  return out;
}

void exhaustive(const CompareOptions& options, unsigned longest) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng(seed);
  std::vector<Case> cases;
  for (unsigned l = 1; l <= longest; ++l)
    for (unsigned s = 0; s < l; ++s) {
      for (unsigned to = 1; to <= l + 3; ++to)
        for (const RequantizeSpec& spec : variants(Ring(l), Ring(to), s))
          cases.push_back({spec, every(Ring(l), promised(Ring(l), spec.knowledge), rng)});
      // Many in one session, but not all in memory at once.
      if (s + 1 < l && cases.size() < 1000) continue;
      check_all(cases, options);
      cases.clear();
    }
}

TEST(Requantize, ExhaustiveForSmallRings) { exhaustive({}, 7); }

// Either party begins the selection.
TEST(Requantize, ExhaustiveForOtherTrees) {
  for (const unsigned levels : {1U, 2U, 4U})
    for (const Party receiver : {Party::kServer, Party::kClient})
      exhaustive({.levels = levels, .receiver = receiver}, 5);
}

TEST(Requantize, RandomWidthsShiftsAndSizes) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng(seed);
  for (const unsigned levels : {4U, 6U}) {
    std::vector<Case> cases;
    for (const unsigned l : {2U, 7U, 8U, 15U, 16U, 17U, 31U, 32U, 33U, 63U, 64U})
      for (const std::size_t n : kSizes) {
        const Ring from(l);
        const auto s = static_cast<unsigned>(n == 7 ? l - 1 : n == 8 ? 0 : rng() % l);
        const unsigned m = l - s;
        for (const unsigned to : {1U, m, std::min(64U, m + 1), static_cast<unsigned>(1 + rng() % 64), 64U}) {
          const std::vector<RequantizeSpec> all = variants(from, Ring(to), s);
          const RequantizeSpec spec = all[rng() % all.size()];
          const Range range = promised(from, spec.knowledge);
          cases.push_back({spec, share(from, numbers(from, range.lo, range.hi, n, rng), rng)});
        }
      }
    check_all(cases, {.levels = levels}, 2);
  }
}

TEST(Requantize, SharesAreUniform) {
  std::mt19937_64 rng(4);
  const std::size_t n = 40000;
  const SharedWords y = share(Ring(7), Words(n, 29), rng);
  Script script;
  std::vector<RequantizeSpec> specs;
  for (const unsigned to : {3U, 5U, 7U})
    for (const RequantizeSpec& spec : variants(Ring(7), Ring(to), 2))
      if (spec.last_receiver == Party::kServer) specs.push_back(spec);
  for (const RequantizeSpec& spec : specs)
    script.add([=](CostMeter& m) { requantize_cost(m, spec, n, {}); },
               [&](Context& c) { return requantize(c, spec, y.of(c), {}); });
  const auto results = script.run();
  for (std::size_t j = 0; j < specs.size(); ++j) {
    const std::size_t bins = specs[j].to.mask() + 1;
    EXPECT_LT(uniformity(results[j].server, bins), kUniform) << name(specs[j]);
    EXPECT_LT(uniformity(results[j].client, bins), kUniform) << name(specs[j]);
  }
}

// Fixed shares of one number: the product with d is re-randomised at both parties.
TEST(Requantize, ReluIsFreshlyShared) {
  const std::size_t n = 40000;
  const SharedWords y{{Words(n, 90), Words(n, 70)}};  // 160 mod 128 = 32
  for (const unsigned levels : {2U, 3U})
    for (const bool staged : {false, true}) {
      const RequantizeSpec spec{Ring(7), Ring(staged ? 5 : 6), 2, true, Knowledge::kSigned, staged};
      Script script;
      script.add([=](CostMeter& m) { requantize_cost(m, spec, n, {.levels = levels}); },
                 [&](Context& c) { return requantize(c, spec, y.of(c), {.levels = levels}); });
      const Opened r = script.run().front();
      EXPECT_LT(uniformity(r.server, spec.to.mask() + 1), kUniform);
      EXPECT_LT(uniformity(r.client, spec.to.mask() + 1), kUniform);
    }
}

std::uint64_t bits_per_element(const std::function<void(CostMeter&, std::uint64_t)>& cost) {
  constexpr std::uint64_t kElements = 8000;
  CostMeter m;
  m.record_trace();
  cost(m, kElements);
  std::uint64_t bytes = 0;
  for (const Message& message : m.trace()) bytes += message.bytes;
  return 8 * bytes / kElements;
}

TEST(Requantize, CostsWhatTheHeaderSays) {
  const auto bits = [](const RequantizeSpec& spec) {
    return bits_per_element([&](CostMeter& m, std::uint64_t n) { requantize_cost(m, spec, n, {}); });
  };
  const auto tree = [](unsigned width, std::vector<unsigned> cuts) {
    return bits_per_element([&](CostMeter& m, std::uint64_t n) { carry_with_cuts_cost(m, width, cuts, n, {}); });
  };
  for (const unsigned l : {12U, 14U, 16U, 20U}) {
    const unsigned s = l / 2, m = l - s;
    const Ring from(l), narrow(m), back(l);
    RequantizeSpec spec{from, back, s, true};
    EXPECT_EQ(bits(spec), tree(l - 1, {s}) + m + 2 * (1 + m) + 1 + (l - m));
    spec.staged = false;
    EXPECT_EQ(bits(spec), tree(l - 1, {s}) + l + 1 + (l - m) + 2 * (1 + l));
    spec.to = narrow;
    EXPECT_EQ(bits(spec), tree(l - 1, {s}) + m + 2 * (1 + m));
    spec.relu = false;
    EXPECT_EQ(bits(spec), tree(s, {}) + m);
    spec.to = back;
    EXPECT_EQ(bits(spec), tree(l, {s}) + l + (l - m));
    spec.knowledge = Knowledge::kGuarded;
    EXPECT_EQ(bits(spec), tree(s, {}) + l + 1 + (l - m));
    spec.knowledge = Knowledge::kNonNegative;
    EXPECT_EQ(bits(spec), tree(s, {}) + l + 1 + (l - m));
    spec.relu = true;
    EXPECT_EQ(bits(spec), tree(s, {}) + l + 1 + (l - m));
  }
  EXPECT_EQ(bits({Ring(16), Ring(16), 0, true}), tree(15, {}) + 2 * 17);
  EXPECT_EQ(bits({Ring(16), Ring(9), 0, false}), 0U);
}

// A chain of blocks: the client's product rows, then the activation. Its last message travels with the next rows.
std::uint64_t flights_of_blocks(const RequantizeSpec& spec, const CompareOptions& options, unsigned blocks) {
  CostMeter m;
  for (unsigned i = 0; i < blocks; ++i) {
    m.send(Party::kClient, 1000);
    requantize_cost(m, spec, 1000, options);
  }
  return m.cost().flights;
}

TEST(Requantize, FlightsByTheDepthOfTheTree) {
  struct Row {
    unsigned levels;
    std::uint64_t staged, direct, narrow;  // of one block
    std::uint64_t staged_alone;            // of the activation with its last message
  };
  for (const Row& row : {Row{2, 6, 6, 6, 7}, Row{3, 8, 6, 6, 9}, Row{4, 8, 8, 8, 9}}) {
    const CompareOptions options{.levels = row.levels};
    RequantizeSpec spec{kWide, kWide, kShift, true};
    CostMeter tree;
    carry_with_cuts_cost(tree, kWide.bits() - 1, kCut, 1, options);
    ASSERT_EQ(tree.cost().flights, row.levels + 2);
    const auto block = [&] { return flights_of_blocks(spec, options, 6) - flights_of_blocks(spec, options, 5); };
    EXPECT_EQ(flights_of_blocks(spec, options, 1), row.staged_alone) << row.levels;
    EXPECT_EQ(block(), row.staged) << row.levels;
    spec.staged = false;
    EXPECT_EQ(block(), row.direct) << row.levels;
    spec.to = Ring(kWide.bits() - kShift);
    EXPECT_EQ(block(), row.narrow) << row.levels;
  }
}

TEST(Requantize, FlightsDontGrowWithTheTensor) {
  const auto flights = [](std::uint64_t n) {
    CostMeter m;
    requantize_cost(m, {Ring(20), Ring(20), 10, true}, n, {});
    return m.cost().flights;
  };
  EXPECT_EQ(flights(1), flights(1000000));
}

TEST(Requantize, RefusesBadSpecifications) {
  const auto refused = [](const RequantizeSpec& spec) {
    expect_refused(Category::kUsage, [&](Context& c) { requantize(c, spec, Words(3), {}); });
    CostMeter m;
    EXPECT_THROW(requantize_cost(m, spec, 3, {}), Error);
  };
  refused({Ring(8), Ring(8), 8, true});
  refused({Ring(8), Ring(8), 64, false});
  refused({Ring(8), Ring(8), 2, true, Knowledge::kUnsigned});
  refused({Ring(1), Ring(8), 0, false, Knowledge::kGuarded});
}

}  // namespace
}  // namespace eqo
