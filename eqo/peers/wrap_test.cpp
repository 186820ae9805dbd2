#include "eqo/peers/wrap.h"

#include "eqo/peers/peers_testing.h"

namespace eqo::peers {
namespace {

using namespace testing;

Word wraps(const SharedWords& x, unsigned bits, std::size_t i) {
  const Word a = Ring(bits).reduce(x.side[0][i]), b = Ring(bits).reduce(x.side[1][i]);
  return bits == 64 ? (a + b < a ? 1 : 0) : (a + b) >> bits;
}

TEST(PeerWrap, ExhaustiveForSmallWidths) {
  PeerScript script;
  std::vector<SharedWords> cases;
  for (unsigned bits = 1; bits <= 6; ++bits) {
    const SharedWords x = all_shares(Ring(bits));
    const std::size_t n = x.side[0].size();
    script.add([=](CostMeter& m) { wrap_cost(m, bits, n); },
               [=](PeerContext& c) { return to_words(wrap(c, bits, x.of(c))); });
    script.add([=](CostMeter& m) { wrap_and_equal_cost(m, bits, n); },
               [=](PeerContext& c) {
                 const WrapAndEqual w = wrap_and_equal(c, bits, x.of(c));
                 Words out(n);
                 for (std::size_t i = 0; i < n; ++i) out[i] = w.wrap[i] | w.equal[i] << 1;
                 return out;
               });
    cases.push_back(x);
  }
  const auto results = script.run();
  for (unsigned bits = 1; bits <= 6; ++bits) {
    const SharedWords& x = cases[bits - 1];
    const Words one = results[2 * (bits - 1)].bits(), two = results[2 * (bits - 1) + 1].bits();
    for (std::size_t i = 0; i < one.size(); ++i) {
      ASSERT_EQ(one[i], wraps(x, bits, i)) << bits;
      ASSERT_EQ(two[i] & 1, wraps(x, bits, i)) << bits;
      ASSERT_EQ(two[i] >> 1, x.side[0][i] + x.side[1][i] == Ring(bits).mask() ? 1U : 0U) << bits;
    }
  }
}

TEST(PeerWrap, RandomWidthsAndSizes) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng(seed);
  PeerScript script;
  std::vector<SharedWords> cases;
  std::vector<unsigned> widths;
  for (unsigned bits = 3; bits <= 64; bits += 1 + bits / 5)
    for (const std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{129}, std::size_t{700}}) {
      // Half of the sums are close to the border.
      SharedWords x = share(Ring(64), numbers(Ring(64), n, rng), rng);
      for (std::size_t i = 0; i < n; i += 2) x.side[1][i] = ~x.side[0][i] + rng() % 3;
      script.add([=](CostMeter& m) { wrap_cost(m, bits, n); },
                 [=](PeerContext& c) { return to_words(wrap(c, bits, x.of(c))); });
      cases.push_back(x);
      widths.push_back(bits);
    }
  const auto results = script.run(2);
  for (std::size_t k = 0; k < cases.size(); ++k) {
    const Words got = results[k].bits();
    ASSERT_EQ(got.size(), cases[k].side[0].size());
    for (std::size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], wraps(cases[k], widths[k], i)) << widths[k];
  }
}

TEST(PeerWrap, OfAKnownSign) {
  PeerScript script;
  const Ring ring(4);
  const SharedWords x = all_shares(ring);
  const std::size_t n = x.side[0].size();
  std::mt19937_64 rng(5);
  Bits sign(n);
  for (std::size_t i = 0; i < n; ++i)
    sign[i] = static_cast<std::uint8_t>(ring.msb(ring.add(x.side[0][i], x.side[1][i])));
  const SharedBits shared = share_bits(sign, rng);
  script.add([=](CostMeter& m) { wrap_of_sign_cost(m, n); },
             [=](PeerContext& c) { return to_words(wrap_of_sign(c, ring, x.of(c), shared.of(c))); });
  const Words got = script.run()[0].bits();
  for (std::size_t i = 0; i < n; ++i) EXPECT_EQ(got[i], wraps(x, 4, i));
}

TEST(PeerWrap, SharesAreUniform) {
  const std::size_t n = 8000;
  const SharedWords x{{Words(n, 200), Words(n, 100)}};
  PeerScript script;
  script.add([=](CostMeter& m) { wrap_cost(m, 4, n); }, [=](PeerContext& c) { return to_words(wrap(c, 4, x.of(c))); });
  script.add([=](CostMeter& m) { wrap_cost(m, 8, n); }, [=](PeerContext& c) { return to_words(wrap(c, 8, x.of(c))); });
  for (const Opened& r : script.run()) {
    EXPECT_LT(uniformity(r.server, 2), kUniform);
    EXPECT_LT(uniformity(r.client, 2), kUniform);
  }
}

TEST(PeerWrap, CostBesideThePublicImplementation) {
  const SharedWords x{{Words(kElements, 77), Words(kElements, 12345)}};
  for (const auto& [bits, published] :
       std::vector<std::pair<unsigned, double>>{{32, 3932}, {16, 1744}, {12, 1160}, {8, 724}, {4, 272}})
    expect_bits(
        "millionaires, l = " + std::to_string(bits), published,
        [bits = bits](CostMeter& m) { wrap_cost(m, bits, kElements); },
        [&, bits = bits](PeerContext& c) { return to_words(wrap(c, bits, x.of(c))); });
}

}  // namespace
}  // namespace eqo::peers
