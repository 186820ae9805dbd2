#include "eqo/protocols/mux.h"

#include "eqo/protocols/nonlinear_testing.h"

namespace eqo {
namespace {

using namespace testing;  // the test helpers

void check(Ring ring, const SharedBits& b, const SharedWords& x, const Opened& r) {
  const Words value = open(ring, x), got = r.sum(ring);
  ASSERT_EQ(got.size(), value.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    const bool bit = (b.side[0][i] ^ b.side[1][i]) != 0;
    ASSERT_EQ(got[i], bit ? value[i] : 0) << ring.bits();
    ASSERT_EQ(r.server[i], ring.reduce(r.server[i]));
    ASSERT_EQ(r.client[i], ring.reduce(r.client[i]));
  }
}

TEST(Mux, ExhaustiveForSmallRings) {
  Script script;
  std::vector<std::pair<SharedBits, SharedWords>> cases;
  std::vector<Ring> rings;
  for (unsigned l = 1; l <= 5; ++l)
    for (unsigned bits = 0; bits < 4; ++bits) {
      const SharedWords x = all_shares(Ring(l));
      const std::size_t n = x.side[0].size();
      const SharedBits b{{Bits(n, static_cast<std::uint8_t>(bits & 1)), Bits(n, static_cast<std::uint8_t>(bits >> 1))}};
      script.add([=](CostMeter& m) { mux_cost(m, Ring(l), n); },
                 [=](Context& c) { return mux(c, Ring(l), b.of(c), x.of(c)); });
      cases.emplace_back(b, x);
      rings.emplace_back(l);
    }
  const auto results = script.run();
  for (std::size_t k = 0; k < cases.size(); ++k) check(rings[k], cases[k].first, cases[k].second, results[k]);
}

TEST(Mux, RandomWidthsAndSizes) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng(seed);
  Script script;
  std::vector<std::pair<SharedBits, SharedWords>> cases;
  std::vector<Ring> rings;
  for (const unsigned l : kWidths)
    for (const std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{8}, std::size_t{9},
                                std::size_t{1000}, std::size_t{20000}}) {
      Bits bit(n);
      for (auto& v : bit) v = static_cast<std::uint8_t>(rng() & 1);
      const SharedBits b = share_bits(bit, rng);
      const SharedWords x = share(Ring(l), numbers(Ring(l), n, rng), rng);
      script.add([=](CostMeter& m) { mux_cost(m, Ring(l), n); },
                 [=](Context& c) { return mux(c, Ring(l), b.of(c), x.of(c)); });
      cases.emplace_back(b, x);
      rings.emplace_back(l);
    }
  const auto results = script.run(2);
  for (std::size_t k = 0; k < cases.size(); ++k) check(rings[k], cases[k].first, cases[k].second, results[k]);
}

TEST(Mux, CostAndUniformity) {
  CostMeter m;
  m.record_trace();
  mux_cost(m, Ring(9), 800);
  std::uint64_t bytes = 0;
  for (const Message& message : m.trace()) bytes += message.bytes;
  EXPECT_EQ(8 * bytes, 2 * (1 + 9) * 800U);
  EXPECT_EQ(m.cost().flights, 2U);

  const std::size_t n = 40000;
  const SharedBits b{{Bits(n, 1), Bits(n, 1)}};
  const SharedWords x{{Words(n, 3), Words(n, 9)}};
  Script script;
  script.add([=](CostMeter& meter) { mux_cost(meter, Ring(4), n); },
             [&](Context& c) { return mux(c, Ring(4), b.of(c), x.of(c)); });
  const Opened r = script.run().front();
  EXPECT_LT(uniformity(r.server, 16), kUniform);
  EXPECT_LT(uniformity(r.client, 16), kUniform);
}

TEST(Mux, RefusesBadLengths) {
  expect_refused(Category::kUsage, [](Context& c) { mux(c, Ring(4), Bits(3), Words(4)); });
}

}  // namespace
}  // namespace eqo
