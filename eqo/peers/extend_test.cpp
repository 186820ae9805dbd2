#include "eqo/peers/extend.h"

#include "eqo/peers/peers_testing.h"

namespace eqo::peers {
namespace {

using namespace testing;

struct Case {
  Ring from, to;
  Knowledge knowledge;
  SharedWords x;
};

Word expected(const Case& c, Word value) {
  return c.knowledge == Knowledge::kUnsigned ? value : c.to.from_signed(c.from.to_signed(value));
}

bool allowed(const Case& c, Word value) {
  const std::int64_t v = c.from.to_signed(value);
  return c.knowledge == Knowledge::kUnsigned || c.knowledge == Knowledge::kSigned ||
         knowledge_of(c.from, v, v) == c.knowledge ||
         (c.knowledge == Knowledge::kGuarded && v >= 0 && v < std::int64_t{1} << (c.from.bits() - 2));
}

void run(const std::vector<Case>& cases, unsigned threads) {
  PeerScript script;
  for (const Case& k : cases)
    script.add([=](CostMeter& m) { extend_cost(m, k.from, k.to, k.x.side[0].size(), k.knowledge); },
               [=](PeerContext& c) { return extend(c, k.from, k.to, k.x.of(c), k.knowledge); });
  const auto results = script.run(threads);
  std::size_t checked = 0;
  for (std::size_t k = 0; k < cases.size(); ++k) {
    const Words value = open(cases[k].from, cases[k].x), got = results[k].sum(cases[k].to);
    ASSERT_EQ(got.size(), value.size());
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (!allowed(cases[k], value[i])) continue;
      ++checked;
      ASSERT_EQ(got[i], expected(cases[k], value[i]))
          << cases[k].from.bits() << " to " << cases[k].to.bits() << ", knowledge " << int(cases[k].knowledge);
    }
  }
  EXPECT_GT(checked, 100U);
}

TEST(PeerExtend, ExhaustiveForSmallRings) {
  std::vector<Case> cases;
  for (unsigned m = 1; m <= 5; ++m)
    for (const unsigned more : {0U, 1U, 2U, 7U, 40U})
      for (const Knowledge k : {Knowledge::kUnsigned, Knowledge::kSigned, Knowledge::kNonNegative, Knowledge::kGuarded})
        if (m >= 2 || k != Knowledge::kGuarded) cases.push_back({Ring(m), Ring(m + more), k, all_shares(Ring(m))});
  run(cases, 1);
}

TEST(PeerExtend, RandomWidths) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng(seed);
  std::vector<Case> cases;
  for (unsigned m = 2; m <= 50; m += 7)
    for (const Knowledge k : {Knowledge::kUnsigned, Knowledge::kSigned, Knowledge::kNonNegative, Knowledge::kGuarded})
      cases.push_back({Ring(m), Ring(static_cast<unsigned>(m + 1 + rng() % (64 - m))), k,
                       share(Ring(m), numbers(Ring(m), 300, rng), rng)});
  run(cases, 2);
}

TEST(PeerExtend, Refusals) {
  const auto refused = [](Ring from, Ring to, Knowledge k) {
    CostMeter meter;
    try {
      extend_cost(meter, from, to, 1, k);
    } catch (const Error& e) {
      return e.category() == Category::kUsage;
    }
    return false;
  };
  EXPECT_TRUE(refused(Ring(5), Ring(4), Knowledge::kSigned));
  EXPECT_TRUE(refused(Ring(1), Ring(4), Knowledge::kGuarded));
}

TEST(PeerExtend, CostBesideThePublicImplementation) {
  const Words x(kElements, 3);
  const auto row = [&](unsigned from, unsigned to, Knowledge k, double published) {
    expect_bits(
        "extension " + std::to_string(from) + " to " + std::to_string(to) +
            (k == Knowledge::kNonNegative ? ", sign known" : ""),
        published, [=](CostMeter& m) { extend_cost(m, Ring(from), Ring(to), kElements, k); },
        [&, from, to, k](PeerContext& c) { return extend(c, Ring(from), Ring(to), x, k); });
  };
  row(8, 16, Knowledge::kSigned, 860);
  row(4, 12, Knowledge::kSigned, 408);
  row(16, 32, Knowledge::kSigned, 1888);
  row(8, 16, Knowledge::kNonNegative, 396);
  row(4, 12, Knowledge::kNonNegative, 396);
  row(16, 32, Knowledge::kNonNegative, 404);
}

}  // namespace
}  // namespace eqo::peers
