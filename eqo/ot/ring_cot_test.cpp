#include "eqo/ot/ring_cot.h"

#include <gtest/gtest.h>

#include <random>

#include "eqo/testing/two_party.h"

namespace eqo {
namespace {

using testing::predicted;
using testing::run_protocol;
using testing::traffic_is;

struct Case {
  Bits bits;
  Words numbers;
};

Case random_case(std::size_t n, Ring ring, std::mt19937_64& rng) {
  Case c{Bits(n), Words(n)};
  for (std::size_t i = 0; i < n; ++i) {
    c.bits[i] = static_cast<std::uint8_t>(rng() & 1);
    c.numbers[i] = ring.reduce(rng());
  }
  // The extremes, with both choices.
  for (std::size_t i = 0; i < std::min<std::size_t>(n, 6); ++i) {
    c.bits[i] = static_cast<std::uint8_t>(i & 1);
    c.numbers[i] = i < 2 ? 0 : i < 4 ? ring.mask() : ring.from_signed(1);
  }
  return c;
}

void expect_products(const Case& c, Ring ring, const Words& sender, const Words& receiver) {
  ASSERT_EQ(sender.size(), c.bits.size());
  ASSERT_EQ(receiver.size(), c.bits.size());
  for (std::size_t i = 0; i < c.bits.size(); ++i) {
    ASSERT_EQ(sender[i], ring.reduce(sender[i]));
    ASSERT_EQ(receiver[i], ring.reduce(receiver[i]));
    ASSERT_EQ(ring.add(sender[i], receiver[i]), ring.mul(c.bits[i], c.numbers[i])) << "element " << i;
  }
}

// All in one session, one after another, so that the base OTs are made once.
TEST(RingCot, AllWidthsBothRolesExactCost) {
  std::mt19937_64 rng(1);
  struct Transfer {
    Ring ring;
    Party sender;
    Case c;
  };
  std::vector<Transfer> runs;
  for (unsigned width = 1; width <= 64; ++width) {
    for (const std::size_t n : {std::array<std::size_t, 4>{0, 1, 7, 129}[width % 4], std::size_t{1000}})
      runs.push_back(
          {Ring(width), (width + n) % 2 == 0 ? Party::kServer : Party::kClient, random_case(n, Ring(width), rng)});
  }
  const auto cost = [&](CostMeter& m) {
    for (const Transfer& r : runs) ring_cot_cost(m, r.sender, r.ring, r.c.bits.size());
  };
  const auto party = [&](Context& ctx) {
    std::vector<Words> shares;
    for (const Transfer& r : runs)
      shares.push_back(ctx.party == r.sender ? ring_cot_transfer(ctx, r.ring, r.c.numbers)
                                             : RingCotReceiver(ctx, r.ring, r.c.bits).finish());
    return shares;
  };
  const auto [server, client] = run_protocol(cost, party, party);
  EXPECT_TRUE(traffic_is(server, client, predicted({}, cost)));
  for (std::size_t i = 0; i < runs.size(); ++i) {
    SCOPED_TRACE("width " + std::to_string(runs[i].ring.bits()) + ", n " + std::to_string(runs[i].c.bits.size()));
    const bool by_server = runs[i].sender == Party::kServer;
    expect_products(runs[i].c, runs[i].ring, (by_server ? server : client).result[i],
                    (by_server ? client : server).result[i]);
  }
}

TEST(RingCot, BothWaysInTwoFlightsOnSeveralThreads) {
  std::mt19937_64 rng(2);
  const Ring ring(17);
  constexpr std::size_t kN = 100000;
  const std::array<Case, 2> cases{random_case(kN, ring, rng), random_case(kN, ring, rng)};
  const auto cost = [&](CostMeter& m) {
    m.cots(Party::kServer, kN);
    m.cots(Party::kClient, kN);
    m.exchange(kN / 8, kN / 8);
    m.exchange((kN * 17 + 7) / 8, (kN * 17 + 7) / 8);
  };
  // cases[p]: party p has the numbers.
  struct Shares {
    Words sent, received;
  };
  const auto party = [&](Context& ctx) {
    const auto me = static_cast<std::size_t>(ctx.party);
    RingCotReceiver receiver(ctx, ring, cases[1 - me].bits);
    Shares s;
    s.sent = ring_cot_transfer(ctx, ring, cases[me].numbers);
    s.received = receiver.finish();
    return s;
  };
  const auto [server, client] = run_protocol(cost, party, party, 3);
  expect_products(cases[0], ring, server.result.sent, client.result.received);
  expect_products(cases[1], ring, client.result.sent, server.result.received);
  const Cost expected = predicted({}, cost);
  EXPECT_TRUE(traffic_is(server, client, expected));
  EXPECT_EQ(expected.flights, 3U);  // reserve, corrections, numbers
}

// Neither the shares nor the messages say anything about constant inputs: they are balanced in every bit.
TEST(RingCot, SharesAreUniform) {
  const Ring ring(8);
  constexpr std::size_t kN = 40000;
  const Bits ones(kN, 1);
  const Words numbers(kN, 0xff);
  const auto cost = [&](CostMeter& m) { ring_cot_cost(m, Party::kServer, ring, kN); };
  const auto [server, client] = run_protocol(
      cost, [&](Context& ctx) { return ring_cot_transfer(ctx, ring, numbers); },
      [&](Context& ctx) { return RingCotReceiver(ctx, ring, ones).finish(); });
  for (const Words* shares : {&server.result, &client.result}) {
    std::array<std::size_t, 256> count{};
    for (const Word w : *shares) ++count[w];
    double chi2 = 0;
    for (const std::size_t k : count) {
      const double e = kN / 256.0, d = static_cast<double>(k) - e;
      chi2 += d * d / e;
    }
    EXPECT_LT(chi2, 255 + 8 * 22.6);  // 8 standard deviations
  }
}

}  // namespace
}  // namespace eqo
