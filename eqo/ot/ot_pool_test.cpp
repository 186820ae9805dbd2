#include "eqo/ot/ot_pool.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include <cstring>
#include <set>

#include "eqo/core/error.h"
#include "eqo/testing/two_party.h"

namespace eqo {
namespace {

using testing::run_two_channels;
using Point = std::array<unsigned char, 32>;

struct Taken {
  std::vector<Block> q, t;
  std::vector<std::uint8_t> choices;
  Block delta;
  std::uint64_t first_sent = 0, first_received = 0;
  Traffic setup, traffic;
};

Taken take_all(OtPool& pool, std::uint64_t as_sender, std::uint64_t as_receiver) {
  const CotSenderBatch s = pool.take_sender(as_sender);
  const CotReceiverBatch r = pool.take_receiver(as_receiver);
  Taken out;
  out.q.assign(s.q.begin(), s.q.end());
  out.t.assign(r.t.begin(), r.t.end());
  out.choices.assign(r.choices.begin(), r.choices.end());
  out.delta = s.delta;
  out.first_sent = s.first_index;
  out.first_received = r.first_index;
  return out;
}

struct Step {
  std::uint64_t server_sends, client_sends;
};

// Both parties reserve each step and take it all; one result a step.
std::pair<std::vector<Taken>, std::vector<Taken>> run_steps(const OtOptions& options, const std::vector<Step>& steps,
                                                            unsigned threads = 1) {
  const auto party = [&](Channel& ch) {
    Prg prg = Prg::from_os();
    ThreadPool pool(threads);
    const auto ot = make_ot_pool(ch, prg, pool, options);
    const Traffic setup = ch.traffic();
    std::vector<Taken> out;
    for (const Step& s : steps) {
      const bool server = ch.party() == Party::kServer;
      const std::uint64_t send = server ? s.server_sends : s.client_sends;
      const std::uint64_t receive = server ? s.client_sends : s.server_sends;
      ot->reserve(send, receive);
      EXPECT_EQ(ot->sender_left(), send);
      EXPECT_EQ(ot->receiver_left(), receive);
      out.push_back(take_all(*ot, send, receive));
      out.back().setup = setup;
      out.back().traffic = ch.traffic();
    }
    return out;
  };
  return run_two_channels(party, party);
}

void expect_correlated(const Taken& sender, const Taken& receiver) {
  ASSERT_EQ(sender.q.size(), receiver.t.size());
  ASSERT_EQ(sender.q.size(), receiver.choices.size());
  EXPECT_EQ(sender.first_sent, receiver.first_received);
  for (std::size_t i = 0; i < sender.q.size(); ++i) {
    ASSERT_LE(receiver.choices[i], 1);
    ASSERT_EQ(receiver.t[i], sender.q[i] ^ masked(receiver.choices[i], sender.delta)) << "COT " << i;
  }
}

class SoftSpokenTest : public ::testing::TestWithParam<unsigned> {};

TEST_P(SoftSpokenTest, CorrelationAndCostForAllSizes) {
  const OtOptions options{.softspoken_k = GetParam()};
  const std::vector<Step> steps{{0, 0},   {1, 0},      {0, 1},       {127, 128}, {128, 129},
                                {129, 7}, {1000, 999}, {8192, 8193}, {0, 20000}, {30001, 0}};
  const auto [server, client] = run_steps(options, steps);
  CostMeter meter;
  OtPoolCost pool(options);
  pool.setup(meter);
  std::uint64_t server_index = 0, client_index = 0;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    SCOPED_TRACE("step " + std::to_string(i));
    if (i == 0) {
      const Cost setup = meter.cost();
      EXPECT_EQ(server[0].setup, (Traffic{setup.bytes[0], setup.bytes[1], setup.flights}));
      EXPECT_EQ(client[0].setup, (Traffic{setup.bytes[1], setup.bytes[0], setup.flights}));
    }
    expect_correlated(server[i], client[i]);
    expect_correlated(client[i], server[i]);
    EXPECT_EQ(server[i].first_sent, server_index);
    EXPECT_EQ(client[i].first_sent, client_index);
    server_index += steps[i].server_sends;
    client_index += steps[i].client_sends;
    pool.reserve(meter, steps[i].server_sends, steps[i].client_sends);
    const Cost cost = meter.cost();
    EXPECT_EQ(server[i].traffic, (Traffic{cost.bytes[0], cost.bytes[1], cost.flights}));
    EXPECT_EQ(client[i].traffic, (Traffic{cost.bytes[1], cost.bytes[0], cost.flights}));
  }
}

INSTANTIATE_TEST_SUITE_P(AllK, SoftSpokenTest, ::testing::Range(1U, 9U));

TEST(OtPool, ManyCotsOnSeveralThreads) {
  for (const Step& step : {Step{100000, 0}, Step{65536, 100000}, Step{0, 200000}}) {
    const auto [server, client] = run_steps({}, {step}, 3);
    expect_correlated(server[0], client[0]);
    expect_correlated(client[0], server[0]);
  }
}

// Leftovers survive a reserve, in order, and nothing is handed out twice or beyond what there is.
TEST(OtPool, LeftoversAreKeptAndEachIsTakenOnce) {
  const auto party = [](Channel& ch) {
    Prg prg = Prg::from_os();
    ThreadPool threads(1);
    const auto ot = make_ot_pool(ch, prg, threads, {});
    std::vector<Taken> out;
    const auto take = [&](std::uint64_t s, std::uint64_t r) { out.push_back(take_all(*ot, s, r)); };
    const auto refuses = [&](const auto& f) {
      try {
        f();
      } catch (const Error& e) {
        return e.category() == Category::kInternal;
      }
      return false;
    };
    EXPECT_TRUE(refuses([&] { ot->take_sender(1); }));
    EXPECT_TRUE(refuses([&] { ot->take_receiver(1); }));
    ot->reserve(300, 300);
    EXPECT_TRUE(refuses([&] { ot->take_sender(301); }));
    take(100, 100);
    ot->reserve(5, 5);
    EXPECT_EQ(ot->sender_left(), 205U);
    take(201, 201);
    EXPECT_TRUE(refuses([&] { ot->take_receiver(5); }));
    take(4, 4);
    ot->reserve(1000, 1000);
    take(400, 400);
    ot->reserve(20, 20);  // fits in the room that is there
    take(620, 620);
    EXPECT_EQ(ot->sender_left(), 0U);
    EXPECT_EQ(ot->receiver_left(), 0U);
    return out;
  };
  const auto [server, client] = run_two_channels(party, party);
  std::uint64_t index = 0;
  std::set<std::pair<std::uint64_t, std::uint64_t>> seen;
  for (std::size_t i = 0; i < server.size(); ++i) {
    expect_correlated(server[i], client[i]);
    expect_correlated(client[i], server[i]);
    EXPECT_EQ(server[i].first_sent, index);
    index += server[i].q.size();
    for (const Block& b : server[i].q) seen.insert({b.lo, b.hi});
  }
  EXPECT_EQ(seen.size(), index);
}

// Several messages each way: a flight each; one way: one flight however many messages.
TEST(OtPool, LargeReservesGoInSeveralMessages) {
  for (const auto& [k, step] :
       std::vector<std::pair<unsigned, Step>>{{1, {1300000, 1100001}}, {1, {0, 1100000}}, {4, {200000, 0}}}) {
    const OtOptions options{.softspoken_k = k};
    const auto [server, client] = run_steps(options, {step});
    expect_correlated(server[0], client[0]);
    expect_correlated(client[0], server[0]);
    CostMeter meter;
    OtPoolCost pool(options);
    pool.setup(meter);
    const std::uint64_t setup = meter.cost().flights;
    pool.reserve(meter, step.server_sends, step.client_sends);
    const Cost cost = meter.cost();
    EXPECT_EQ(server[0].traffic, (Traffic{cost.bytes[0], cost.bytes[1], cost.flights}));
    EXPECT_EQ(client[0].traffic, (Traffic{cost.bytes[1], cost.bytes[0], cost.flights}));
    EXPECT_EQ(cost.flights - setup, step.server_sends > 0 && step.client_sends > 0 ? 2U : 1U);
  }
}

// At most 128 bits an OT with its choice correction, and ceil(128 / k) - 1 in general.
TEST(OtPool, BitsForEachOt) {
  for (unsigned k = 1; k <= 8; ++k) {
    CostMeter meter;
    constexpr std::uint64_t kN = 1 << 16;
    OtPoolCost(OtOptions{.softspoken_k = k}).reserve(meter, kN, 0);
    EXPECT_EQ(meter.cost().bytes[0], 0U);
    EXPECT_EQ(meter.cost().bytes[1], framed_bytes(kN / 8 * ((127 + k) / k - 1)));
  }
}

// Choices and the bits of q are balanced, and two sessions or two rows have nothing in common.
TEST(OtPool, Statistics) {
  constexpr std::uint64_t kN = 1 << 16;
  const auto [a, b] = run_steps({}, {{kN, kN}});
  const auto [c, d] = run_steps({}, {{kN, kN}});
  const double sigma = 128;  // sqrt(2^16) / 2
  const auto near_half = [&](std::uint64_t ones) { EXPECT_NEAR(static_cast<double>(ones), kN / 2.0, 7 * sigma); };
  EXPECT_NE(a[0].delta, b[0].delta);
  EXPECT_NE(a[0].delta, c[0].delta);
  for (const Taken* t : {&a[0], &b[0], &c[0], &d[0]}) {
    std::uint64_t ones = 0;
    std::array<std::uint64_t, 128> bits{};
    for (std::size_t i = 0; i < kN; ++i) {
      ones += t->choices[i];
      for (std::size_t j = 0; j < 128; ++j) bits[j] += (j < 64 ? t->q[i].lo : t->q[i].hi) >> (j % 64) & 1;
    }
    near_half(ones);
    for (const std::uint64_t k : bits) near_half(k);
  }
  std::uint64_t choices = 0, q = 0, ways = 0, next = 0;
  for (std::size_t i = 0; i < kN; ++i) {
    choices += a[0].choices[i] ^ c[0].choices[i];
    q += (a[0].q[i].lo ^ c[0].q[i].lo) & 1;
    ways += (a[0].q[i].lo ^ b[0].q[i].lo) & 1;
    next += a[0].choices[i] ^ a[0].choices[(i + 128) % kN];
  }
  for (const std::uint64_t k : {choices, q, ways, next}) near_half(k);
}

// A peer whose messages are shorter or longer than they must be, at any step of setup and reserve.
TEST(OtPool, MessagesOfWrongLengthAreProtocolErrors) {
  for (int step = 0; step < 4; ++step) {
    for (const int extra : {-1, 1}) {
      SCOPED_TRACE(std::to_string(step) + ", " + std::to_string(extra));
      Category seen = Category::kInternal;
      const auto honest = [&](Channel& ch) {
        try {
          Prg prg = Prg::from_os();
          ThreadPool threads(1);
          make_ot_pool(ch, prg, threads, {.softspoken_k = 4})->reserve(128, 0);
        } catch (const Error& e) {
          seen = e.category();
        }
        ch.close();
        return 0;
      };
      // Of the right lengths up to `step`: A, 128 points, the trees' sums, the corrections.
      const std::array<std::size_t, 4> lengths{32, 128 * 32, 96 * 32, 31 * 16};
      const auto hostile = [&](Channel& ch) {
        try {
          Point p;
          for (int i = 0; i <= step; ++i) {
            Bytes message(static_cast<std::size_t>(static_cast<long>(lengths[static_cast<std::size_t>(i)]) +
                                                   (i == step ? extra : 0)));
            for (std::size_t at = 0; i < 2 && at + 32 <= message.size(); at += 32) {
              crypto_core_ristretto255_random(p.data());
              std::memcpy(message.data() + at, p.data(), 32);
            }
            ch.send(message);
            if (i < 3) ch.recv(lengths[static_cast<std::size_t>(i)]);
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

TEST(OtPool, TooManyAreRefusedBeforeAnythingIsAllocatedOrSent) {
  CostMeter meter;
  try {
    OtPoolCost(OtOptions{}).reserve(meter, std::uint64_t{1} << 41, 0);
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), Category::kResource);
  }
}

}  // namespace
}  // namespace eqo
