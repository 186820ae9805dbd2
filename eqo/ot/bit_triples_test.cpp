#include "eqo/ot/bit_triples.h"

#include <gtest/gtest.h>

#include "eqo/testing/two_party.h"

namespace eqo {
namespace {

using testing::predicted;
using testing::run_protocol;
using testing::traffic_is;

TEST(BitTriples, AreTriplesBalancedAndFree) {
  for (const std::size_t n : {0, 1, 127, 128, 129, 1000, 100000}) {
    SCOPED_TRACE(n);
    const auto cost = [&](CostMeter& m) { bit_triples_cost(m, n); };
    const auto party = [&](Context& ctx) { return make_bit_triples(ctx, n); };
    const auto [server, client] = run_protocol(cost, party, party, n > 50000 ? 3 : 1);
    const BitTriples &s = server.result, &c = client.result;
    ASSERT_EQ(s.a.size(), n);
    std::array<std::size_t, 64> seen{};
    for (std::size_t i = 0; i < n; ++i) {
      ASSERT_LE(s.a[i] | s.b[i] | s.c[i] | c.a[i] | c.b[i] | c.c[i], 1);
      ASSERT_EQ((s.a[i] ^ c.a[i]) & (s.b[i] ^ c.b[i]), s.c[i] ^ c.c[i]) << "triple " << i;
      ++seen[static_cast<std::size_t>(s.a[i] | s.b[i] << 1 | s.c[i] << 2 | c.a[i] << 3 | c.b[i] << 4)];
    }
    EXPECT_TRUE(traffic_is(server, client, predicted({}, cost)));
    if (n < 100000) continue;
    for (std::size_t k = 0; k < 32; ++k) EXPECT_NEAR(static_cast<double>(seen[k]), 3125, 8 * 55) << k;
  }
}

}  // namespace
}  // namespace eqo
