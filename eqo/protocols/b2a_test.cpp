#include "eqo/protocols/b2a.h"

#include "eqo/protocols/nonlinear_testing.h"

namespace eqo {
namespace {

using namespace testing;  // the test helpers

SharedBits random_shares(std::size_t n, std::mt19937_64& rng) {
  SharedBits s{{Bits(n), Bits(n)}};
  for (auto& side : s.side)
    for (auto& v : side) v = static_cast<std::uint8_t>(rng() & 1);
  for (std::size_t i = 0; i < std::min<std::size_t>(4, n); ++i) {
    s.side[0][i] = static_cast<std::uint8_t>(i & 1);
    s.side[1][i] = static_cast<std::uint8_t>(i >> 1);
  }
  return s;
}

TEST(B2a, EveryRingSizeAndReceiver) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng(seed);
  Script script;
  struct Case {
    Ring ring;
    SharedBits x;
    bool is_or;
  };
  std::vector<Case> cases;
  for (unsigned l = 1; l <= 64; ++l) {
    const std::size_t n = kSizes[l % kSizes.size()];
    const Party receiver = l % 2 == 0 ? Party::kClient : Party::kServer;
    const SharedBits x = random_shares(n, rng);
    const Ring ring(l);
    script.add([=](CostMeter& m) { b2a_cost(m, ring, n, receiver); },
               [=](Context& c) { return b2a(c, ring, x.of(c), receiver); });
    cases.push_back({ring, x, false});
    script.add([=](CostMeter& m) { private_or_cost(m, ring, n, receiver); },
               [=](Context& c) { return private_or(c, ring, x.of(c), receiver); });
    cases.push_back({ring, x, true});
  }
  const std::vector<Opened> results = script.run();
  for (std::size_t k = 0; k < cases.size(); ++k) {
    const Words got = results[k].sum(cases[k].ring);
    for (std::size_t i = 0; i < got.size(); ++i) {
      const unsigned a = cases[k].x.side[0][i], b = cases[k].x.side[1][i];
      ASSERT_EQ(got[i], cases[k].is_or ? (a | b) : (a ^ b)) << cases[k].ring.bits();
      ASSERT_EQ(results[k].server[i], cases[k].ring.reduce(results[k].server[i]));
      ASSERT_EQ(results[k].client[i], cases[k].ring.reduce(results[k].client[i]));
    }
  }
}

TEST(B2a, SeveralShareTheirFlights) {
  std::mt19937_64 rng(11);
  const std::size_t n = 100;
  const SharedBits x = random_shares(n, rng);
  Script script;
  const std::array<BitTermShape, 4> shapes{
      BitTermShape{BitTerm::Kind::kXor, Ring(9), n}, BitTermShape{BitTerm::Kind::kOr, Ring(3), n},
      BitTermShape{BitTerm::Kind::kXor, Ring(1), n}, BitTermShape{BitTerm::Kind::kXor, Ring(8), 0}};
  script.add([&](CostMeter& m) { bits_to_ring_cost(m, shapes); },
             [&](Context& c) {
               const std::array<BitTerm, 4> terms{
                   BitTerm{BitTerm::Kind::kXor, Ring(9), x.of(c)}, BitTerm{BitTerm::Kind::kOr, Ring(3), x.of(c)},
                   BitTerm{BitTerm::Kind::kXor, Ring(1), x.of(c)}, BitTerm{BitTerm::Kind::kXor, Ring(8), {}}};
               Words all;
               for (const Words& w : bits_to_ring(c, terms)) all.insert(all.end(), w.begin(), w.end());
               return all;
             });
  const Opened r = script.run().front();
  ASSERT_EQ(r.server.size(), 3 * n);
  for (std::size_t i = 0; i < n; ++i) {
    const unsigned a = x.side[0][i], b = x.side[1][i];
    ASSERT_EQ(Ring(9).add(r.server[i], r.client[i]), a ^ b);
    ASSERT_EQ(Ring(3).add(r.server[n + i], r.client[n + i]), a | b);
    ASSERT_EQ(Ring(1).add(r.server[2 * n + i], r.client[2 * n + i]), a ^ b);
  }
  CostMeter m;
  bits_to_ring_cost(m, shapes);
  EXPECT_EQ(m.cost().flights, 2U);
}

TEST(B2a, CostsOneBitARingBit) {
  CostMeter m;
  m.record_trace();
  b2a_cost(m, Ring(12), 800);
  ASSERT_EQ(m.trace().size(), 2U);
  EXPECT_EQ(8 * (m.trace()[0].bytes + m.trace()[1].bytes), 12 * 800U);
  EXPECT_EQ(m.trace()[0].from, Party::kClient);
  CostMeter free;
  b2a_cost(free, Ring(1), 800);
  EXPECT_EQ(free.cost(), Cost{});
}

TEST(B2a, SharesOfFreshBitsAreUniform) {
  std::mt19937_64 rng(12);
  const std::size_t n = 40000;
  const SharedBits x = share_bits(Bits(n, 1), rng);
  Script script;
  script.add([=](CostMeter& m) { b2a_cost(m, Ring(4), n); }, [&](Context& c) { return b2a(c, Ring(4), x.of(c)); });
  const Opened r = script.run().front();
  EXPECT_LT(uniformity(r.server, 16), kUniform);
  EXPECT_LT(uniformity(r.client, 16), kUniform);
}

}  // namespace
}  // namespace eqo
