#include "eqo/ot/base_ot.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include <algorithm>
#include <set>

#include "eqo/core/error.h"
#include "eqo/testing/two_party.h"

namespace eqo {
namespace {

using testing::run_two_channels;
using Point = std::array<unsigned char, 32>;

Bits random_bits(Prg& prg, std::size_t n) {
  Bits b(n);
  prg.fill_bits(b);
  return b;
}

TEST(BaseOt, ReceiverHasTheChosenKeyAndCostIsExact) {
  for (const auto& [n, threads] : std::vector<std::pair<std::size_t, unsigned>>{{0, 1}, {1, 1}, {7, 2}, {128, 3}}) {
    SCOPED_TRACE(n);
    struct Out {
      BaseOts ots;
      Bits choices;
      Traffic traffic;
    };
    const auto party = [n = n, threads = threads](Channel& ch) {
      Prg prg = Prg::from_os();
      ThreadPool pool(threads);
      Out out;
      out.choices = random_bits(prg, n);
      out.ots = base_ots(ch, prg, pool, out.choices);
      out.traffic = ch.traffic();
      return out;
    };
    const auto [server, client] = run_two_channels(party, party);
    CostMeter meter;
    base_ot_cost(meter, n);
    const Cost cost = meter.cost();
    EXPECT_EQ(server.traffic, (Traffic{cost.bytes[0], cost.bytes[1], cost.flights}));
    EXPECT_EQ(client.traffic, (Traffic{cost.bytes[1], cost.bytes[0], cost.flights}));
    std::set<std::pair<std::uint64_t, std::uint64_t>> keys;
    for (const auto& [s, r] : {std::pair(&server, &client), std::pair(&client, &server)}) {
      ASSERT_EQ(s->ots.sent.size(), n);
      ASSERT_EQ(r->ots.received.size(), n);
      for (std::size_t i = 0; i < n; ++i) {
        EXPECT_EQ(r->ots.received[i], s->ots.sent[i][r->choices[i]]);
        for (const Block& b : s->ots.sent[i]) keys.insert({b.lo, b.hi});
      }
    }
    EXPECT_EQ(keys.size(), 4 * n);  // all different
  }
}

Point valid_point() {
  Point p;
  crypto_core_ristretto255_random(p.data());
  return p;
}

// The peer plays `first` as A and then `second` as all of its R.
Category category_against(const Point& first, const Point& second) {
  Category seen = Category::kUsage;
  const auto honest = [&](Channel& ch) {
    Prg prg = Prg::from_os();
    ThreadPool pool(1);
    try {
      base_ots(ch, prg, pool, random_bits(prg, 4));
    } catch (const Error& e) {
      seen = e.category();
    }
    ch.close();
    return 0;
  };
  const auto hostile = [&](Channel& ch) {
    try {
      ch.send(std::as_bytes(std::span(first)));
      Point a;
      ch.recv(std::as_writable_bytes(std::span(a)));
      std::array<Point, 4> r;
      std::fill(r.begin(), r.end(), valid_point());
      r[3] = second;
      ch.send(std::as_bytes(std::span(r)));
      ch.recv(std::as_writable_bytes(std::span(r)));
    } catch (const Error&) {  // the honest side may have closed
    }
    return 0;
  };
  run_two_channels(honest, hostile);
  return seen;
}

TEST(BaseOt, BadPointsAreProtocolErrors) {
  ASSERT_GE(sodium_init(), 0);
  const Point good = valid_point();
  Point identity{};
  Point negative = good;  // an odd field element
  negative[0] |= 1;
  Point modulus;  // p = 2^255 - 19: zero, not canonical
  modulus.fill(0xff);
  modulus[0] = 0xed;
  modulus[31] = 0x7f;
  Point above = modulus;  // p + 1
  above[0] = 0xee;
  Point high_bit = good;
  high_bit[31] |= 0x80;
  Point off_curve = good;  // an even field element that encodes nothing
  do {
    off_curve[0] = static_cast<unsigned char>(off_curve[0] + 2);
  } while (crypto_core_ristretto255_is_valid_point(off_curve.data()) == 1);
  Point minus_one = modulus;  // p - 1: even, of small order on the curve, no encoding
  minus_one[0] = 0xec;

  EXPECT_EQ(category_against(good, good), Category::kUsage);  // accepted: nothing was thrown
  for (const Point& bad : {identity, negative, modulus, above, high_bit, off_curve, minus_one}) {
    EXPECT_EQ(category_against(bad, good), Category::kProtocol);
    EXPECT_EQ(category_against(good, bad), Category::kProtocol);
  }
}

}  // namespace
}  // namespace eqo
