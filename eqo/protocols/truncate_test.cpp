#include "eqo/protocols/truncate.h"

#include "eqo/kernels/elementwise.h"
#include "eqo/protocols/nonlinear_testing.h"

namespace eqo {
namespace {

using namespace testing;  // the test helpers

constexpr std::array<Knowledge, 4> kKnowledge{Knowledge::kUnsigned, Knowledge::kSigned, Knowledge::kNonNegative,
                                              Knowledge::kGuarded};

bool promised(Ring ring, Word x, Knowledge k) {
  const std::int64_t v = ring.to_signed(x);
  if (k == Knowledge::kNonNegative) return v >= 0;
  if (k != Knowledge::kGuarded) return true;
  if (ring.bits() < 2) return v == 0;
  const std::int64_t quarter = std::int64_t{1} << (ring.bits() - 2);
  return v >= -quarter && v < quarter;
}

struct Case {
  Ring ring;
  unsigned s;
  Knowledge knowledge;
  SharedWords x;
};

void check_all(const std::vector<Case>& cases, const CompareOptions& options, unsigned threads = 1) {
  Script script;
  for (const Case& k : cases) {
    const std::size_t n = k.x.side[0].size();
    const Party receiver = k.s % 2 == 0 ? Party::kServer : Party::kClient;
    script.add([&, n](CostMeter& m) { truncate_cost(m, k.ring, n, k.s, k.knowledge, options); },
               [&](Context& c) { return truncate(c, k.ring, k.x.of(c), k.s, k.knowledge, options); });
    script.add([&, n, receiver](CostMeter& m) { truncate_reduce_cost(m, k.ring, n, k.s, options, receiver); },
               [&, receiver](Context& c) { return truncate_reduce(c, k.ring, k.x.of(c), k.s, options, receiver); });
  }
  const auto results = script.run(threads);
  for (std::size_t j = 0; j < cases.size(); ++j) {
    const Case& k = cases[j];
    const Words x = open(k.ring, k.x);
    const Words y = results[2 * j].sum(k.ring), z = results[2 * j + 1].sum(Ring(k.ring.bits() - k.s));
    ASSERT_EQ(y.size(), x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(z[i], truncate_reduce_plain(k.ring, x[i], k.s));
      ASSERT_EQ(results[2 * j].server[i], k.ring.reduce(results[2 * j].server[i]));
      if (!promised(k.ring, x[i], k.knowledge)) continue;
      const Word want = k.knowledge == Knowledge::kUnsigned ? truncate_unsigned_plain(k.ring, x[i], k.s)
                                                            : truncate_plain(k.ring, x[i], k.s);
      ASSERT_EQ(y[i], want) << k.ring.bits() << " bits by " << k.s << ", knowledge " << static_cast<int>(k.knowledge)
                            << ", " << x[i];
    }
  }
}

TEST(Truncate, ExhaustiveForSmallRings) {
  for (const unsigned levels : {1U, 2U, 3U, 4U, 5U}) {
    std::vector<Case> cases;
    for (unsigned l = 1; l <= (levels == 4 ? 6U : 5U); ++l)
      for (unsigned s = 0; s < l; ++s)
        for (const Knowledge k : kKnowledge) cases.push_back({Ring(l), s, k, all_shares(Ring(l))});
    check_all(cases, {levels});
  }
}

TEST(Truncate, RandomWidthsShiftsAndSizes) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng(seed);
  for (unsigned levels = 3; levels <= 6; levels += 3) {
    std::vector<Case> cases;
    for (const unsigned l : kWidths)
      for (const std::size_t n : kSizes)
        for (const Knowledge k : kKnowledge) {
          const Ring ring(l);
          std::int64_t lo = ring.to_signed(Word{1} << (l - 1)), hi = ring.to_signed(ring.mask() >> 1);
          if (k == Knowledge::kNonNegative) lo = 0;
          if (k == Knowledge::kGuarded) {
            lo = l < 2 ? 0 : -(std::int64_t{1} << (l - 2));
            hi = l < 2 ? 0 : (std::int64_t{1} << (l - 2)) - 1;
          }
          for (const Word x : numbers(ring, lo, hi, 50, rng)) ASSERT_TRUE(promised(ring, x, k));
          const auto s = static_cast<unsigned>(n == 7 ? l - 1 : rng() % l);
          cases.push_back({ring, s, k, share(ring, numbers(ring, lo, hi, n, rng), rng)});
        }
    check_all(cases, {levels}, 2);
  }
}

TEST(Truncate, SharesAreUniform) {
  std::mt19937_64 rng(4);
  const std::size_t n = 40000;
  const Ring ring(6);
  const SharedWords x = share(ring, Words(n, 29), rng);
  Script script;
  for (const Knowledge k : kKnowledge)
    script.add([=](CostMeter& m) { truncate_cost(m, ring, n, 2, k, {}); },
               [&, k](Context& c) { return truncate(c, ring, x.of(c), 2, k, {}); });
  for (const Opened& r : script.run()) {
    EXPECT_LT(uniformity(r.server, 64), kUniform);
    EXPECT_LT(uniformity(r.client, 64), kUniform);
  }
}

TEST(Truncate, CostsWhatTheHeaderSays) {
  const auto bits_of = [](auto cost) {
    CostMeter m;
    m.record_trace();
    cost(m);
    std::uint64_t bytes = 0;
    for (const Message& message : m.trace()) bytes += message.bytes;
    return 8 * bytes / 8000;
  };
  const auto carry8 = 10U + 4 + 9 + 9;  // leaf 0 of 3 bits; leaves of 1, 2 and 2 bits with an AND each
  EXPECT_EQ(bits_of([](CostMeter& m) { truncate_cost(m, Ring(16), 8000, 8, Knowledge::kNonNegative, {}); }),
            carry8 + 16 + 9);
  EXPECT_EQ(bits_of([](CostMeter& m) { truncate_reduce_cost(m, Ring(16), 8000, 8, {}); }), carry8 + 8);
  EXPECT_EQ(bits_of([](CostMeter& m) { truncate_cost(m, Ring(16), 8000, 8, Knowledge::kSigned, {}); }),
            10U + 9 + (11 + 4) + (4 * 5 + 3 * 6 + 4) + 16 + 8);  // leaves of 3 | 2 | 1 2 | 2 2 2 2 bits, cut at 8
}

TEST(Truncate, RefusesBadShifts) {
  expect_refused(Category::kUsage, [](Context& c) { truncate(c, Ring(8), Words(3), 8, Knowledge::kSigned, {}); });
  expect_refused(Category::kUsage, [](Context& c) { truncate_reduce(c, Ring(8), Words(3), 8, {}); });
  CostMeter m;
  EXPECT_THROW(truncate_cost(m, Ring(8), 3, 9, Knowledge::kSigned, {}), Error);
}

}  // namespace
}  // namespace eqo
