#include "eqo/protocols/argmax.h"

#include "eqo/kernels/elementwise.h"
#include "eqo/protocols/nonlinear_testing.h"

namespace eqo {
namespace {

using namespace testing;  // the test helpers

TEST(Argmax, MatchesTheTwin) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng(seed);
  struct Case {
    Ring ring;
    std::size_t k, n;
    SharedWords x;
  };
  std::vector<Case> cases;
  for (std::size_t k = 1; k <= 17; ++k)
    for (const unsigned l : {1U, 4U, 20U, 64U}) {
      const std::size_t n = 1 + rng() % 20;
      const Ring ring(l);
      cases.push_back({ring, k, n, share(ring, numbers(ring, k * n, rng), rng)});  // differences may wrap
      // Few different values: ties.
      const std::int64_t top = l < 3 ? 0 : 1;
      cases.push_back({ring, k, n, share(ring, numbers(ring, -top, top, k * n, rng), rng)});
    }
  cases.push_back({Ring(20), 1000, 3, share(Ring(20), numbers(Ring(20), -200000, 200000, 3000, rng), rng)});
  cases.push_back({Ring(8), 4096, 1, share(Ring(8), numbers(Ring(8), -60, 60, 4096, rng), rng)});
  cases.push_back({Ring(8), 10, 0, {}});
  Script script;
  for (const Case& c : cases)
    script.add([&](CostMeter& m) { argmax_cost(m, c.ring, c.k, c.n, {}); },
               [&](Context& ctx) { return argmax(ctx, c.ring, c.x.of(ctx), c.k, c.n, {}); });
  const auto results = script.run();
  for (std::size_t j = 0; j < cases.size(); ++j) {
    const Case& c = cases[j];
    ASSERT_EQ(results[j].sum(Ring(index_bits(c.k))), argmax_plain(c.ring, open(c.ring, c.x), c.k, c.n))
        << c.ring.bits() << " bits, " << c.k << " values";
  }
}

TEST(Argmax, SharesOfThePositionAreUniform) {
  const std::size_t n = 20000, k = 5;
  const SharedWords x{{Words(k * n, 3), Words(k * n, 4)}};
  Script script;
  script.add([=](CostMeter& m) { argmax_cost(m, Ring(8), k, n, {}); },
             [&](Context& c) { return argmax(c, Ring(8), x.of(c), k, n, {}); });
  const Opened r = script.run().front();
  EXPECT_LT(uniformity(r.server, 8), kUniform);
  EXPECT_LT(uniformity(r.client, 8), kUniform);
  for (const Word p : r.sum(Ring(3))) ASSERT_EQ(p, 0U);  // all equal: the first
}

TEST(Argmax, RefusesBadLengths) {
  expect_refused(Category::kUsage, [](Context& c) { argmax(c, Ring(4), Words(6), 0, 6, {}); });
  expect_refused(Category::kUsage, [](Context& c) { argmax(c, Ring(4), Words(6), 4, 1, {}); });
  expect_refused(Category::kUsage, [](Context& c) { argmax(c, Ring(4), Words(4097), 4097, 1, {}); });
}

}  // namespace
}  // namespace eqo
