#include "eqo/ot/one_of_many.h"

#include <gtest/gtest.h>

#include <random>

#include "eqo/core/error.h"
#include "eqo/testing/two_party.h"

namespace eqo {
namespace {

using testing::predicted;
using testing::run_protocol;
using testing::traffic_is;

struct Case {
  Words messages;
  Bits choices;
  Words expected, tables;
};

Case random_case(unsigned m, unsigned w, std::size_t n, std::mt19937_64& rng) {
  const std::size_t values = std::size_t{1} << m;
  Case c{Words(n * values), Bits(n), Words(n), Words(n)};
  for (Word& x : c.messages) x = Ring(w).reduce(rng());
  for (std::size_t i = 0; i < n; ++i) {
    // All choices in turn, then random ones.
    c.choices[i] = static_cast<std::uint8_t>(i < values ? i : rng() % values);
    c.expected[i] = c.messages[i * values + c.choices[i]];
    for (std::size_t v = 0; v < values && values * w <= 64; ++v) c.tables[i] |= c.messages[i * values + v] << (v * w);
  }
  return c;
}

struct Transfer {
  unsigned m, w;
  std::size_t n;
  Party sender;
  bool tables;
  bool shares = false;
};

// All in one session, one after another, so that the base OTs are made once.
void run_all(const std::vector<Transfer>& runs, unsigned threads, std::uint64_t seed) {
  std::mt19937_64 rng(seed);
  std::vector<Case> cases;
  for (const Transfer& r : runs) cases.push_back(random_case(r.m, r.w, r.n, rng));
  const auto cost = [&](CostMeter& meter) {
    for (const Transfer& r : runs)
      (r.shares ? one_of_many_shares_cost : one_of_many_cost)(meter, r.sender, r.m, r.w, r.n);
  };
  const auto party = [&](Context& ctx) {
    std::vector<Words> received(runs.size());
    for (std::size_t i = 0; i < runs.size(); ++i) {
      const Transfer& r = runs[i];
      if (ctx.party != r.sender) {
        OneOfManyReceiver receiver(ctx, r.m, r.w, cases[i].choices);
        received[i] = r.shares ? receiver.finish_shares() : receiver.finish();
      } else if (r.shares) {
        received[i] = r.tables ? one_of_many_shares_of_tables(ctx, r.m, r.w, cases[i].tables)
                               : one_of_many_shares(ctx, r.m, r.w, cases[i].messages);
      } else if (r.tables) {
        one_of_many_transfer_tables(ctx, r.m, r.w, cases[i].tables);
      } else {
        one_of_many_transfer(ctx, r.m, r.w, cases[i].messages);
      }
    }
    return received;
  };
  const auto [server, client] = run_protocol(cost, party, party, threads);
  EXPECT_TRUE(traffic_is(server, client, predicted({}, cost)));
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const bool server_sends = runs[i].sender == Party::kServer;
    Words got = (server_sends ? client : server).result[i];
    const Words& share = (server_sends ? server : client).result[i];
    ASSERT_EQ(share.size(), runs[i].shares ? got.size() : 0);
    for (std::size_t k = 0; k < share.size(); ++k) got[k] ^= share[k];
    EXPECT_EQ(got, cases[i].expected) << "m " << runs[i].m << ", w " << runs[i].w << ", n " << runs[i].n;
  }
}

TEST(OneOfMany, AllChoiceWidthsAndMessageWidths) {
  std::vector<Transfer> runs;
  for (unsigned m = 1; m <= 8; ++m) {
    for (unsigned w = 1; w <= 64; w = w < 9 ? w + 1 : w * 5 / 4)
      runs.push_back({m, w, std::array<std::size_t, 4>{1, 5, 130, 300}[(m + w) % 4],
                      w % 2 == 0 ? Party::kServer : Party::kClient, false});
    runs.push_back({m, 64, 20, Party::kServer, false});
  }
  run_all(runs, 1, 1);
}

TEST(OneOfMany, Tables) {
  std::vector<Transfer> runs;
  for (unsigned m = 1; m <= 6; ++m) {
    for (unsigned w = 1; w << m <= 64; ++w) runs.push_back({m, w, 100 + w, Party::kServer, true});
  }
  run_all(runs, 1, 2);
}

TEST(OneOfMany, Shares) {
  std::vector<Transfer> runs;
  for (unsigned m = 1; m <= 8; ++m)
    for (unsigned w = 1; w <= 64; w = w < 9 ? w + 1 : w * 5 / 4)
      for (const bool tables : {false, true}) {
        if (tables && w << m > 64) continue;
        runs.push_back({m, w, std::array<std::size_t, 4>{1, 5, 130, 300}[(m + w) % 4],
                        w % 2 == 0 ? Party::kServer : Party::kClient, tables, true});
      }
  runs.push_back({3, 2, 30000, Party::kServer, true, true});
  runs.push_back({3, 2, 0, Party::kServer, true, true});
  run_all(runs, 2, 4);
}

// Whatever the choice and the message, each party's share alone is uniform.
TEST(OneOfMany, SharesAreUniform) {
  constexpr std::size_t kRuns = 8000;
  for (const unsigned choice : {0U, 2U}) {
    const auto party = [&](Context& ctx) {
      if (ctx.party == Party::kClient)
        return OneOfManyReceiver(ctx, 2, 1, Bits(kRuns, static_cast<std::uint8_t>(choice))).finish_shares();
      return one_of_many_shares_of_tables(ctx, 2, 1, Words(kRuns, 0b0101));
    };
    const auto [server, client] =
        run_protocol([](CostMeter& m) { one_of_many_shares_cost(m, Party::kServer, 2, 1, kRuns); }, party, party);
    for (const Words& share : {server.result, client.result}) {
      std::size_t ones = 0;
      for (const Word s : share) ones += s;
      EXPECT_NEAR(static_cast<double>(ones), kRuns / 2, 7 * 45);  // 7 standard deviations
    }
  }
}

TEST(OneOfMany, NothingAndMuch) {
  run_all({{4, 2, 0, Party::kServer, false},
           {4, 2, 30000, Party::kClient, true},
           {5, 9, 5000, Party::kServer, false},
           {8, 8, 3000, Party::kClient, false}},
          3, 3);
}

TEST(OneOfMany, WrongParametersAreRefused) {
  const auto cost = [](CostMeter&) {};
  const auto party = [&](Context& ctx) {
    int refused = 0;
    const auto expect_refusal = [&](const auto& f) {
      try {
        f();
      } catch (const Error& e) {
        refused += e.category() == Category::kInternal ? 1 : 0;
      }
    };
    for (const auto& [m, w] : std::vector<std::pair<unsigned, unsigned>>{{0, 1}, {9, 1}, {1, 0}, {1, 65}}) {
      expect_refusal([&] { OneOfManyReceiver(ctx, m, w, Bits{}); });
      expect_refusal([&] { one_of_many_transfer(ctx, m, w, Words{}); });
    }
    expect_refusal([&] { one_of_many_transfer(ctx, 2, 1, Words(7)); });
    expect_refusal([&] { one_of_many_transfer_tables(ctx, 6, 2, Words(1)); });
    return refused;
  };
  const auto [server, client] = run_protocol(cost, party, party);
  EXPECT_EQ(server.result, 10);
  EXPECT_EQ(client.result, 10);
}

}  // namespace
}  // namespace eqo
