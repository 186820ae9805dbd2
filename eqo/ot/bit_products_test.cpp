#include "eqo/ot/bit_products.h"

#include <gtest/gtest.h>

#include <random>

#include "eqo/core/bits.h"
#include "eqo/core/error.h"
#include "eqo/testing/two_party.h"

namespace eqo {
namespace {

using testing::predicted;
using testing::run_protocol;
using testing::traffic_is;

Bits random_bits(std::size_t n, std::mt19937_64& rng) {
  Bits b(n);
  for (auto& x : b) x = static_cast<std::uint8_t>(rng() & 1);
  return b;
}

TEST(BitProducts, MultiplyInAnyOrderOfMessages) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng(seed);
  for (const bool receive_first : {false, true})
    for (const std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{9}, std::size_t{20000}})
      for (const std::size_t pairs : {std::size_t{0}, n / 3, n}) {
        const Bits choices = random_bits(n, rng), u = random_bits(n + pairs, rng);
        const auto cost = [&](CostMeter& m) {
          m.cots(Party::kServer, n);
          const std::uint64_t opened = packed_bytes(n, 1), masked = packed_bytes(n + pairs, 1);
          if (receive_first) {
            m.send(Party::kClient, opened);
            m.send(Party::kServer, masked);
          } else {
            m.exchange(masked, opened);
          }
        };
        const auto party = [&](Context& ctx) {
          if (ctx.party == Party::kClient) return BitProductReceiver(ctx, choices, pairs).finish();
          BitProductSender sender(ctx, n, pairs);
          if (receive_first) sender.receive();
          sender.send(u);
          if (!receive_first) sender.receive();
          return sender.finish();
        };
        const auto [server, client] = run_protocol(cost, party, party, 2);
        EXPECT_TRUE(traffic_is(server, client, predicted({}, cost)));
        ASSERT_EQ(server.result.size(), n + pairs);
        ASSERT_EQ(client.result.size(), n + pairs);
        std::size_t ones = 0;
        for (std::size_t i = 0; i < n + pairs; ++i) {
          ASSERT_EQ(server.result[i] ^ client.result[i], u[i] & choices[i < n ? i : i - n]);
          ones += server.result[i];
        }
        if (n == 20000) {
          EXPECT_NEAR(static_cast<double>(ones), static_cast<double>(n + pairs) / 2, 7 * 100);  // 7 deviations or more
        }
      }
}

TEST(BitProducts, MisuseIsRefused) {
  const auto party = [](Context& ctx) {
    int refused = 0;
    const auto expect_refusal = [&](const auto& f) {
      try {
        f();
      } catch (const Error& e) {
        refused += e.category() == Category::kInternal ? 1 : 0;
      }
    };
    expect_refusal([&] { BitProductReceiver(ctx, Bits(2), 3); });
    expect_refusal([&] { BitProductSender(ctx, 2, 3); });
    expect_refusal([&] { BitProductSender(ctx, 0, 0).send(Bits(1)); });
    return refused;
  };
  const auto [server, client] = run_protocol([](CostMeter&) {}, party, party);
  EXPECT_EQ(server.result, 3);
  EXPECT_EQ(client.result, 3);
}

}  // namespace
}  // namespace eqo
