#include "eqo/protocols/extend.h"

#include "eqo/kernels/elementwise.h"
#include "eqo/protocols/nonlinear_testing.h"

namespace eqo {
namespace {

using namespace testing;  // the test helpers

struct Case {
  Ring from, to;
  Knowledge knowledge;
  SharedWords x;
};

bool promised(Ring ring, Word x, Knowledge k) {
  const std::int64_t v = ring.to_signed(x);
  if (k == Knowledge::kNonNegative) return v >= 0;
  if (k != Knowledge::kGuarded) return true;
  const std::int64_t quarter = std::int64_t{1} << (ring.bits() - 2);
  return v >= -quarter && v < quarter;
}

void check_all(const std::vector<Case>& cases, const CompareOptions& options, unsigned threads = 1) {
  Script script;
  for (const Case& k : cases) {
    const std::size_t n = k.x.side[0].size();
    const Party receiver = k.to.bits() % 2 == 0 ? Party::kServer : Party::kClient;
    script.add(
        [&, n, receiver](CostMeter& m) { extend_cost(m, k.from, k.to, n, k.knowledge, options, receiver); },
        [&, receiver](Context& c) { return extend(c, k.from, k.to, k.x.of(c), k.knowledge, options, receiver); });
  }
  const auto results = script.run(threads);
  for (std::size_t j = 0; j < cases.size(); ++j) {
    const Case& k = cases[j];
    const Words x = open(k.from, k.x), y = results[j].sum(k.to);
    ASSERT_EQ(y.size(), x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (!promised(k.from, x[i], k.knowledge)) continue;
      const Word want = k.knowledge == Knowledge::kUnsigned ? extend_unsigned_plain(k.from, k.to, x[i])
                                                            : extend_plain(k.from, k.to, x[i]);
      ASSERT_EQ(y[i], want) << k.from.bits() << " to " << k.to.bits() << ", knowledge " << static_cast<int>(k.knowledge)
                            << ", " << x[i];
    }
  }
}

constexpr std::array<Knowledge, 4> kKnowledge{Knowledge::kUnsigned, Knowledge::kSigned, Knowledge::kNonNegative,
                                              Knowledge::kGuarded};

TEST(Extend, ExhaustiveForSmallRings) {
  for (const unsigned levels : {1U, 4U}) {
    std::vector<Case> cases;
    for (unsigned m = 1; m <= 6; ++m)
      for (unsigned n = m; n <= m + 4; ++n)
        for (const Knowledge k : kKnowledge)
          if (m >= 2 || k != Knowledge::kGuarded) cases.push_back({Ring(m), Ring(n), k, all_shares(Ring(m))});
    check_all(cases, {levels});
  }
}

TEST(Extend, RandomWidthsAndSizes) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng(seed);
  std::vector<Case> cases;
  for (const unsigned m : kWidths)
    for (const std::size_t n : kSizes)
      for (const Knowledge k : kKnowledge) {
        if (m < 2 && k == Knowledge::kGuarded) continue;
        const Ring from(m);
        std::int64_t lo = from.to_signed(Word{1} << (m - 1)), hi = from.to_signed(from.mask() >> 1);
        if (k == Knowledge::kNonNegative) lo = 0;
        if (k == Knowledge::kGuarded) {
          hi = (std::int64_t{1} << (m - 2)) - 1;
          lo = -hi - 1;
        }
        const Ring to(static_cast<unsigned>(n == 9 ? 64 : m + rng() % (65 - m)));
        cases.push_back({from, to, k, share(from, numbers(from, lo, hi, n, rng), rng)});
      }
  check_all(cases, {5}, 2);
}

TEST(Extend, KnownSignIsOneOt) {
  CostMeter m;
  m.record_trace();
  extend_cost(m, Ring(8), Ring(20), 800, Knowledge::kNonNegative, {}, Party::kServer);
  ASSERT_EQ(m.trace().size(), 2U);
  EXPECT_EQ(m.trace()[1].from, Party::kClient);  // its message may travel with the client's next one
  EXPECT_EQ(8 * (m.trace()[0].bytes + m.trace()[1].bytes), (1 + 12) * 800U);
  EXPECT_EQ(m.cost().cots[0] + m.cost().cots[1], 800U);
}

TEST(Extend, TheHighBitsAreUniform) {
  std::mt19937_64 rng(9);
  const std::size_t n = 40000;
  const SharedWords x = share(Ring(3), Words(n, 1), rng);
  Script script;
  for (const Knowledge k : kKnowledge)
    script.add([=](CostMeter& m) { extend_cost(m, Ring(3), Ring(6), n, k, {}); },
               [&, k](Context& c) { return extend(c, Ring(3), Ring(6), x.of(c), k, {}); });
  for (const Opened& r : script.run()) {
    EXPECT_LT(uniformity(r.server, 64), kUniform);
    EXPECT_LT(uniformity(r.client, 64), kUniform);
  }
}

TEST(Extend, ReduceIsLocal) {
  std::mt19937_64 rng(10);
  const SharedWords x = share(Ring(20), numbers(Ring(20), 100, rng), rng);
  Script script;
  script.add([](CostMeter&) {}, [&](Context& c) { return reduce(c, Ring(7), x.of(c)); });
  const Words got = script.run().front().sum(Ring(7)), want = open(Ring(20), x);
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], Ring(7).reduce(want[i]));
}

TEST(Extend, KnowledgeOfAnInterval) {
  EXPECT_EQ(knowledge_of(Ring(8), 0, 127), Knowledge::kNonNegative);
  EXPECT_EQ(knowledge_of(Ring(8), -64, 63), Knowledge::kGuarded);
  EXPECT_EQ(knowledge_of(Ring(8), -65, 0), Knowledge::kSigned);
  EXPECT_EQ(knowledge_of(Ring(8), -1, 64), Knowledge::kSigned);
  EXPECT_EQ(knowledge_of(Ring(1), -1, 0), Knowledge::kSigned);
}

TEST(Extend, RefusesBadRings) {
  expect_refused(Category::kUsage, [](Context& c) { extend(c, Ring(8), Ring(7), Words(3), Knowledge::kSigned, {}); });
  expect_refused(Category::kUsage, [](Context& c) { extend(c, Ring(1), Ring(7), Words(3), Knowledge::kGuarded, {}); });
}

}  // namespace
}  // namespace eqo
