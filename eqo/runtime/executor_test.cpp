#include "eqo/runtime/executor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "eqo/core/bits.h"
#include "eqo/model/testing/random_model.h"
#include "eqo/model/testing/small_models.h"
#include "eqo/model/twin.h"
#include "eqo/net/memory_transport.h"
#include "eqo/net/simulated_link.h"
#include "eqo/net/testing/expect_error.h"
#include "eqo/passes/passes.h"
#include "eqo/planner/step_params.h"
#include "eqo/runtime/control.h"

namespace eqo {
namespace {

constexpr std::size_t kServer = 0, kClient = 1;

// One party's end of a connection, with its OTs. One session of this serves many graphs: base OTs are slow.
struct PartyEnd {
  PartyEnd(Party party, std::unique_ptr<Transport> transport, unsigned n)
      : channel(party, std::move(transport)), prg(Prg::from_os()), threads(n) {
    channel.record_trace();
  }
  void make_pool(const OtOptions& options) {
    ot = make_ot_pool(channel, prg, threads, options);
    ctx.emplace(Context{channel.party(), channel, *ot, prg, threads});
  }
  Channel channel;
  Prg prg;
  ThreadPool threads;
  std::unique_ptr<OtPool> ot;
  std::optional<Context> ctx;
};

// Traffic between two moments.
struct Spent {
  std::array<std::uint64_t, 2> bytes{};  // by sender
  std::uint64_t flights = 0;
  std::array<std::vector<std::uint64_t>, 2> sizes;  // of the messages, by sender
  friend bool operator==(const Spent&, const Spent&) = default;
};

class TwoParties {
 public:
  TwoParties(const ExecOptions& options, unsigned threads) : options_(options) {
    auto [a, b] = make_memory_transports();
    ends_[kServer] = std::make_unique<PartyEnd>(Party::kServer, std::move(a), threads);
    ends_[kClient] = std::make_unique<PartyEnd>(Party::kClient, std::move(b), threads);
    base_ = both([&](PartyEnd& end) { end.make_pool(options.ot); });
  }

  const ExecOptions& options() const { return options_; }
  PartyEnd& end(std::size_t party) { return *ends_[party]; }
  const Spent& base() const { return base_; }

  // Runs f(end) for both at once. The traffic, which both ends must count alike.
  template <typename F>
  Spent both(F f) {
    std::array<Spent, 2> spent;
    const auto run = [&](std::size_t p) {
      PartyEnd& end = *ends_[p];
      const Traffic before = end.channel.traffic();
      const std::size_t messages = end.channel.trace().size();
      try {
        f(end);
      } catch (...) {
        end.channel.close();
        throw;
      }
      const Traffic after = end.channel.traffic();
      spent[p].bytes[p] = after.sent_bytes - before.sent_bytes;
      spent[p].bytes[1 - p] = after.received_bytes - before.received_bytes;
      spent[p].flights = after.flights - before.flights;
      for (std::size_t i = messages; i < end.channel.trace().size(); ++i)
        spent[p].sizes[static_cast<std::size_t>(end.channel.trace()[i].from)].push_back(end.channel.trace()[i].bytes);
    };
    auto server = std::async(std::launch::async, run, kServer);
    std::string errors;
    try {
      run(kClient);
    } catch (const std::exception& e) {
      errors = e.what();
    }
    try {
      server.get();
    } catch (const std::exception& e) {
      errors += std::string(" / server: ") + e.what();
    }
    if (!errors.empty()) throw std::runtime_error(errors);
    EXPECT_EQ(spent[kServer], spent[kClient]);
    return spent[kClient];
  }

 private:
  ExecOptions options_;
  std::array<std::unique_ptr<PartyEnd>, 2> ends_;
  Spent base_;
};

// Messages [first, last) of a trace, by sender.
std::array<std::vector<std::uint64_t>, 2> sizes_of(const std::vector<Message>& trace, std::size_t first,
                                                   std::size_t last) {
  std::array<std::vector<std::uint64_t>, 2> sizes;
  for (std::size_t i = first; i < last; ++i) sizes[static_cast<std::size_t>(trace[i].from)].push_back(trace[i].bytes);
  return sizes;
}

std::size_t base_messages(const OtOptions& options) {
  CostMeter meter;
  meter.record_trace();
  OtPoolCost(options).setup(meter);
  return meter.trace().size();
}

// One model on a connection: two executors, and every claim of the plan checked.
class Checked {
 public:
  Checked(TwoParties& parties, const Model& model, PublicPlan clients_plan)
      : parties_(parties), model_(model), clients_plan_(std::move(clients_plan)), twin_(model) {
    executors_[kServer] =
        std::make_unique<SecureExecutor>(*parties.end(kServer).ctx, model.plan, parties.options(), &model_);
    executors_[kClient] =
        std::make_unique<SecureExecutor>(*parties.end(kClient).ctx, clients_plan_, parties.options(), nullptr);
  }

  // `first`: nothing but base OTs came before, so that flights are the plan's, too. Later the parties are not in step.
  void setup(bool first) {
    plan_.emplace(model_.plan, parties_.options(), SessionPlan::Options{.trace = true});
    const PlanCost& cost = plan_->setup();
    const Spent spent = parties_.both([&](PartyEnd& end) {
      executor(end).setup();
      if (end.channel.party() == Party::kServer) send_ready(end.channel, {1, 0});
      if (end.channel.party() == Party::kClient) receive_ready(end.channel);
    });
    for (std::size_t p = 0; p < 2; ++p) {
      const std::uint64_t goodbye = p == kClient ? framed_bytes(kControlBytes) : 0;
      EXPECT_EQ(spent.bytes[p], cost.setup.bytes[p] - cost.session.cost.bytes[p] - goodbye);
    }
    EXPECT_EQ(spent.sizes, sizes_of(cost.setup_trace, base_messages(parties_.options().ot), cost.setup_trace.size()));
    if (first) {
      EXPECT_EQ(spent.flights, cost.setup.flights - cost.session.cost.flights);
    }
    for (const auto& e : executors_) EXPECT_EQ(e->cots().setup_bytes, cost.setup_cots.cost.total_bytes());
    for (const auto& e : executors_)
      for (std::size_t i = 0; i < cost.steps.size(); ++i) {
        EXPECT_EQ(e->reports()[i].setup_bytes, cost.steps[i].setup.total_bytes()) << cost.steps[i].name;
        if (first) {
          EXPECT_EQ(e->reports()[i].setup_flights, cost.steps[i].setup.flights) << cost.steps[i].name;
        }
      }
  }

  // Material for a later batch; what its steps cost is compared when that batch comes.
  void prepare(std::uint64_t counter, std::size_t batch) {
    const Spent spent = parties_.both([&](PartyEnd& end) {
      const Request request{Request::Kind::kPrepare, static_cast<std::uint32_t>(batch), counter};
      if (end.channel.party() == Party::kClient) send_request(end.channel, request);
      if (end.channel.party() == Party::kServer) {
        EXPECT_EQ(receive_request(end.channel, 3, counter).kind, request.kind);
      }
      executor(end).prepare(batch, counter);
    });
    const PlanCost cost = plan_->prepare(batch);
    EXPECT_EQ(spent.bytes, cost.prepared.bytes);
    EXPECT_EQ(spent.flights, cost.prepared.flights);
    EXPECT_EQ(spent.sizes, sizes_of(cost.prepared_trace, 0, cost.prepared_trace.size()));
    for (const auto& e : executors_) EXPECT_EQ(e->prepared(), plan_->prepared());
  }

  void batch(std::uint64_t counter, std::uint64_t image_seed, std::size_t batch, BatchKind kind = BatchKind::kWhole) {
    std::vector<Word> images;
    for (std::size_t i = 0; i < batch; ++i) {
      const auto image = testing::random_image(model_.plan, image_seed + i);
      images.insert(images.end(), image.begin(), image.end());
    }
    std::vector<std::vector<Word>> expected;
    const Twin::Observer keep = [&](int, std::span<const Word> v) { expected.emplace_back(v.begin(), v.end()); };
    twin_.run_batch(images, batch, nullptr, &keep);

    std::array<std::vector<Words>, 2> shares;
    std::array<Words, 2> output;
    const Ring ring = model_.plan.nodes[static_cast<std::size_t>(model_.plan.output)].type.ring();
    Words opened;
    const Spent spent = parties_.both([&](PartyEnd& end) {
      const auto p = static_cast<std::size_t>(end.channel.party());
      const auto asked = kind == BatchKind::kPrepared ? Request::Kind::kPrepared : Request::Kind::kBatch;
      if (p == kClient) send_request(end.channel, {asked, static_cast<std::uint32_t>(batch), counter});
      if (p == kServer) receive_request(end.channel, 3, counter);
      output[p] = executor(end).run(p == kClient ? std::span<const Word>(images) : std::span<const Word>(), batch,
                                    counter, kind, [&](std::size_t i, std::span<const Word> share) {
                                      EXPECT_EQ(i, shares[p].size());
                                      shares[p].emplace_back(share.begin(), share.end());
                                    });
      if (p == kServer) end.channel.send_words(output[p], ring.bits());
      if (p == kClient) opened = end.channel.recv_words(output[p].size(), ring.bits());
    });
    EXPECT_EQ(opened, output[kServer]);
    check_values(expected, shares, output);
    check_cost(spent, batch, kind);
  }

 private:
  SecureExecutor& executor(PartyEnd& end) { return *executors_[static_cast<std::size_t>(end.channel.party())]; }

  void check_values(const std::vector<std::vector<Word>>& expected, const std::array<std::vector<Words>, 2>& shares,
                    const std::array<Words, 2>& output) {
    const PublicPlan& plan = model_.plan;
    ASSERT_EQ(shares[kServer].size(), plan.nodes.size());
    ASSERT_EQ(shares[kClient].size(), plan.nodes.size());
    ASSERT_EQ(expected.size(), plan.nodes.size());
    for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
      const Node& node = plan.nodes[i];
      const Ring ring = node.type.ring();
      ASSERT_EQ(shares[kServer][i].size(), expected[i].size()) << node.name;
      ASSERT_EQ(shares[kClient][i].size(), expected[i].size()) << node.name;
      for (std::size_t j = 0; j < expected[i].size(); ++j)
        ASSERT_EQ(ring.add(shares[kServer][i][j], shares[kClient][i][j]), expected[i][j])
            << "step " << node.name << " (" << op_name(node.op) << "), element " << j;
    }
    for (std::size_t p = 0; p < 2; ++p) EXPECT_EQ(output[p], shares[p][static_cast<std::size_t>(plan.output)]);
  }

  void check_cost(const Spent& spent, std::size_t batch, BatchKind kind) {
    const PlanCost cost = plan_->next(batch, kind);
    EXPECT_EQ(spent.bytes, cost.online.bytes);
    EXPECT_EQ(spent.flights, cost.online.flights);
    EXPECT_EQ(spent.sizes, sizes_of(cost.online_trace, 0, cost.online_trace.size()));
    for (const auto& e : executors_) {
      EXPECT_EQ(e->cots().online_bytes, cost.online_cots.cost.total_bytes());
      EXPECT_EQ(e->cots().online_flights, cost.online_cots.cost.flights);
      EXPECT_EQ(e->cots().prepared_bytes, cost.prepared_cots.cost.total_bytes());
    }
    for (const auto& e : executors_)
      for (std::size_t i = 0; i < cost.steps.size(); ++i) {
        EXPECT_EQ(e->reports()[i].online_bytes, cost.steps[i].online.total_bytes()) << cost.steps[i].name;
        EXPECT_EQ(e->reports()[i].online_flights, cost.steps[i].online.flights) << cost.steps[i].name;
        EXPECT_EQ(e->reports()[i].prepared_bytes, cost.steps[i].prepared.total_bytes()) << cost.steps[i].name;
        EXPECT_EQ(e->reports()[i].prepared_flights, cost.steps[i].prepared.flights) << cost.steps[i].name;
      }
    if (kind == BatchKind::kPrepared) {
      EXPECT_EQ(cost.online_cots.cost, Cost{}) << "all COTs of a prepared batch were there";
    }
    if (parties_.options().prefetch > 1 || plan_->prepared() > 0) return;  // some may be left for the next batch
    EXPECT_EQ(parties_.end(kServer).ot->sender_left(), 0U);
    EXPECT_EQ(parties_.end(kServer).ot->receiver_left(), 0U);
  }

  TwoParties& parties_;
  const Model& model_;
  PublicPlan clients_plan_;
  Twin twin_;
  std::optional<SessionPlan> plan_;
  std::array<std::unique_ptr<SecureExecutor>, 2> executors_;
};

struct Shard {
  std::uint64_t first = 0, graphs = 0;
  ExecOptions options;
  unsigned threads = 1;
};

void PrintTo(const Shard& s, std::ostream* out) {
  const bool silent = s.options.ot.kind == OtKind::kSilent;
  *out << s.graphs << " graphs from " << s.first << ", " << (silent ? "silent" : "SoftSpoken") << ", k "
       << s.options.ot.softspoken_k << ", levels " << s.options.compare.levels << ", prefetch "
       << int{s.options.prefetch} << ", threads " << s.threads << ", " << framework_name(s.options.framework);
}

// All of k and of the levels that suffice for any width, paired differently in the second half; every eighth shard with
// silent OT, which makes hundreds of thousands of COTs a session, and so with fewer graphs.
std::vector<Shard> shards(std::uint64_t first, std::uint64_t graphs_each, unsigned n) {
  constexpr std::uint64_t kFewer = 4;
  std::vector<Shard> all;
  for (unsigned i = 0; i < n; ++i) {
    Shard s{first + i * graphs_each, graphs_each, {}, 1 + (i / 2) % 2};
    s.options.ot.softspoken_k = 1 + i % 8;
    s.options.compare.levels = 3 + (5 * i + i / 8) % 6;
    s.options.prefetch = static_cast<std::uint8_t>(i % 3);
    all.push_back(s);
    if (i % 8 != 7) continue;
    s.options.ot.kind = OtKind::kSilent;
    s.options.ot.silent_set = {0, static_cast<std::uint8_t>(i / 8 % 2)};
    s.first += n * graphs_each;
    s.graphs /= kFewer;
    all.push_back(s);
  }
  return all;
}

ExecOptions framework_options(Framework framework) {
  ExecOptions options;
  options.framework = framework;
  if (!uses_iknp(framework)) return options;
  options.ot.softspoken_k = 1;
  options.prefetch = 0;
  return options;
}

// The peers' steps are those of graph.h but for fused ones, on any plan.
std::vector<Shard> framework_shards(std::uint64_t graphs_each) {
  std::vector<Shard> all;
  for (const Framework framework : kFrameworks)
    for (unsigned threads = 1; framework != Framework::kEqo && threads <= 2; ++threads)
      all.push_back({1 + graphs_each * all.size(), graphs_each, framework_options(framework), threads});
  return all;
}

bool fused(const PublicPlan& plan) {
  return std::ranges::any_of(plan.nodes, [](const Node& n) { return n.op == Op::kRequantize; });
}

// What a server makes of a model: most graphs with some of the passes, for some link.
Model rewritten(std::uint64_t seed, const ExecOptions& exec) {
  Model model = testing::random_model(seed);
  if (is_peer(exec.framework)) {
    while (fused(model.plan)) model = testing::random_model(seed += 1'000'000);
    return model;
  }
  if (seed % 5 == 0) return model;
  PassOptions options;
  std::uint64_t bits = seed * 0x9e3779b97f4a7c15;
  for (const Pass& p : passes())
    if ((bits >>= 3) % 4 == 0) options.disabled.insert(p.name);
  if (seed % 3 == 0) options.link = kLan;
  if (seed % 3 == 1) options.link = kWan;
  run_passes(model, exec, options);
  return model;
}

// Every convolution that can be homomorphic is.
void make_homomorphic(PublicPlan& plan, const ExecOptions& exec) {
  for (Node& node : plan.nodes) {
    if (node.op != Op::kConv) continue;
    try {
      he_plan(plan, node, exec);
      node.method.homomorphic = true;
    } catch (const Error& e) {
      if (e.category() != Category::kModel) throw;
    }
  }
}

// One graph: a batch; sometimes more batches under the same keys, sometimes the same plan with other weights.
void run_graph(TwoParties& parties, std::uint64_t seed, bool first, std::uint64_t& counter) {
  Model model = rewritten(seed, parties.options());
  if (seed % 3 == 0) make_homomorphic(model.plan, parties.options());
  Checked checked(parties, model, model.plan);
  checked.setup(first);
  // Some prepared: another batch comes in between and takes nothing of what is kept for the two.
  const bool prepared = prepares(parties.options().framework);
  if (seed % 4 == 2 && prepared) {
    const std::size_t first_size = 1 + seed % 3, second_size = 1 + (seed / 4) % 3;
    checked.prepare(++counter, first_size);
    checked.prepare(++counter, second_size);
    checked.batch(++counter, seed * 100 + 40, 1 + (seed / 2) % 3);
    checked.batch(++counter, seed * 100 + 50, first_size, BatchKind::kPrepared);
    checked.batch(++counter, seed * 100 + 60, second_size, BatchKind::kPrepared);
  }
  checked.batch(++counter, seed * 100, 1 + seed % 3);
  if (seed % 4 == 0) {
    checked.batch(++counter, seed * 100 + 10, 1 + (seed / 4) % 3);
    checked.batch(++counter, seed * 100 + 20, 1 + seed % 3);
  }
  // The pool of silent OT remembers what another model left.
  if (seed % 4 == 1 && parties.options().ot.kind == OtKind::kSoftSpoken) {
    const Model other = testing::with_random_weights(model.plan, seed + 1);
    Checked again(parties, other, model.plan);
    again.setup(false);
    again.batch(++counter, seed * 100 + 30, 1 + seed % 3);
  }
}

void run_shard(const Shard& shard) {
  const std::uint64_t graphs_a_session = shard.options.ot.kind == OtKind::kSilent ? 1 : 8;
  const PlanCost any = plan_cost(testing::dot_product({1}, 0, 8, 4).plan, shard.options, 1);
  std::unique_ptr<TwoParties> parties;
  std::uint64_t counter = 0;
  for (std::uint64_t i = 0; i < shard.graphs; ++i) {
    const bool first = i % graphs_a_session == 0;
    SCOPED_TRACE("random_model(" + std::to_string(shard.first + i) + ")");
    try {
      if (first) {
        parties = std::make_unique<TwoParties>(shard.options, shard.threads);
        EXPECT_EQ(parties->base().bytes, any.session.cost.bytes);
        EXPECT_EQ(parties->base().flights, any.session.cost.flights);
      }
      run_graph(*parties, shard.first + i, first, counter);
    } catch (const std::exception& e) {
      FAIL() << e.what();
    }
    if (::testing::Test::HasFailure()) return;
  }
}

class RandomGraphs : public ::testing::TestWithParam<Shard> {};
TEST_P(RandomGraphs, PrivateIsTheTwinAndTrafficIsThePlan) { run_shard(GetParam()); }
INSTANTIATE_TEST_SUITE_P(Shards, RandomGraphs, ::testing::ValuesIn(shards(1, 64, 16)));

INSTANTIATE_TEST_SUITE_P(Frameworks, RandomGraphs, ::testing::ValuesIn(framework_shards(40)));

// The same with ten times as many other graphs; run with --gtest_also_run_disabled_tests.
class Sweep : public ::testing::TestWithParam<Shard> {};
TEST_P(Sweep, DISABLED_PrivateIsTheTwinAndTrafficIsThePlan) { run_shard(GetParam()); }
INSTANTIATE_TEST_SUITE_P(Shards, Sweep, ::testing::ValuesIn(shards(100'000, 320, 32)));

// Results, shares and sizes at the edges of the values.
TEST(Executor, SmallModelsWithObviousResults) {
  for (const Framework framework : kFrameworks) {
    TwoParties parties(framework_options(framework), 1);
    std::uint64_t counter = 0;
    for (const Model& model : {testing::dot_product({1, -2, 3}, 7, 20, 8), testing::scaled_sum(64, 0),
                               testing::scaled_sum(16, 3), testing::max_of_two(8), testing::arg_max(10, 12)}) {
      SCOPED_TRACE(model.plan.nodes.back().name);
      Checked checked(parties, model, model.plan);
      checked.setup(counter == 0);
      for (std::uint64_t seed = 0; seed < 5; ++seed) checked.batch(++counter, seed, 2);
    }
  }
}

TEST(Executor, MisuseIsRefusedBeforeAnythingIsSent) {
  TwoParties parties({}, 1);
  const Model model = testing::dot_product({1, 2}, 3, 16, 8);
  Context& server = *parties.end(kServer).ctx;
  Context& client = *parties.end(kClient).ctx;
  const ExecOptions options;
  EQO_EXPECT_ERROR(SecureExecutor(server, model.plan, options, nullptr), Category::kInternal, "has a model");
  EQO_EXPECT_ERROR(SecureExecutor(client, model.plan, options, &model), Category::kInternal, "has a model");

  SecureExecutor s(server, model.plan, options, &model), c(client, model.plan, options, nullptr);
  parties.both([&](PartyEnd& end) { (end.channel.party() == Party::kServer ? s : c).setup(); });
  const Traffic before = client.channel.traffic(), before_server = server.channel.traffic();
  EQO_EXPECT_ERROR(c.run(Words(3), 1, 1), Category::kUsage, "3 elements, expected 2");
  EQO_EXPECT_ERROR(c.run(Words(2), 2, 1), Category::kUsage, "2 elements, expected 4");
  EQO_EXPECT_ERROR(c.run({}, 0, 1), Category::kUsage, "at least one image");
  EQO_EXPECT_ERROR(c.run({}, 1, 1), Category::kUsage, "0 elements, expected 2");
  EQO_EXPECT_ERROR(s.run(Words(2), 1, 1), Category::kUsage, "2 elements");
  EQO_EXPECT_ERROR(c.run(Words(2), std::uint64_t{1} << 40, 1), Category::kResource, "2^31");
  EXPECT_EQ(client.channel.traffic(), before);
  EXPECT_EQ(server.channel.traffic(), before_server);

  const Words image{1, 2};
  parties.both([&](PartyEnd& end) {
    if (end.channel.party() == Party::kServer) s.run({}, 1, 5);
    if (end.channel.party() == Party::kClient) c.run(image, 1, 5);
  });
  const Traffic after = client.channel.traffic();
  EQO_EXPECT_ERROR(c.run(image, 1, 6, BatchKind::kPrepared), Category::kUsage, "is prepared next");
  EQO_EXPECT_ERROR(c.prepare(0, 6), Category::kUsage, "at least one image");
  EQO_EXPECT_ERROR(c.run(image, 1, 5), Category::kInternal, "counter");
  EQO_EXPECT_ERROR(c.run(image, 1, 4), Category::kInternal, "counter");
  EXPECT_EQ(client.channel.traffic(), after);
}

}  // namespace
}  // namespace eqo
