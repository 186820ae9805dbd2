#pragma once
#include <string>
#include <vector>

#include "eqo/peers/peer_context.h"
#include "eqo/protocols/nonlinear_testing.h"

// Helpers of the peers' tests; never part of the product.
namespace eqo::peers::testing {

using namespace eqo::testing;

inline OtOptions iknp() { return {.kind = OtKind::kSoftSpoken, .softspoken_k = 1}; }

// Protocols run one behind the other in one session; the run fails unless bytes and flights are exactly what the cost
// functions say, the bytes also step by step.
class PeerScript {
 public:
  using Step = std::function<Words(PeerContext&)>;
  using CostOf = std::function<void(CostMeter&)>;

  std::size_t add(CostOf cost, Step step) {
    steps_.push_back({std::move(cost), std::move(step)});
    return steps_.size() - 1;
  }

  std::vector<Opened> run(unsigned threads = 1) {
    struct Side {
      std::vector<Words> results;
      std::vector<std::uint64_t> sent;
    };
    const auto all = [&](CostMeter& m) {
      kkot_setup_cost(m);
      for (const auto& [cost, step] : steps_) cost(m);
    };
    const auto party = [&](Context& base) {
      Kkot kkot(base.channel, base.prg, base.threads);
      PeerContext ctx{base, kkot};
      Side side;
      for (const auto& [cost, step] : steps_) {
        const std::uint64_t before = ctx.channel.traffic().sent_bytes;
        side.results.push_back(step(ctx));
        side.sent.push_back(ctx.channel.traffic().sent_bytes - before);
      }
      return side;
    };
    auto [server, client] = run_protocol(all, party, party, threads, iknp());
    EXPECT_TRUE(traffic_is(server, client, predicted(iknp(), all)));
    std::vector<Opened> out;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      CostMeter m;
      steps_[i].cost(m);
      EXPECT_EQ(server.result.sent[i], m.cost().bytes[0]) << "step " << i;
      EXPECT_EQ(client.result.sent[i], m.cost().bytes[1]) << "step " << i;
      out.push_back({std::move(server.result.results[i]), std::move(client.result.results[i])});
    }
    return out;
  }

 private:
  struct Entry {
    CostOf cost;
    Step step;
  };
  std::vector<Entry> steps_;
};

// All bytes of a protocol, those of its IKNP included and base OTs not, that were measured by running it.
inline double measured_bytes(const PeerScript::CostOf& cost, const PeerScript::Step& step) {
  const auto party = [&](Context& base) {
    Kkot kkot(base.channel, base.prg, base.threads);
    PeerContext ctx{base, kkot};
    return step(ctx);
  };
  const auto all = [&](CostMeter& m) {
    kkot_setup_cost(m);
    cost(m);
  };
  const auto [server, client] = run_protocol(all, party, party, 2, iknp());
  EXPECT_TRUE(traffic_is(server, client, predicted(iknp(), all)));
  CostMeter setup;
  kkot_setup_cost(setup);
  return static_cast<double>(server.traffic.sent_bytes + server.traffic.received_bytes - setup.cost().total_bytes());
}

// The published figure, and what it costs here: at most 3 % more, and less only down to `least` of it, for a reason
// that the protocol's header states.
inline void expect_cost(const std::string& what, double published, double here, double least = 0.985) {
  ::testing::Test::RecordProperty(what, std::to_string(here));
  std::printf("%-42s published %9.1f  here %9.1f  (%+.2f %%)\n", what.c_str(), published, here,
              100 * (here / published - 1));
  EXPECT_LE(here, 1.03 * published) << what;
  EXPECT_GE(here, least * published) << what;
}

// Bits per element are the same for the 65,536 of the published table, but for the frames.
inline constexpr std::size_t kElements = 8192;
inline void expect_bits(const std::string& what, double published, const PeerScript::CostOf& cost,
                        const PeerScript::Step& step, double least = 0.985) {
  expect_cost(what, published, 8 * measured_bytes(cost, step) / static_cast<double>(kElements), least);
}

}  // namespace eqo::peers::testing
