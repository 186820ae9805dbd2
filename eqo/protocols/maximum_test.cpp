#include "eqo/protocols/maximum.h"

#include "eqo/kernels/elementwise.h"
#include "eqo/protocols/nonlinear_testing.h"

namespace eqo {
namespace {

using namespace testing;  // the test helpers

TEST(Maximum, ExhaustiveForSmallRingsWrapIncluded) {
  Script script;
  std::vector<std::pair<Words, Words>> inputs;
  std::mt19937_64 rng(1);
  for (unsigned l = 1; l <= 6; ++l) {
    const SharedWords pairs = all_shares(Ring(l));  // as values here
    const SharedWords a = share(Ring(l), pairs.side[0], rng), b = share(Ring(l), pairs.side[1], rng);
    const std::size_t n = pairs.side[0].size();
    script.add([=](CostMeter& m) { maximum_cost(m, Ring(l), n, {}); },
               [=](Context& c) { return maximum(c, Ring(l), a.of(c), b.of(c), {}); });
    inputs.emplace_back(pairs.side[0], pairs.side[1]);
  }
  const auto results = script.run();
  for (unsigned l = 1; l <= 6; ++l) {
    const auto& [a, b] = inputs[l - 1];
    const Words got = results[l - 1].sum(Ring(l));
    for (std::size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], max_plain(Ring(l), a[i], b[i])) << l;
  }
}

TEST(Maximum, TreesMatchTheTwin) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng(seed);
  struct Case {
    Ring ring;
    std::size_t k, n;
    SharedWords x;
  };
  std::vector<Case> cases;
  for (const unsigned l : kWidths)
    for (const std::size_t k : {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{4}, std::size_t{9}}) {
      const std::size_t n = kSizes[(l + k) % kSizes.size()];
      cases.push_back({Ring(l), k, n, share(Ring(l), numbers(Ring(l), k * n, rng), rng)});  // differences may wrap
    }
  cases.push_back({Ring(9), 3, 0, {}});
  Script script;
  for (const Case& c : cases)
    script.add([&](CostMeter& m) { max_tree_cost(m, c.ring, c.k, c.n, {4}); },
               [&](Context& ctx) { return max_tree(ctx, c.ring, c.x.of(ctx), c.k, c.n, {4}); });
  const auto results = script.run(2);
  for (std::size_t j = 0; j < cases.size(); ++j) {
    const Case& c = cases[j];
    ASSERT_EQ(results[j].sum(c.ring), max_tree_plain(c.ring, open(c.ring, c.x), c.k, c.n)) << c.ring.bits();
  }
}

TEST(Maximum, RefusesBadLengths) {
  expect_refused(Category::kUsage, [](Context& c) { maximum(c, Ring(4), Words(3), Words(4), {}); });
  expect_refused(Category::kUsage, [](Context& c) { max_tree(c, Ring(4), Words(6), 4, 1, {}); });
  expect_refused(Category::kUsage, [](Context& c) { max_tree(c, Ring(4), Words(6), 0, 6, {}); });
  expect_refused(Category::kUsage, [](Context& c) { max_tree(c, Ring(4), Words(6), 3, 3, {}); });
}

}  // namespace
}  // namespace eqo
