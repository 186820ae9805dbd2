#include "eqo/peers/bit_triples.h"

#include "eqo/peers/peers_testing.h"

namespace eqo::peers {
namespace {

using namespace testing;

TEST(PeerTriples, AreProductsOfUniformBits) {
  PeerScript script;
  const std::vector<std::size_t> sizes{0, 1, 2, 255, 6000};
  for (const std::size_t n : sizes)
    script.add(
        [=](CostMeter& m) {
          triples_request_cost(m, n);
          triples_reply_cost(m, n);
        },
        [=](PeerContext& c) {
          const AndTriples t = c.party == Party::kServer ? transfer_triples(c, n) : TripleReceiver(c, n).finish();
          Words out(n);
          for (std::size_t i = 0; i < n; ++i) out[i] = t.a[i] | t.b[i] << 1 | t.ab[i] << 2;
          return out;
        });
  const auto results = script.run();
  for (std::size_t k = 0; k < sizes.size(); ++k) {
    const Words t = results[k].bits();
    ASSERT_EQ(t.size(), sizes[k]);
    for (const Word v : t) ASSERT_EQ(v >> 2, (v & 1) & (v >> 1 & 1));
  }
  EXPECT_LT(uniformity(results.back().server, 8), kUniform);
  EXPECT_LT(uniformity(results.back().client, 8), kUniform);
}

TEST(PeerAnd, AllShares) {
  PeerScript script;
  const std::size_t n = 1000;
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng(seed);
  Bits x(n), y(n);
  for (std::size_t i = 0; i < n; ++i) {
    x[i] = static_cast<std::uint8_t>(rng() & 1);
    y[i] = static_cast<std::uint8_t>(rng() & 1);
  }
  const SharedBits a = share_bits(x, rng), b = share_bits(y, rng);
  script.add([=](CostMeter& m) { bit_and_cost(m, n); },
             [=](PeerContext& c) { return to_words(bit_and(c, a.of(c), b.of(c))); });
  const Words got = script.run()[0].bits();
  for (std::size_t i = 0; i < n; ++i) EXPECT_EQ(got[i], x[i] & y[i]);
}

TEST(PeerAnd, CostBesideThePublicImplementation) {
  expect_bits(
      "AND", 144, [](CostMeter& m) { bit_and_cost(m, kElements); },
      [](PeerContext& c) { return to_words(bit_and(c, Bits(kElements, 1), Bits(kElements, 0))); });
}

}  // namespace
}  // namespace eqo::peers
