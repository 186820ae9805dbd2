#include "eqo/ot/kkot.h"

#include <gtest/gtest.h>

#include <random>

#include "eqo/core/error.h"
#include "eqo/testing/two_party.h"

namespace eqo {
namespace {

using testing::predicted;
using testing::run_protocol;
using testing::traffic_is;

struct Transfer {
  unsigned m, w;
  std::size_t n;
  Party sender;
  bool tables = false;
};

// All in one session, one after another.
void run_all(const std::vector<Transfer>& runs, unsigned threads, std::uint64_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng(seed);
  std::vector<Words> messages;
  std::vector<Bits> choices;
  for (const Transfer& r : runs) {
    const std::size_t values = std::size_t{1} << r.m;
    Words words(r.n * values);
    for (Word& x : words) x = Ring(r.w).reduce(rng());
    Bits own(r.n);
    for (std::size_t i = 0; i < r.n; ++i) own[i] = static_cast<std::uint8_t>(i < values ? i : rng() % values);
    messages.push_back(std::move(words));
    choices.push_back(std::move(own));
  }
  const auto cost = [&](CostMeter& meter) {
    kkot_setup_cost(meter);
    for (const Transfer& r : runs) kkot_cost(meter, r.sender, r.m, r.w, r.n);
  };
  const auto party = [&](Context& ctx) {
    Kkot kkot(ctx.channel, ctx.prg, ctx.threads);
    std::vector<Words> received(runs.size());
    for (std::size_t k = 0; k < runs.size(); ++k) {
      const Transfer& r = runs[k];
      const std::size_t values = std::size_t{1} << r.m;
      if (ctx.party != r.sender) {
        received[k] = KkotReceiver(ctx, kkot, r.m, r.w, choices[k]).finish();
      } else if (r.tables) {
        Words tables(r.n);
        for (std::size_t i = 0; i < messages[k].size(); ++i) tables[i / values] |= messages[k][i] << (i % values * r.w);
        kkot_transfer_tables(ctx, kkot, r.m, r.w, tables);
      } else {
        kkot_transfer(ctx, kkot, r.m, r.w, messages[k]);
      }
    }
    return received;
  };
  const auto [server, client] = run_protocol(cost, party, party, threads);
  EXPECT_TRUE(traffic_is(server, client, predicted({}, cost)));
  for (std::size_t k = 0; k < runs.size(); ++k) {
    const Words& got = (runs[k].sender == Party::kServer ? client : server).result[k];
    Words expected(runs[k].n);
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] = messages[k][(i << runs[k].m) + choices[k][i]];
    EXPECT_EQ(got, expected) << "m " << runs[k].m << ", w " << runs[k].w << ", n " << runs[k].n;
  }
}

TEST(Kkot, AllChoiceWidthsAndMessageWidths) {
  std::vector<Transfer> runs;
  for (unsigned m = 1; m <= 8; ++m) {
    for (const unsigned w : {1U, 2U, 3U, 8U, 33U, 64U})
      runs.push_back({m, w, std::array<std::size_t, 4>{1, 127, 128, 300}[(m + w) % 4],
                      w % 2 == 0 ? Party::kServer : Party::kClient});
    if (m <= 6) runs.push_back({m, 1, 200, Party::kServer, true});
  }
  run_all(runs, 1, std::random_device{}());
}

TEST(Kkot, ManyOnTwoThreadsAndNone) {
  run_all({{4, 2, 70000, Party::kServer, true},
           {4, 2, 0, Party::kServer, true},
           {4, 1, 9000, Party::kClient, true},
           {2, 40, 8193, Party::kServer}},
          2, std::random_device{}());
}

// What the paper and the public implementation send: 256 bits, whatever m, and the messages.
TEST(Kkot, BitsPerOt) {
  for (const auto& [m, w, bits] : std::vector<std::array<unsigned, 3>>{{4, 2, 288}, {4, 1, 272}, {2, 1, 260}}) {
    CostMeter meter;
    meter.record_trace();
    kkot_cost(meter, Party::kServer, m, w, 65536);
    std::uint64_t bytes = 0;
    for (const Message& message : meter.trace()) bytes += message.bytes;
    EXPECT_EQ(8 * bytes, std::uint64_t{bits} * 65536);
    EXPECT_EQ(meter.cost().flights, 2U);
  }
}

// What the receiver did not choose is masked: messages of zero leave nothing but uniform pads.
TEST(Kkot, PadsOfOtherMessagesDiffer) {
  constexpr std::size_t kRuns = 4000;
  const auto party = [&](Context& ctx) {
    Kkot kkot(ctx.channel, ctx.prg, ctx.threads);
    if (ctx.party == Party::kServer) {
      kkot_transfer(ctx, kkot, 2, 20, Words(4 * kRuns));
      return Words{};
    }
    // The reply, read as it is on the wire: the pads themselves.
    KkotReceiver receiver(ctx, kkot, 2, 20, Bits(kRuns, 1));
    return ctx.channel.recv_words(4 * kRuns, 20);
  };
  const auto [server, client] =
      run_protocol([](CostMeter& m) { kkot_cost(m, Party::kServer, 2, 20, kRuns); }, party, party);
  std::size_t same = 0, ones = 0;
  for (std::size_t i = 0; i < kRuns; ++i)
    for (std::size_t v = 0; v < 4; ++v) {
      same += v != 1 && client.result[4 * i + v] == client.result[4 * i + 1] ? 1 : 0;
      ones += client.result[4 * i + v] & 1;
    }
  EXPECT_LE(same, 2U);
  EXPECT_NEAR(static_cast<double>(ones), 2 * kRuns, 7 * 64);  // 7 standard deviations
}

TEST(Kkot, WrongParametersAreRefused) {
  const auto party = [&](Context& ctx) {
    Kkot kkot(ctx.channel, ctx.prg, ctx.threads);
    int refused = 0;
    const auto expect_refusal = [&](const auto& f) {
      try {
        f();
      } catch (const Error& e) {
        refused += e.category() == Category::kInternal ? 1 : 0;
      }
    };
    for (const auto& [m, w] : std::vector<std::pair<unsigned, unsigned>>{{0, 1}, {9, 1}, {1, 0}, {1, 65}}) {
      expect_refusal([&] { KkotReceiver(ctx, kkot, m, w, Bits{}); });
      expect_refusal([&] { kkot_transfer(ctx, kkot, m, w, Words{}); });
    }
    expect_refusal([&] { kkot_transfer(ctx, kkot, 2, 1, Words(7)); });
    expect_refusal([&] { kkot_transfer_tables(ctx, kkot, 6, 2, Words(1)); });
    return refused;
  };
  const auto [server, client] = run_protocol([](CostMeter&) {}, party, party);
  EXPECT_EQ(server.result, 10);
  EXPECT_EQ(client.result, 10);
}

}  // namespace
}  // namespace eqo
