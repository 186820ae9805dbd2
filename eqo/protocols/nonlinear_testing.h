#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "eqo/core/ring.h"
#include "eqo/testing/two_party.h"

// Helpers of the non-linear protocols' tests; never part of the product.
namespace eqo::testing {

// A shared vector, both parties' sides: additive in a ring, or bits by XOR.
struct SharedWords {
  std::array<Words, 2> side;
  const Words& of(const Context& ctx) const { return side[static_cast<std::size_t>(ctx.party)]; }
};
struct SharedBits {
  std::array<Bits, 2> side;
  const Bits& of(const Context& ctx) const { return side[static_cast<std::size_t>(ctx.party)]; }
};

inline SharedWords share(Ring ring, std::span<const Word> x, std::mt19937_64& rng) {
  SharedWords s{{Words(x.size()), Words(x.size())}};
  for (std::size_t i = 0; i < x.size(); ++i) {
    s.side[0][i] = ring.reduce(rng());
    s.side[1][i] = ring.sub(x[i], s.side[0][i]);
  }
  return s;
}

inline SharedBits share_bits(std::span<const std::uint8_t> x, std::mt19937_64& rng) {
  SharedBits s{{Bits(x.size()), Bits(x.size())}};
  for (std::size_t i = 0; i < x.size(); ++i) {
    s.side[0][i] = static_cast<std::uint8_t>(rng() & 1);
    s.side[1][i] = static_cast<std::uint8_t>(x[i] ^ s.side[0][i]);
  }
  return s;
}

// Every pair of shares of a small ring.
inline SharedWords all_shares(Ring ring) {
  SharedWords s;
  for (Word a = 0; a <= ring.mask(); ++a)
    for (Word b = 0; b <= ring.mask(); ++b) {
      s.side[0].push_back(a);
      s.side[1].push_back(b);
    }
  return s;
}

inline Words open(Ring ring, const SharedWords& s) {
  Words x(s.side[0].size());
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = ring.add(s.side[0][i], s.side[1][i]);
  return x;
}

inline Words to_words(const Bits& bits) { return Words(bits.begin(), bits.end()); }

// n numbers in [lo, hi] of the ring's signed range, the ends and their neighbours first.
inline Words numbers(Ring ring, std::int64_t lo, std::int64_t hi, std::size_t n, std::mt19937_64& rng) {
  Words x{ring.from_signed(lo), ring.from_signed(hi)};
  const Word span = static_cast<Word>(hi) - static_cast<Word>(lo);
  for (const Word d : {Word{1}, span / 2, span - 1})
    if (d <= span) x.push_back(ring.reduce(static_cast<Word>(lo) + d));
  for (const std::int64_t v : {-1, 0, 1})
    if (v >= lo && v <= hi) x.push_back(ring.from_signed(v));
  while (x.size() < n)
    x.push_back(ring.reduce(static_cast<Word>(lo) + (span == ~Word{0} ? rng() : rng() % (span + 1))));
  x.resize(n);
  return x;
}

inline Words numbers(Ring ring, std::size_t n, std::mt19937_64& rng) {
  return numbers(ring, ring.to_signed(Word{1} << (ring.bits() - 1)), ring.to_signed(ring.mask() >> 1), n, rng);
}

// What each party's step returned, opened by the test.
struct Opened {
  Words server, client;
  Words sum(Ring ring) const { return open(ring, SharedWords{{server, client}}); }
  Words bits() const {
    Words x(server.size());
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = server[i] ^ client[i];
    return x;
  }
};

// Protocols run one behind the other in one session. The run fails unless bytes, flights, COTs and the trace of
// messages are exactly what the cost functions say, and the bytes also step by step.
class Script {
 public:
  using Step = std::function<Words(Context&)>;
  using CostOf = std::function<void(CostMeter&)>;

  // Returns the step's index in run()'s result.
  std::size_t add(CostOf cost, Step step) {
    steps_.push_back({std::move(cost), std::move(step)});
    return steps_.size() - 1;
  }

  std::vector<Opened> run(unsigned threads = 1) {
    struct Party {
      std::vector<Words> results;
      std::vector<std::uint64_t> sent;
    };
    const auto all = [&](CostMeter& m) {
      for (const auto& [cost, step] : steps_) cost(m);
    };
    const auto party = [&](Context& ctx) {
      Party p;
      for (const auto& [cost, step] : steps_) {
        const std::uint64_t before = ctx.channel.traffic().sent_bytes;
        p.results.push_back(step(ctx));
        p.sent.push_back(ctx.channel.traffic().sent_bytes - before);
      }
      return p;
    };
    const OtOptions options;
    auto [server, client] = run_protocol(all, party, party, threads, options);

    EXPECT_TRUE(traffic_is(server, client, predicted(options, all)));
    CostMeter dry, traced;
    all(dry);
    traced.record_trace();
    OtPoolCost(options).reserve(traced, dry.cost().cots[0], dry.cost().cots[1]);
    all(traced);
    for (const eqo::Party from : {eqo::Party::kServer, eqo::Party::kClient}) {
      const std::vector<std::uint64_t> want = sizes(traced.trace(), from);
      EXPECT_EQ(sizes(server.trace, from), want);
      EXPECT_EQ(sizes(client.trace, from), want);
    }
    trace_ = server.trace;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      CostMeter m;
      steps_[i].cost(m);
      EXPECT_EQ(server.result.sent[i], m.cost().bytes[0]) << "step " << i;
      EXPECT_EQ(client.result.sent[i], m.cost().bytes[1]) << "step " << i;
    }
    std::vector<Opened> out;
    for (std::size_t i = 0; i < steps_.size(); ++i)
      out.push_back({std::move(server.result.results[i]), std::move(client.result.results[i])});
    return out;
  }

  // The server's trace of the last run.
  const std::vector<Message>& trace() const { return trace_; }

 private:
  struct Entry {
    CostOf cost;
    Step step;
  };
  static std::vector<std::uint64_t> sizes(const std::vector<Message>& trace, eqo::Party from) {
    std::vector<std::uint64_t> out;
    for (const Message& m : trace)
      if (m.from == from) out.push_back(m.bytes);
    return out;
  }
  std::vector<Entry> steps_;
  std::vector<Message> trace_;
};

// Pearson's chi-square of values in [0, bins) against the uniform distribution, as a standard normal deviate (Wilson
// and Hilferty's cube root): a test asks for less than kUniform, which uniform values exceed once in 10^11 times.
inline constexpr double kUniform = 7;
inline double uniformity(std::span<const Word> values, std::size_t bins) {
  std::vector<double> count(bins);
  for (const Word v : values) count.at(v) += 1;
  const double expected = static_cast<double>(values.size()) / static_cast<double>(bins);
  double chi2 = 0;
  for (const double c : count) chi2 += (c - expected) * (c - expected) / expected;
  const double freedom = static_cast<double>(bins) - 1, spread = 2 / (9 * freedom);
  return (std::cbrt(chi2 / freedom) - (1 - spread)) / std::sqrt(spread);
}

inline constexpr std::array<unsigned, 8> kWidths{1, 2, 7, 8, 31, 32, 63, 64};
inline constexpr std::array<std::size_t, 5> kSizes{1, 7, 8, 9, 1000};

// The call throws `category` and has sent nothing: run by one party alone, over a channel nobody answers on.
inline void expect_refused(Category category, const std::function<void(Context&)>& call) {
  auto [mine, peer] = make_memory_transports();
  Channel channel(Party::kServer, std::move(mine));
  struct NoOts : OtPool {
    void reserve(std::uint64_t, std::uint64_t) override {}
    CotSenderBatch take_sender(std::size_t) override { throw internal_error("took an OT"); }
    CotReceiverBatch take_receiver(std::size_t) override { throw internal_error("took an OT"); }
    std::uint64_t sender_left() const override { return 0; }
    std::uint64_t receiver_left() const override { return 0; }
  } ots;
  Prg prg = Prg::from_os();
  ThreadPool threads(1);
  Context ctx{Party::kServer, channel, ots, prg, threads};
  try {
    call(ctx);
    ADD_FAILURE() << "not refused";
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), category) << e.what();
    EXPECT_STRNE(e.what(), "took an OT");
  }
  EXPECT_EQ(channel.traffic().sent_bytes, 0U);
}

}  // namespace eqo::testing
