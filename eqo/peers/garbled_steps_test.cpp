#include "eqo/peers/garbled_steps.h"

#include "eqo/peers/peers_testing.h"

namespace eqo::peers {
namespace {

using namespace testing;

struct Case {
  RequantizeSpec spec;
  SharedWords y;
};

// All cases one behind the other in one session, so that tweaks go on; bytes and flights are what the costs say.
std::vector<Opened> run_cases(const std::vector<Case>& cases, unsigned threads) {
  const auto all = [&](CostMeter& m) {
    garbling_setup_cost(m);
    for (const Case& c : cases) garbled_requantize_cost(m, c.spec, c.y.side[0].size());
  };
  const auto party = [&](Context& ctx) {
    Garbling garbling = garbling_setup(ctx);
    std::vector<Words> out;
    for (const Case& c : cases) out.push_back(garbled_requantize(ctx, garbling, c.spec, c.y.of(ctx)));
    return out;
  };
  auto [server, client] = run_protocol(all, party, party, threads, iknp());
  EXPECT_TRUE(traffic_is(server, client, predicted(iknp(), all)));
  std::vector<Opened> out;
  for (std::size_t i = 0; i < cases.size(); ++i) out.push_back({server.result[i], client.result[i]});
  return out;
}

void expect_plain(const std::vector<Case>& cases, unsigned threads) {
  const std::vector<Opened> results = run_cases(cases, threads);
  for (std::size_t k = 0; k < cases.size(); ++k) {
    const RequantizeSpec& s = cases[k].spec;
    const Words y = open(s.from, cases[k].y), z = results[k].sum(s.to);
    ASSERT_EQ(z.size(), y.size());
    for (std::size_t i = 0; i < y.size(); ++i)
      ASSERT_EQ(z[i], requantize_plain(s, y[i])) << s.from.bits() << " to " << s.to.bits() << " bits, shift " << s.shift
                                                 << (s.relu ? ", ReLU" : "") << ", share " << cases[k].y.side[0][i];
  }
}

// Every pair of shares of the small rings, every shift, every ring of the result, with and without ReLU.
TEST(GarbledSteps, AllSharesOfSmallRings) {
  std::vector<Case> cases;
  for (unsigned l = 1; l <= 4; ++l)
    for (unsigned shift = 0; shift < l; ++shift)
      for (unsigned to = 1; to <= l + 2; ++to)
        for (const bool relu : {false, true})
          cases.push_back({{.from = Ring(l), .to = Ring(to), .shift = shift, .relu = relu}, all_shares(Ring(l))});
  expect_plain(cases, 1);
}

TEST(GarbledSteps, RandomRingsAndLengths) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng(seed);
  for (const unsigned threads : {1U, 3U}) {
    std::vector<Case> cases;
    for (int k = 0; k < 12; ++k) {
      Case c{{.from = Ring(static_cast<unsigned>(2 + rng() % 63)), .to = Ring(static_cast<unsigned>(1 + rng() % 64))},
             {}};
      c.spec.shift = static_cast<unsigned>(rng() % c.spec.from.bits());
      c.spec.relu = rng() % 2 == 0;
      // None, a few, and more than fit one message.
      const std::size_t n = k == 0 ? 0 : k < 6 ? 1 + rng() % 50 : 1000 + rng() % 4000;
      c.y = share(c.spec.from, numbers(c.spec.from, n, rng), rng);
      cases.push_back(c);
    }
    expect_plain(cases, threads);
  }
}

TEST(GarbledSteps, SignIsTheTopBit) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng(seed);
  for (const unsigned bits : {1U, 2U, 3U, 13U, 32U, 64U}) {
    const Ring ring(bits);
    const SharedWords x = bits <= 3 ? all_shares(ring) : share(ring, numbers(ring, 2500, rng), rng);
    const std::size_t n = x.side[0].size();
    const auto all = [&](CostMeter& m) {
      garbling_setup_cost(m);
      garbled_sign_cost(m, ring, n);
    };
    const auto party = [&](Context& ctx) {
      Garbling garbling = garbling_setup(ctx);
      return garbled_sign(ctx, garbling, ring, x.of(ctx));
    };
    const auto [server, client] = run_protocol(all, party, party, 2, iknp());
    EXPECT_TRUE(traffic_is(server, client, predicted(iknp(), all)));
    const Words opened = open(ring, x);
    for (std::size_t i = 0; i < n; ++i)
      ASSERT_EQ(server.result[i] ^ client.result[i], opened[i] >> (bits - 1)) << bits << " bits, element " << i;
  }
}

// What the header says, gate by gate; and beside it what the same step costs by SiRNN's building blocks.
TEST(GarbledSteps, CostIsTheHeadersAndMoreThanByOts) {
  const RequantizeSpec spec{.from = Ring(16), .to = Ring(16), .shift = 7, .relu = true};
  CostMeter m;
  garbled_requantize_cost(m, spec, 1024);
  const double gates = 128 + 256 * 14 + 256 * 8 + 128 + 256 * 7 + 128 * 7;
  const Cost cost = m.cost();
  EXPECT_EQ(cost.cots[0], 16U * 1024);
  EXPECT_EQ(cost.flights, 2U);
  EXPECT_NEAR(8.0 * static_cast<double>(cost.total_bytes()) / 1024, gates + 16 + 16, 4);
  std::printf("  ReLU, 16 bits, shift 7, back to 16: %.0f bits garbled, IKNP included\n",
              8.0 * static_cast<double>(cost.total_bytes()) / 1024 + 16 * 127);
}

TEST(GarbledSteps, AShiftByTheWholeRingIsRefused) {
  CostMeter m;
  EXPECT_THROW(garbled_requantize_cost(m, {.from = Ring(8), .to = Ring(8), .shift = 8}, 1), Error);
}

}  // namespace
}  // namespace eqo::peers
