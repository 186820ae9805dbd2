#include "eqo/protocols/bit_and.h"

#include "eqo/protocols/and_round.h"
#include "eqo/protocols/nonlinear_testing.h"

namespace eqo {
namespace {

using namespace testing;  // the test helpers

Bits random_bits(std::size_t n, std::mt19937_64& rng) {
  Bits b(n);
  for (auto& v : b) v = static_cast<std::uint8_t>(rng() & 1);
  return b;
}

TEST(BitAnd, AllVariantsMatchTheTruthTable) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng(seed);
  for (const unsigned threads : {1U, 3U}) {
    Script script;
    std::vector<std::function<void(const std::vector<Opened>&)>> checks;
    for (const std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{8}, std::size_t{9},
                                std::size_t{1000}, std::size_t{30000}}) {
      const Bits x = random_bits(n, rng), y = random_bits(n, rng), z = random_bits(n, rng);
      const SharedBits sx = share_bits(x, rng), sy = share_bits(y, rng), sz = share_bits(z, rng);
      const auto single = script.add([n](CostMeter& m) { bit_and_cost(m, n); },
                                     [=](Context& c) { return to_words(bit_and(c, sx.of(c), sy.of(c))); });
      const auto common = script.add([n](CostMeter& m) { bit_and_common_cost(m, n); },
                                     [=](Context& c) {
                                       const BitAndPair p = bit_and_common(c, sx.of(c), sy.of(c), sz.of(c));
                                       Words w = to_words(p.xy);
                                       w.insert(w.end(), p.xz.begin(), p.xz.end());
                                       return w;
                                     });
      std::array<std::size_t, 2> priv{};
      for (const Party receiver : {Party::kServer, Party::kClient})
        priv[static_cast<std::size_t>(receiver)] =
            script.add([n, receiver](CostMeter& m) { bit_and_private_cost(m, receiver, n); },
                       [=](Context& c) { return to_words(bit_and_private(c, receiver, sx.of(c))); });
      checks.push_back([=](const std::vector<Opened>& r) {
        const Words one = r[single].bits(), two = r[common].bits();
        const std::array<Words, 2> own{r[priv[0]].bits(), r[priv[1]].bits()};
        for (std::size_t i = 0; i < n; ++i) {
          ASSERT_EQ(one[i], x[i] & y[i]);
          ASSERT_EQ(two[i], x[i] & y[i]);
          ASSERT_EQ(two[n + i], x[i] & z[i]);
          for (const Words& p : own) ASSERT_EQ(p[i], sx.side[0][i] & sx.side[1][i]);
        }
      });
    }
    const std::vector<Opened> results = script.run(threads);
    for (const auto& check : checks) check(results);
  }
}

TEST(BitAnd, CostsWhatTheHeaderSays) {
  const auto payload = [](auto cost) {
    CostMeter m;
    m.record_trace();
    cost(m);
    std::uint64_t bytes = 0;
    for (const Message& message : m.trace()) bytes += message.bytes;
    return std::pair(8 * bytes, m.cost().flights);
  };
  EXPECT_EQ(payload([](CostMeter& m) { bit_and_cost(m, 800); }), std::pair(std::uint64_t{4 * 800}, std::uint64_t{1}));
  EXPECT_EQ(payload([](CostMeter& m) { bit_and_common_cost(m, 800); }),
            std::pair(std::uint64_t{6 * 800}, std::uint64_t{1}));
  EXPECT_EQ(payload([](CostMeter& m) { bit_and_private_cost(m, Party::kClient, 800); }),
            std::pair(std::uint64_t{2 * 800}, std::uint64_t{2}));
}

TEST(BitAnd, SharesOfTheResultAreUniform) {
  const std::size_t n = 40000;
  for (const std::uint8_t bit : {std::uint8_t{0}, std::uint8_t{1}}) {
    const SharedBits fixed{{Bits(n, 1), Bits(n, static_cast<std::uint8_t>(1 ^ bit))}};
    Script script;
    script.add([n](CostMeter& m) { bit_and_cost(m, n); },
               [&](Context& c) { return to_words(bit_and(c, fixed.of(c), fixed.of(c))); });
    script.add([n](CostMeter& m) { bit_and_private_cost(m, Party::kServer, n); },
               [&](Context& c) { return to_words(bit_and_private(c, Party::kServer, fixed.of(c))); });
    for (const Opened& r : script.run()) {
      EXPECT_LT(uniformity(r.server, 2), kUniform);
      EXPECT_LT(uniformity(r.client, 2), kUniform);
    }
  }
}

TEST(BitAnd, TriplesAreUniformAndMultiply) {
  const std::size_t n = 40000;
  Script script;
  for (int i = 0; i < 2; ++i)
    script.add([n](CostMeter& m) { and_triples_cost(m, n); },
               [n](Context& c) {
                 const AndTriples t = make_and_triples(c, n);
                 Words w(n);
                 for (std::size_t k = 0; k < n; ++k)
                   w[k] = Word{t.a[k]} | t.b[k] << 1 | t.c[k] << 2 | t.ab[k] << 3 | t.ac[k] << 4;
                 return w;
               });
  const auto runs = script.run(2);
  for (const Opened& r : runs) {
    EXPECT_LT(uniformity(r.server, 32), kUniform);  // each party's five bits: nothing of the peer's follows from them
    EXPECT_LT(uniformity(r.client, 32), kUniform);
    for (const Word t : r.bits()) {
      ASSERT_EQ(t >> 3 & 1, (t & 1) & (t >> 1 & 1));
      ASSERT_EQ(t >> 4 & 1, (t & 1) & (t >> 2 & 1));
    }
  }
  EXPECT_NE(runs[0].server, runs[1].server);
}

TEST(BitAnd, RefusesBadLengths) {
  const Bits a(5), b(6);
  expect_refused(Category::kUsage, [&](Context& c) { bit_and(c, a, b); });
  expect_refused(Category::kUsage, [&](Context& c) { bit_and_common(c, a, a, b); });
  expect_refused(Category::kUsage, [&](Context& c) { bit_and_common(c, a, b, a); });
  expect_refused(Category::kInternal, [&](Context& c) {
    Bits out(5);
    const AndTriples few{Bits(7), Bits(7), Bits(7), Bits(7), Bits(7)};
    const AndTerm term{a, a, {}, out, {}};
    and_round(c, std::span(&term, 1), few, 3);
  });
}

}  // namespace
}  // namespace eqo
