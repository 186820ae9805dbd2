#include "eqo/peers/relu.h"

#include "eqo/peers/peers_testing.h"
#include "eqo/protocols/b2a.h"
#include "eqo/protocols/mux.h"

namespace eqo::peers {
namespace {

using namespace testing;

TEST(PeerRelu, RandomWidthsAndSizes) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng(seed);
  PeerScript script;
  std::vector<SharedWords> cases;
  std::vector<Ring> rings;
  for (unsigned l = 1; l <= 64; l += 1 + l / 4)
    for (const std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{500}}) {
      const Ring ring(l);
      const SharedWords x = share(ring, numbers(ring, n, rng), rng);
      script.add([=](CostMeter& m) { drelu_cost(m, ring, n); },
                 [=](PeerContext& c) { return to_words(drelu(c, ring, x.of(c))); });
      script.add([=](CostMeter& m) { relu_cost(m, ring, n); }, [=](PeerContext& c) { return relu(c, ring, x.of(c)); });
      cases.push_back(x);
      rings.push_back(ring);
    }
  const auto results = script.run(2);
  for (std::size_t k = 0; k < cases.size(); ++k) {
    const Words value = open(rings[k], cases[k]), bit = results[2 * k].bits(), got = results[2 * k + 1].sum(rings[k]);
    ASSERT_EQ(got.size(), value.size());
    for (std::size_t i = 0; i < value.size(); ++i) {
      const bool positive = rings[k].msb(value[i]) == 0;
      ASSERT_EQ(bit[i], positive ? 1U : 0U) << rings[k].bits();
      ASSERT_EQ(got[i], positive ? value[i] : 0U) << rings[k].bits();
    }
  }
}

TEST(PeerRelu, CostBesideThePublicImplementation) {
  const Words x(kElements, 5);
  for (const auto& [l, published] :
       std::vector<std::pair<unsigned, double>>{{32, 3932}, {20, 2180}, {16, 1744}, {12, 1160}, {8, 724}})
    expect_bits(
        "DReLU, l = " + std::to_string(l), published, [l = l](CostMeter& m) { drelu_cost(m, Ring(l), kElements); },
        [&, l = l](PeerContext& c) { return to_words(drelu(c, Ring(l), x)); });
  for (const auto& [l, published] : std::vector<std::pair<unsigned, double>>{{32, 4252}, {16, 2032}, {12, 1440}})
    expect_bits(
        "ReLU, l = " + std::to_string(l), published, [l = l](CostMeter& m) { relu_cost(m, Ring(l), kElements); },
        [&, l = l](PeerContext& c) { return relu(c, Ring(l), x); });
  // Used as they are, with IKNP.
  for (const unsigned l : {8U, 16U, 32U}) {
    expect_bits(
        "MUX, l = " + std::to_string(l), 2.0 * (128 + l), [l](CostMeter& m) { mux_cost(m, Ring(l), kElements); },
        [&, l](PeerContext& c) { return mux(c, Ring(l), Bits(kElements, 1), x); });
    expect_bits(
        "B2A, l = " + std::to_string(l), 128.0 + l, [l](CostMeter& m) { b2a_cost(m, Ring(l), kElements); },
        [l](PeerContext& c) { return b2a(c, Ring(l), Bits(kElements, 1)); });
  }
}

}  // namespace
}  // namespace eqo::peers
