#include "eqo/peers/cross_product.h"

#include "eqo/peers/peers_testing.h"

namespace eqo::peers {
namespace {

using namespace testing;

Words plain(const CrossShape& s, const Words& r, const Words& v) {
  Words out(s.rows * s.cols);
  for (std::size_t i = 0; i < s.rows; ++i)
    for (std::size_t k = 0; k < s.inner; ++k)
      for (std::size_t j = 0; j < s.cols; ++j)
        out[i * s.cols + j] = s.ring.reduce(out[i * s.cols + j] + r[i * s.inner + k] * v[k * s.cols + j]);
  return out;
}

TEST(PeerCrossProduct, RandomShapes) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng(seed);
  PeerScript script;
  std::vector<CrossShape> shapes{{1, 1, 1, 1, Ring(1)}, {3, 5, 300000, 2, Ring(9)}, {2, 3, 7, 64, Ring(64)}};
  for (int k = 0; k < 12; ++k) {
    const Ring ring(static_cast<unsigned>(1 + rng() % 64));
    shapes.push_back(
        {1 + rng() % 9, 1 + rng() % 9, 1 + rng() % 40, static_cast<unsigned>(1 + rng() % ring.bits()), ring});
  }
  std::vector<Words> rs, vs;
  for (std::size_t k = 0; k < shapes.size(); ++k) {
    const CrossShape& s = shapes[k];
    Words r(s.rows * s.inner), v(s.inner * s.cols);
    for (Word& w : r) w = Ring(s.bits).reduce(rng());
    for (Word& w : v) w = s.ring.reduce(rng());
    const Party sender = k % 2 == 0 ? Party::kServer : Party::kClient;
    script.add([=](CostMeter& m) { cross_product_cost(m, sender, s); },
               [=](PeerContext& c) {
                 return c.party == sender ? cross_product_send(c, s, v) : cross_product_receive(c, s, r);
               });
    rs.push_back(r);
    vs.push_back(v);
  }
  const auto results = script.run(2);
  for (std::size_t k = 0; k < shapes.size(); ++k)
    EXPECT_EQ(results[k].sum(shapes[k].ring), plain(shapes[k], rs[k], vs[k])) << k;
}

// A layer of CrypTFlow2: the activations' bits choose, 128 l + K l (l + 1) / 2 bits each for K output channels.
TEST(PeerCrossProduct, CostOfAUniformLayer) {
  const CrossShape s{256, 36, 64, 32, Ring(32)};
  const Words r(s.rows * s.inner, 3), v(s.inner * s.cols, 7);
  const double bytes =
      measured_bytes([&](CostMeter& m) { cross_product_cost(m, Party::kServer, s); },
                     [&](PeerContext& c) {
                       return c.party == Party::kServer ? cross_product_send(c, s, v) : cross_product_receive(c, s, r);
                     });
  const double macs = 256 * 36 * 64;
  expect_cost("uniform product, l = 32, 64 channels, bits a MAC", 592, 8 * bytes / macs, 0.99);
}

TEST(PeerCrossProduct, Refusals) {
  CostMeter meter;
  EXPECT_THROW(cross_product_cost(meter, Party::kServer, {1, 1, 1, 9, Ring(8)}), Error);
  expect_refused(Category::kUsage, [](Context& c) { cross_product_receive(c, {1, 2, 1, 8, Ring(8)}, Words(3)); });
}

}  // namespace
}  // namespace eqo::peers
