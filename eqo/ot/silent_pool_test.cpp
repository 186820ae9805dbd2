#include "eqo/ot/silent_pool.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include <cstring>
#include <random>
#include <set>

#include "eqo/core/error.h"
#include "eqo/ot/softspoken_pool.h"
#include "eqo/testing/two_party.h"

namespace eqo {
namespace {

using testing::run_two_channels;
using Point = std::array<unsigned char, 32>;

OtOptions silent(unsigned server_set, unsigned client_set) {
  OtOptions o;
  o.kind = OtKind::kSilent;
  o.silent_set = {static_cast<std::uint8_t>(server_set), static_cast<std::uint8_t>(client_set)};
  return o;
}

struct Step {
  std::uint64_t server_sends, client_sends;
};

// One party's view after one step: of what it took the first kDense and every 16th, and its traffic so far.
constexpr std::size_t kDense = 1 << 16;
struct View {
  std::size_t sent = 0, received = 0;
  Blocks q, t;
  Bits choices;
  Block delta;
  std::uint64_t first_sent = 0, first_received = 0;
  Traffic traffic;
};

struct Views {
  Traffic setup;
  std::vector<View> steps;
  std::vector<Message> trace;
};

// Reserves each step; takes all of it, or every other time a part of it, so that the windows move.
std::pair<Views, Views> run_steps(const OtOptions& options, const std::vector<Step>& steps, unsigned threads = 1) {
  const auto party = [&](Channel& ch) {
    Prg prg = Prg::from_os();
    ThreadPool pool(threads);
    ch.record_trace();
    const auto ot = make_ot_pool(ch, prg, pool, options);
    Views out;
    out.setup = ch.traffic();
    const bool server = ch.party() == Party::kServer;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const Step& s = steps[i];
      ot->reserve(server ? s.server_sends : s.client_sends, server ? s.client_sends : s.server_sends);
      const auto part = [&](std::uint64_t left) { return i % 2 == 1 && i + 1 < steps.size() ? left / 2 : left; };
      const CotSenderBatch sent = ot->take_sender(part(ot->sender_left()));
      const CotReceiverBatch received = ot->take_receiver(part(ot->receiver_left()));
      View v;
      v.sent = sent.q.size();
      v.received = received.t.size();
      for (std::size_t j = 0; j < v.sent; j += j < kDense ? 1 : 16) v.q.push_back(sent.q[j]);
      for (std::size_t j = 0; j < v.received; j += j < kDense ? 1 : 16) {
        v.t.push_back(received.t[j]);
        v.choices.push_back(received.choices[j]);
      }
      v.delta = sent.delta;
      v.first_sent = sent.first_index;
      v.first_received = received.first_index;
      v.traffic = ch.traffic();
      out.steps.push_back(std::move(v));
    }
    EXPECT_EQ(ot->sender_left() + ot->receiver_left(), 0U);
    out.trace = ch.trace();
    return out;
  };
  return run_two_channels(party, party);
}

// COTs and their indices; no block comes twice, within a step or from one step to another.
void expect_correlated(const Views& sender, const Views& receiver) {
  std::uint64_t index = 0;
  std::set<std::pair<std::uint64_t, std::uint64_t>> seen;
  for (std::size_t i = 0; i < sender.steps.size(); ++i) {
    const View &s = sender.steps[i], &r = receiver.steps[i];
    ASSERT_EQ(s.sent, r.received);
    ASSERT_EQ(s.q.size(), r.t.size());
    EXPECT_EQ(s.first_sent, index);
    EXPECT_EQ(r.first_received, index);
    EXPECT_EQ(s.delta, sender.steps[0].delta);
    index += s.sent;
    for (std::size_t j = 0; j < s.q.size(); ++j) {
      ASSERT_LE(r.choices[j], 1);
      ASSERT_EQ(r.t[j], s.q[j] ^ masked(r.choices[j], s.delta)) << "step " << i << ", COT " << j;
      if (j % 16 != 0) continue;
      ASSERT_TRUE(seen.insert({s.q[j].lo, s.q[j].hi}).second);
    }
  }
}

std::vector<std::uint64_t> sizes(const std::vector<Message>& trace, Party from) {
  std::vector<std::uint64_t> out;
  for (const Message& m : trace) {
    if (m.from == from) out.push_back(m.bytes);
  }
  return out;
}

// Bytes, flights and each message, after each step.
void expect_cost(const OtOptions& options, const std::vector<Step>& steps, const Views& server, const Views& client) {
  OtPoolCost pool(options);
  CostMeter meter;
  meter.record_trace();
  const auto expect = [&](const Traffic& s, const Traffic& c) {
    const Cost cost = meter.cost();
    EXPECT_EQ(s, (Traffic{cost.bytes[0], cost.bytes[1], cost.flights}));
    EXPECT_EQ(c, (Traffic{cost.bytes[1], cost.bytes[0], cost.flights}));
  };
  pool.setup(meter);
  expect(server.setup, client.setup);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    SCOPED_TRACE("step " + std::to_string(i));
    pool.reserve(meter, steps[i].server_sends, steps[i].client_sends);
    expect(server.steps[i].traffic, client.steps[i].traffic);
  }
  for (const Party from : {Party::kServer, Party::kClient}) {
    const std::vector<std::uint64_t> want = sizes(meter.trace(), from);
    EXPECT_EQ(sizes(server.trace, from), want);
    EXPECT_EQ(sizes(client.trace, from), want);
  }
}

void check(const OtOptions& options, const std::vector<Step>& steps, unsigned threads = 1) {
  const auto [server, client] = run_steps(options, steps, threads);
  expect_correlated(server, client);
  expect_correlated(client, server);
  expect_cost(options, steps, server, client);
}

// Every set: a start, what is spare, and iterations that live on the last one's seeds.
class SilentSetTest : public ::testing::TestWithParam<unsigned> {};

TEST_P(SilentSetTest, IterationsFeedThemselves) {
  const unsigned set = GetParam();
  const std::uint64_t net = kLpnSets[set].net();
  check(silent(set, 0), {{1, 0}, {net / 2, 7}, {net, 0}}, 1 + set % 3);
}

INSTANTIATE_TEST_SUITE_P(AllSets, SilentSetTest, ::testing::Range(0U, kLpnSetCount));

TEST(SilentPool, RandomSequences) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 rng(seed);
    const OtOptions options = silent(rng() % 3 == 0, rng() % 3 == 0);
    std::vector<Step> steps;
    const auto some = [&]() -> std::uint64_t {
      switch (rng() % 4) {
        case 0:
          return 0;
        case 1:
          return rng() % 100;
        case 2:
          return rng() % 100000;
        default:
          return rng() % 1200000;
      }
    };
    for (std::size_t i = 0, n = 1 + rng() % 5; i < n; ++i) steps.push_back({some(), some()});
    check(options, steps, 1 + static_cast<unsigned>(rng() % 3));
  }
}

TEST(SilentPool, OneReserveOfSeveralIterationsIsTwoFlightsAtMost) {
  const OtOptions options = silent(0, 0);
  const std::uint64_t net = kLpnSets[0].net();
  check(options, {{3 * net, 2 * net + 1}, {net + 1, 2 * net}, {1, 0}});
  OtPoolCost pool(options);
  CostMeter meter;
  pool.setup(meter);
  std::uint64_t last = meter.cost().flights;
  const auto flights = [&](std::uint64_t server, std::uint64_t client) {
    pool.reserve(meter, server, client);
    return meter.cost().flights - std::exchange(last, meter.cost().flights);
  };
  EXPECT_EQ(flights(0, 0), 0U);
  EXPECT_EQ(flights(3 * net, 3 * net), 2U);
  EXPECT_EQ(flights(2 * net, 2 * net), 1U);
}

// A direction that nobody wants sends nothing after setup.
TEST(SilentPool, UnusedDirectionCostsNothing) {
  OtPoolCost pool(silent(1, 1));
  CostMeter meter;
  pool.setup(meter);
  const Cost before = meter.cost();
  pool.reserve(meter, 1000000, 0);
  const Cost first = meter.cost();
  pool.reserve(meter, 2000000, 0);
  EXPECT_GT(first.bytes[1], before.bytes[1]);        // the first seeds
  EXPECT_EQ(meter.cost().bytes[1], first.bytes[1]);  // never again
  EXPECT_EQ(pool.generated(Party::kClient), 0U);
  EXPECT_GE(pool.generated(Party::kServer), 3000000U);
}

TEST(SilentPool, PricesAreTheAmortizedOnes) {
  for (unsigned set = 0; set < kLpnSetCount; ++set) {
    const OtOptions options = silent(set, set);
    OtPoolCost pool(options);
    CostMeter meter;
    pool.setup(meter);
    pool.reserve(meter, 1, 0);
    const Cost before = meter.cost();
    const std::uint64_t n = 10 * kLpnSets[set].net();
    pool.reserve(meter, n, 0);
    const double bits = 8 * static_cast<double>(meter.cost().bytes[0] - before.bytes[0]) / static_cast<double>(n);
    const double price = cot_sixteenths(options, Party::kServer) / 16.0;
    EXPECT_NEAR(price, bits, 0.07);
    EXPECT_GE(price + 0.01, bits);
    EXPECT_LT(bits, set == 0 ? 1.3 : 0.7);
  }
  for (unsigned k = 1; k <= 8; ++k)
    EXPECT_EQ(cot_sixteenths({.softspoken_k = k}, Party::kClient), 16 * ((127 + k) / k - 1));
}

TEST(SilentPool, MemoryIsPlanned) {
  OtPoolCost pool(silent(2, 0));
  CostMeter meter;
  EXPECT_LT(pool.memory_bytes(), 5U << 20);
  pool.reserve(meter, 5000000, 0);
  const std::uint64_t one = pool.memory_bytes();
  const std::uint64_t set = kLpnSets[2].outputs() * 17;
  EXPECT_GE(one, set);
  EXPECT_LT(one, set * 13 / 10);
}

TEST(SilentPool, UnknownSetsAreRefused) {
  for (const auto& [a, b] : {std::pair{4U, 0U}, std::pair{0U, 4U}, std::pair{255U, 255U}}) {
    try {
      OtPoolCost pool(silent(a, b));
      ADD_FAILURE();
    } catch (const Error& e) {
      EXPECT_EQ(e.category(), Category::kUsage);
    }
  }
}

// A peer whose messages are shorter or longer than they must be, at any step of setup and a direction's start.
TEST(SilentPool, MessagesOfWrongLengthAreProtocolErrors) {
  const std::uint64_t start =
      softspoken_message_bytes(Forest(SilentSchedule::kSeedK), softspoken_blocks(kLpnSets[0].seeds()));
  const std::uint64_t trees = kLpnSets[0].message_bytes(SilentSchedule::kTreesPerMessage);
  // A, 128 points, SoftSpoken's trees, then as the COTs' receiver seeds, or as their sender trees.
  const std::array<std::vector<std::uint64_t>, 2> lengths{
      std::vector<std::uint64_t>{32, 128 * 32, Forest(SilentSchedule::kSeedK).message_bytes(), start},
      std::vector<std::uint64_t>{32, 128 * 32, Forest(SilentSchedule::kSeedK).message_bytes(), trees, trees}};
  for (std::size_t role = 0; role < 2; ++role) {
    for (std::size_t step = 0; step < lengths[role].size(); ++step) {
      for (const int extra : {-1, 1}) {
        SCOPED_TRACE(std::to_string(role) + ", " + std::to_string(step) + ", " + std::to_string(extra));
        Category seen = Category::kInternal;
        const auto honest = [&](Channel& ch) {
          try {
            Prg prg = Prg::from_os();
            ThreadPool threads(1);
            make_ot_pool(ch, prg, threads, silent(0, 0))->reserve(role == 0 ? 1 : 0, role == 0 ? 0 : 1);
          } catch (const Error& e) {
            seen = e.category();
          }
          ch.close();
          return 0;
        };
        const auto hostile = [&](Channel& ch) {
          try {
            Point p;
            for (std::size_t i = 0; i <= step; ++i) {
              if (role == 1 && i == 3) ch.recv(start);
              std::uint64_t n = lengths[role][i];
              if (i == step) n = extra < 0 ? n - 1 : n + 1;
              Bytes message(n, std::byte{0x5a});
              for (std::size_t at = 0; i < 2 && at + 32 <= message.size(); at += 32) {
                crypto_core_ristretto255_random(p.data());
                std::memcpy(message.data() + at, p.data(), 32);
              }
              ch.send(message);
              if (i < 3) ch.recv(lengths[role][i]);
            }
            ch.recv(std::uint64_t{1});  // until the honest side closes
          } catch (const Error&) {
          }
          return 0;
        };
        run_two_channels(honest, hostile);
        EXPECT_EQ(seen, Category::kProtocol);
      }
    }
  }
}

}  // namespace
}  // namespace eqo
