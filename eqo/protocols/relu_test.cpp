#include "eqo/protocols/relu.h"

#include "eqo/kernels/elementwise.h"
#include "eqo/protocols/nonlinear_testing.h"

namespace eqo {
namespace {

using namespace testing;  // the test helpers

struct Case {
  Ring ring;
  SharedWords x;
  Word hi;
};

// less_than_zero, drelu, relu and clip of every case against the plain definitions.
void check_all(const std::vector<Case>& cases, const CompareOptions& options, unsigned threads = 1) {
  Script script;
  for (const Case& k : cases) {
    const std::size_t n = k.x.side[0].size();
    script.add([&, n](CostMeter& m) { less_than_zero_cost(m, k.ring, n, options); },
               [&](Context& c) { return to_words(less_than_zero(c, k.ring, k.x.of(c), options)); });
    script.add([&, n](CostMeter& m) { drelu_cost(m, k.ring, n, options); },
               [&](Context& c) { return to_words(drelu(c, k.ring, k.x.of(c), options)); });
    script.add([&, n](CostMeter& m) { relu_cost(m, k.ring, n, options); },
               [&](Context& c) { return relu(c, k.ring, k.x.of(c), options); });
    script.add([&, n](CostMeter& m) { clip_cost(m, k.ring, n, options); },
               [&](Context& c) { return clip(c, k.ring, k.x.of(c), k.hi, options); });
  }
  const auto results = script.run(threads);
  for (std::size_t j = 0; j < cases.size(); ++j) {
    const Ring ring = cases[j].ring;
    const Words x = open(ring, cases[j].x);
    const Words negative = results[4 * j].bits(), positive = results[4 * j + 1].bits();
    const Words y = results[4 * j + 2].sum(ring), z = results[4 * j + 3].sum(ring);
    for (std::size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(negative[i], ring.to_signed(x[i]) < 0 ? 1U : 0U) << ring.bits();
      ASSERT_EQ(positive[i], ring.to_signed(x[i]) < 0 ? 0U : 1U) << ring.bits();
      ASSERT_EQ(y[i], relu_plain(ring, x[i])) << ring.bits() << " " << x[i];
      ASSERT_EQ(z[i], clip_plain(ring, x[i], cases[j].hi)) << ring.bits() << " " << x[i];
    }
  }
}

TEST(Relu, ExhaustiveForSmallRings) {
  for (const unsigned levels : {1U, 2U, 3U, 4U}) {
    std::vector<Case> cases;
    for (unsigned l = 1; l <= 6; ++l) cases.push_back({Ring(l), all_shares(Ring(l)), (Word{1} << (l - 1)) / 2});
    check_all(cases, {levels, 8, levels % 2 == 0 ? Party::kClient : Party::kServer});
  }
}

TEST(Relu, RandomWidthsAndSizes) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng(seed);
  for (const unsigned levels : {3U, 5U}) {
    std::vector<Case> cases;
    for (const unsigned l : kWidths)
      for (const std::size_t n : kSizes) {
        const Ring ring(l);
        cases.push_back({ring, share(ring, numbers(ring, n, rng), rng), rng() & (ring.mask() >> 1)});
      }
    check_all(cases, {levels}, 2);
  }
}

TEST(Relu, SharesAreUniformAndFresh) {
  const std::size_t n = 40000;
  const Ring ring(4);
  const SharedWords x{{Words(n, 14), Words(n, 6)}};  // x = 4
  Script script;
  for (int i = 0; i < 2; ++i)
    script.add([=](CostMeter& m) { relu_cost(m, ring, n, {}); },
               [&](Context& c) { return relu(c, ring, x.of(c), {}); });
  const auto results = script.run();
  for (const Opened& r : results) {
    EXPECT_LT(uniformity(r.server, 16), kUniform);
    EXPECT_LT(uniformity(r.client, 16), kUniform);
  }
  // Two runs on the same shares are independent: every pair of values is equally frequent.
  Words pairs(n);
  for (std::size_t i = 0; i < n; ++i) pairs[i] = results[0].server[i] * 16 + results[1].server[i];
  EXPECT_LT(uniformity(pairs, 256), kUniform);
}

TEST(Relu, FlightsDontGrowWithTheTensor) {
  const auto flights = [](std::uint64_t n) {
    CostMeter m;
    relu_cost(m, Ring(20), n, {});
    return m.cost().flights;
  };
  EXPECT_EQ(flights(1), 7U);  // leaves 2, tree 3 (5 leaves), mux 2
  EXPECT_EQ(flights(1000000), 7U);
}

TEST(Relu, RefusesABadBound) {
  expect_refused(Category::kUsage, [](Context& c) { clip(c, Ring(4), Words(3), 8, {}); });
  expect_refused(Category::kUsage, [](Context& c) { clip(c, Ring(4), Words(3), 16, {}); });
  expect_refused(Category::kUsage, [](Context& c) { relu(c, Ring(4), Words(3), {0}); });
}

}  // namespace
}  // namespace eqo
