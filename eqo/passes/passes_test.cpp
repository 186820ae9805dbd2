#include "eqo/passes/passes.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "eqo/model/testing/random_model.h"
#include "eqo/model/twin.h"
#include "eqo/model/types.h"
#include "eqo/net/testing/expect_error.h"
#include "eqo/planner/plan_cost.h"

namespace eqo {
namespace {

constexpr std::uint64_t kModels = 600;
constexpr LinkSpec kSlow{50e6, 80e-3}, kFast{10e9, 0.1e-3};

std::set<std::string> random_subset(std::mt19937_64& random) {
  std::set<std::string> out;
  for (const Pass& p : passes())
    if (random() % 3 == 0) out.insert(p.name);
  return out;
}

std::map<Op, int> count(const PublicPlan& plan) {
  std::map<Op, int> out;
  for (const Node& n : plan.nodes) ++out[n.op];
  return out;
}

int find(const PublicPlan& plan, const std::string& name) {
  for (std::size_t i = 0; i < plan.nodes.size(); ++i)
    if (plan.nodes[i].name == name) return static_cast<int>(i);
  return -1;
}

// A chain of steps on a 3-channel image, by hand.
class Builder {
 public:
  Builder(Shape shape, unsigned ring_bits) {
    Node in;
    in.name = in.layer = "input";
    in.type.shape = shape;
    in.type.ring_bits = ring_bits;
    add(std::move(in), {});
  }
  int add(Node node, std::vector<int> inputs) {
    node.inputs = std::move(inputs);
    if (node.name.empty()) node.name = std::string("n").append(std::to_string(model_.plan.nodes.size()));
    std::vector<TensorType> types;
    for (const int i : node.inputs) types.push_back(model_.plan.nodes[static_cast<std::size_t>(i)].type);
    node.type = infer_type(node, types, model_.plan.input_bits);
    model_.plan.nodes.push_back(std::move(node));
    model_.secrets.push_back({{}, {}, 1});
    return static_cast<int>(model_.plan.nodes.size()) - 1;
  }
  int step(Op op, int input, unsigned value = 0) {
    Node node;
    node.op = op;
    if (op == Op::kExtend || op == Op::kReduce) node.type.ring_bits = value;
    if (op == Op::kTruncateReduce) node.shift = value;
    return add(std::move(node), {input});
  }
  int sum(std::vector<int> inputs) {
    Node node;
    node.op = Op::kAdd;
    node.input_shifts.assign(inputs.size(), 0);
    node.input_signs.assign(inputs.size(), 1);
    return add(std::move(node), std::move(inputs));
  }
  Model finish(int output) {
    model_.plan.name = "by hand";
    model_.plan.output = output;
    model_.plan.input_scale = model_.plan.output_scale = 1;
    validate(model_.plan);  // weights may come later
    return std::move(model_);
  }

 private:
  Model model_;
};

TEST(Passes, GiveTheSameOutputsInEveryCombination) {
  for (std::uint64_t seed = 1; seed <= kModels; ++seed) {
    SCOPED_TRACE(::testing::Message() << "random_model(" << seed << ")");
    std::mt19937_64 random(seed);
    const Model before = testing::random_model(seed);
    Model after = before;
    PassOptions options;
    if (seed % 4 != 0) options.disabled = random_subset(random);
    if (seed % 3 == 1) options.link = kSlow;
    if (seed % 3 == 2) options.link = kFast;
    run_passes(after, {}, options);
    const Twin a(before), b(after);
    for (std::uint64_t i = 0; i < 2; ++i) {
      const std::vector<Word> image = testing::random_image(before.plan, seed * 10 + i);
      const Twin::Result x = a.run(image), y = b.run(image);
      EXPECT_EQ(x.logits, y.logits);
      EXPECT_EQ(x.label, y.label);
    }
  }
}

TEST(Passes, ProductsAreHomomorphicWhereThatIsCheaperOrAskedFor) {
  const auto count = [](const Model& model) {
    return std::count_if(model.plan.nodes.begin(), model.plan.nodes.end(),
                         [](const Node& n) { return n.method.homomorphic; });
  };
  const auto convolutions = [](const Model& model) {
    return std::count_if(model.plan.nodes.begin(), model.plan.nodes.end(),
                         [](const Node& n) { return n.op == Op::kConv; });
  };
  std::ptrdiff_t chosen = 0, left = 0, forced = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(::testing::Message() << "random_model(" << seed << ")");
    const Model before = testing::random_model(seed);
    Model by_ots = before, by_choice = before, by_he = before;
    run_passes(by_ots, {}, {{}, {}, Products::kOt});
    EXPECT_EQ(count(by_ots), 0);
    run_passes(by_choice, {}, {{}, {}, Products::kAuto});
    chosen += count(by_choice);
    left += convolutions(by_choice) - count(by_choice);
    try {
      run_passes(by_he, {}, {{}, {}, Products::kHe});
    } catch (const Error& e) {
      EXPECT_EQ(e.category(), Category::kModel);  // a ring beyond 32 bits
      continue;
    }
    EXPECT_EQ(count(by_he), convolutions(by_he));
    forced += count(by_he);
  }
  EXPECT_GT(left, 0);
  EXPECT_GT(forced, 0);
  EXPECT_GT(chosen, 0);
}

TEST(Passes, WithAllOfThemDisabledTheModelStays) {
  PassOptions none;
  for (const Pass& p : passes()) none.disabled.insert(p.name);
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Model model = testing::random_model(seed);
    const std::string before = describe(model.plan);
    run_passes(model, {}, none);
    EXPECT_EQ(describe(model.plan), before);
  }
}

TEST(Passes, TheObserverSeesEveryPassOnce) {
  Model model = testing::random_model(7);
  std::vector<std::string> seen;
  run_passes(model, {}, {{"fuse"}, {}}, [&](const Pass& p, const Model&, const Model&) { seen.emplace_back(p.name); });
  EXPECT_EQ(seen.size(), passes().size() - 1);
  EXPECT_EQ(std::count(seen.begin(), seen.end(), "fuse"), 0);
}

TEST(Passes, UnknownNamesAreRefusedWithTheKnownOnes) {
  Model model = testing::random_model(7);
  EQO_EXPECT_ERROR(run_passes(model, {}, {{"fused"}, {}}), Category::kUsage, "no pass 'fused'");
}

TEST(Passes, ReluShiftAndExtensionBecomeOneStep) {
  Builder b({3, 4, 4}, 16);
  const int relu = b.step(Op::kRelu, 0), shift = b.step(Op::kTruncateReduce, relu, 5);
  const int wide = b.step(Op::kExtend, shift, 14);
  Model model = b.finish(b.sum({wide, wide}));
  const std::string name = model.plan.nodes[static_cast<std::size_t>(wide)].name;
  run_passes(model, {}, {});
  ASSERT_EQ(model.plan.nodes.size(), 3U);
  const Node& node = model.plan.nodes[1];
  EXPECT_EQ(node.op, Op::kRequantize);
  EXPECT_EQ(node.name, name);
  EXPECT_TRUE(node.relu && node.shift == 5 && node.type.ring_bits == 14 && node.type.lo == 0 && node.method.merged);
}

TEST(Passes, AReadInnerStepStaysAStep) {
  Builder b({1, 2, 2}, 12);
  const int relu = b.step(Op::kRelu, 0), shift = b.step(Op::kTruncateReduce, relu, 3);
  const int wide = b.step(Op::kExtend, shift, 12);
  Model model = b.finish(b.sum({wide, relu}));
  run_passes(model, {}, {});
  const auto ops = count(model.plan);
  EXPECT_EQ(ops.at(Op::kRelu), 1);
  EXPECT_EQ(ops.at(Op::kRequantize), 1);
  EXPECT_FALSE(model.plan.nodes[2].relu);
}

TEST(Passes, OneExtensionServesAllReaders) {
  Builder b({2, 3, 3}, 8);
  const int relu = b.step(Op::kRelu, 0);
  const int narrow = b.step(Op::kExtend, relu, 11), wide = b.step(Op::kExtend, relu, 17);
  const int again = b.step(Op::kExtend, relu, 17), back = b.step(Op::kReduce, b.sum({wide, again}), 11);
  Model model = b.finish(b.sum({narrow, back}));
  run_passes(model, {}, {{"fuse"}, {}});
  const auto ops = count(model.plan);
  EXPECT_EQ(ops.at(Op::kExtend), 1);
  EXPECT_EQ(ops.at(Op::kReduce), 2);
}

TEST(Passes, KnownSignsAreUsedAndReluOfThemGoes) {
  Builder b({1, 4, 4}, 10);
  const int relu = b.step(Op::kRelu, 0), again = b.step(Op::kRelu, relu);
  Model model = b.finish(b.step(Op::kExtend, again, 20));
  Model without = model;
  run_passes(model, {}, {{"fuse"}, {}});
  EXPECT_EQ(count(model.plan).at(Op::kRelu), 1);
  EXPECT_TRUE(model.plan.nodes.back().method.use_interval);
  run_passes(without, {}, {{"fuse", "intervals"}, {}});
  EXPECT_EQ(count(without.plan).at(Op::kRelu), 2);
  EXPECT_LT(plan_cost(model.plan, {}, 1).online.total_bytes(), plan_cost(without.plan, {}, 1).online.total_bytes());
}

TEST(Passes, OverlappingMaximaAreSplitWhereNothingWraps) {
  Builder b({4, 9, 9}, 9);
  const int relu = b.step(Op::kRelu, 0);
  Node pool;
  pool.op = Op::kMaxPool;
  pool.name = "pool";
  pool.window = {3, 3, 2, 2, 1, 1, 1, 1, 1, 1};
  Model model = b.finish(b.add(pool, {relu}));
  Model whole = model;
  run_passes(model, {}, {});
  run_passes(whole, {}, {{"pool-split"}, {}});
  EXPECT_EQ(count(model.plan).at(Op::kMaxPool), 2);
  EXPECT_GE(find(model.plan, "pool/rows"), 0);
  EXPECT_EQ(count(whole.plan).at(Op::kMaxPool), 1);
  EXPECT_LT(plan_cost(model.plan, {}, 1).online.total_bytes(), plan_cost(whole.plan, {}, 1).online.total_bytes());
}

TEST(Passes, AFullRangeIsNotSplit) {
  Builder b({4, 9, 9}, 8);  // 8-bit image: differences do not fit
  Node pool;
  pool.op = Op::kMaxPool;
  pool.window = {3, 3, 2, 2, 0, 0, 0, 0, 1, 1};
  Model model = b.finish(b.add(pool, {0}));
  run_passes(model, {}, {});
  EXPECT_EQ(count(model.plan).at(Op::kMaxPool), 1);
}

// Convolution, ReLU, requantization and extension: 8 flights; a 2 x 2 maximum adds at most 14.
TEST(Passes, ABlockTakesEightFlights) {
  for (const unsigned ring : {12U, 14U, 16U, 18U}) {
    SCOPED_TRACE(::testing::Message() << "ring " << ring);
    Builder b({4, 8, 8}, ring);
    int at = 0, pool = -1;
    for (int block = 0; block < 5; ++block) {
      Node conv;
      conv.op = Op::kConv;
      conv.window = {3, 3, 1, 1, 1, 1, 1, 1, 1, 1};
      conv.type.shape.c = 4;
      conv.domain = ConvDomain::kWinograd;
      conv.codes = {WeightCode::twos_complement(2)};
      at = b.add(std::move(conv), {at});
      if (block == 3) {
        Node node;
        node.op = Op::kMaxPool;
        node.window = {2, 2, 2, 2, 0, 0, 0, 0, 1, 1};
        node.name = "pool";
        at = pool = b.add(std::move(node), {at});
      }
      at = b.step(Op::kTruncateReduce, b.step(Op::kRelu, at), ring / 2);
      at = b.step(Op::kExtend, at, ring);
    }
    Model model = testing::with_random_weights(b.finish(at).plan, 1);
    run_passes(model, {}, {});
    const PlanCost cost = plan_cost(model.plan, {}, 1);
    std::uint64_t flights = 0, most = 9;  // the very first rows have nobody's answer to travel with
    int blocks = 0;
    for (const StepCost& s : cost.steps) {
      if (s.name == "pool") most += 14;
      flights += s.online.flights;
      if (s.op != op_name(Op::kRequantize)) continue;
      EXPECT_LE(flights, most) << "block " << blocks;
      flights = 0;
      most = 8;
      ++blocks;
    }
    EXPECT_EQ(blocks, 5);
    EXPECT_GE(pool, 0);
  }
}

TEST(Passes, SlowLinksGetFewerFlights) {
  Builder b({8, 8, 8}, 18);
  const int relu = b.step(Op::kRelu, 0), shift = b.step(Op::kTruncateReduce, relu, 6);
  Model model = b.finish(b.step(Op::kExtend, shift, 18));
  Model slow = model;
  run_passes(model, {}, {});
  run_passes(slow, {}, {{}, kSlow});
  const Cost few_bytes = plan_cost(model.plan, {}, 1).online, few_flights = plan_cost(slow.plan, {}, 1).online;
  EXPECT_LT(few_flights.flights, few_bytes.flights);
  EXPECT_GT(few_flights.total_bytes(), few_bytes.total_bytes());
}

}  // namespace
}  // namespace eqo
