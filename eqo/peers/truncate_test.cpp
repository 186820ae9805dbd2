#include "eqo/peers/truncate.h"

#include "eqo/peers/peers_testing.h"

namespace eqo::peers {
namespace {

using namespace testing;

struct Case {
  Ring ring;
  unsigned shift;
  Knowledge knowledge;
  SharedWords x;
};

bool allowed(const Case& c, Word value) {
  const std::int64_t v = c.ring.to_signed(value), half = std::int64_t{1} << (c.ring.bits() - 1);
  if (c.knowledge == Knowledge::kNonNegative) return v >= 0;
  return c.knowledge != Knowledge::kGuarded || (v >= -half / 2 && v < half / 2);
}

void run(const std::vector<Case>& cases, unsigned threads) {
  PeerScript script;
  for (const Case& k : cases) {
    script.add([=](CostMeter& m) { truncate_cost(m, k.ring, k.x.side[0].size(), k.shift, k.knowledge); },
               [=](PeerContext& c) { return truncate(c, k.ring, k.x.of(c), k.shift, k.knowledge); });
    script.add([=](CostMeter& m) { truncate_reduce_cost(m, k.ring, k.x.side[0].size(), k.shift); },
               [=](PeerContext& c) { return truncate_reduce(c, k.ring, k.x.of(c), k.shift); });
  }
  const auto results = script.run(threads);
  for (std::size_t k = 0; k < cases.size(); ++k) {
    const Case& c = cases[k];
    const Ring narrow(c.ring.bits() - c.shift);
    const Words value = open(c.ring, c.x), got = results[2 * k].sum(c.ring), reduced = results[2 * k + 1].sum(narrow);
    ASSERT_EQ(got.size(), value.size());
    for (std::size_t i = 0; i < value.size(); ++i) {
      ASSERT_EQ(reduced[i], value[i] >> c.shift) << c.ring.bits() << " by " << c.shift;
      if (!allowed(c, value[i])) continue;
      const Word want = c.knowledge == Knowledge::kUnsigned ? value[i] >> c.shift
                                                            : c.ring.from_signed(c.ring.to_signed(value[i]) >> c.shift);
      ASSERT_EQ(got[i], want) << c.ring.bits() << " by " << c.shift << ", knowledge " << int(c.knowledge);
    }
  }
}

constexpr std::array kAll{Knowledge::kUnsigned, Knowledge::kSigned, Knowledge::kNonNegative, Knowledge::kGuarded};

TEST(PeerTruncate, ExhaustiveForSmallRings) {
  std::vector<Case> cases;
  for (unsigned l = 2; l <= 5; ++l)
    for (unsigned s = 0; s < l; ++s)
      for (const Knowledge k : kAll) cases.push_back({Ring(l), s, k, all_shares(Ring(l))});
  run(cases, 1);
}

TEST(PeerTruncate, RandomWidths) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng(seed);
  std::vector<Case> cases;
  for (unsigned l = 6; l <= 64; l += 8)
    for (const Knowledge k : kAll)
      cases.push_back({Ring(l), static_cast<unsigned>(rng() % l), k, share(Ring(l), numbers(Ring(l), 200, rng), rng)});
  run(cases, 2);
}

TEST(PeerTruncate, CostBesideThePublicImplementation) {
  const Words x(kElements, 3);
  const auto row = [&](unsigned l, unsigned s, Knowledge k, double published) {
    expect_bits(
        "truncation " + std::to_string(l) + "," + std::to_string(s) +
            (k == Knowledge::kNonNegative ? ", sign known" : ""),
        published, [=](CostMeter& m) { truncate_cost(m, Ring(l), kElements, s, k); },
        [&, l, s, k](PeerContext& c) { return truncate(c, Ring(l), x, s, k); });
  };
  row(20, 8, Knowledge::kSigned, 2592);
  row(16, 8, Knowledge::kSigned, 2012);
  row(32, 12, Knowledge::kSigned, 4196);
  row(20, 8, Knowledge::kNonNegative, 1268);
  row(16, 8, Knowledge::kNonNegative, 1264);
  row(32, 12, Knowledge::kNonNegative, 1720);
  for (const auto& [l, s, published] : std::vector<std::array<unsigned, 3>>{{20, 8, 864}, {16, 8, 860}, {32, 12, 1308}})
    expect_bits(
        "truncate-and-reduce " + std::to_string(l) + "," + std::to_string(s), published,
        [l = l, s = s](CostMeter& m) { truncate_reduce_cost(m, Ring(l), kElements, s); },
        [&, l = l, s = s](PeerContext& c) { return truncate_reduce(c, Ring(l), x, s); });
}

}  // namespace
}  // namespace eqo::peers
