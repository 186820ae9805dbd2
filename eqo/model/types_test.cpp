#include "eqo/model/types.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "eqo/core/error.h"
#include "eqo/model/testing/random_model.h"
#include "eqo/model/testing/small_models.h"

namespace eqo {
namespace {

using testing::random_model;

Node step(Op op) {
  Node node;
  node.op = op;
  node.name.assign(1, 's');
  return node;
}
TensorType tensor(Shape shape, unsigned ring, std::int64_t lo, std::int64_t hi) { return {shape, ring, lo, hi}; }
TensorType infer(const Node& node, const std::vector<TensorType>& in) { return infer_type(node, in); }

::testing::AssertionResult refused(const std::function<void()>& call, const std::string& text) {
  try {
    call();
  } catch (const Error& e) {
    if (e.category() != Category::kModel)
      return ::testing::AssertionFailure() << "category " << category_name(e.category());
    if (std::string(e.what()).find(text) == std::string::npos) return ::testing::AssertionFailure() << e.what();
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure() << "accepted";
}
::testing::AssertionResult refused(const Node& node, const std::vector<TensorType>& in) {
  return refused([&] { infer(node, in); }, "step 's'");
}

const TensorType kSigned = tensor({2, 5, 5}, 12, -100, 200);
const TensorType kActivation = tensor({2, 5, 5}, 9, 0, 255);

TEST(InferType, RingLimits) {
  EXPECT_EQ(ring_lo(1), -1);
  EXPECT_EQ(ring_hi(1), 0);
  EXPECT_EQ(ring_lo(8), -128);
  EXPECT_EQ(ring_hi(64), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(ring_lo(64), std::numeric_limits<std::int64_t>::min());
}

TEST(InferType, ReluAndShifts) {
  EXPECT_EQ(infer(step(Op::kRelu), {kSigned}), tensor({2, 5, 5}, 12, 0, 200));
  EXPECT_EQ(infer(step(Op::kRelu), {tensor({1}, 12, -9, -3)}), tensor({1}, 12, 0, 0));
  Node node = step(Op::kTruncateReduce);
  node.shift = 3;
  EXPECT_EQ(infer(node, {kSigned}), tensor({2, 5, 5}, 9, -13, 25));  // floor
  EXPECT_EQ(infer(node, {tensor({1}, 64, ring_lo(64), ring_hi(64))}), tensor({1}, 61, ring_lo(61), ring_hi(61)));
  node.op = Op::kTruncate;
  EXPECT_EQ(infer(node, {kSigned}), tensor({2, 5, 5}, 12, -13, 25));
  for (const unsigned bad : {0U, 12U, 64U}) {
    node.shift = bad;
    EXPECT_TRUE(refused(node, {kSigned}));
  }
}

TEST(InferType, ExtensionAndReduction) {
  Node node = step(Op::kExtend);
  node.type.ring_bits = 20;
  EXPECT_EQ(infer(node, {kSigned}), tensor({2, 5, 5}, 20, -100, 200));
  for (const unsigned bad : {0U, 11U, 12U, 65U}) {
    node.type.ring_bits = bad;
    EXPECT_TRUE(refused(node, {kSigned}));
  }
  node.op = Op::kReduce;
  node.type.ring_bits = 9;
  EXPECT_EQ(infer(node, {kSigned}), tensor({2, 5, 5}, 9, -100, 200));
  node.type.ring_bits = 8;  // 200 does not fit: nothing is known any more
  EXPECT_EQ(infer(node, {kSigned}), tensor({2, 5, 5}, 8, -128, 127));
  node.type.ring_bits = 12;
  EXPECT_TRUE(refused(node, {kSigned}));
}

TEST(InferType, Additions) {
  Node node = step(Op::kAdd);
  node.input_shifts = {0, 2};
  node.input_signs = {1, -1};
  EXPECT_EQ(infer(node, {kSigned, kSigned}), tensor({2, 5, 5}, 12, -100 - 800, 200 + 400));
  node.input_shifts = {0, 4};  // -3300 is below -2048: may wrap, so nothing is known
  EXPECT_EQ(infer(node, {kSigned, kSigned}), tensor({2, 5, 5}, 12, -2048, 2047));
  node.input_shifts = {0, 12};
  EXPECT_TRUE(refused(node, {kSigned, kSigned}));
  node.input_shifts = {0};
  EXPECT_TRUE(refused(node, {kSigned, kSigned}));
  node.input_shifts = {0, 0};
  node.input_signs = {1, 0};
  EXPECT_TRUE(refused(node, {kSigned, kSigned}));
  node.input_signs = {1, 1};
  EXPECT_TRUE(refused(node, {kSigned, kActivation}));
  EXPECT_TRUE(refused(node, {kSigned, tensor({2, 5, 4}, 12, 0, 1)}));
  EXPECT_TRUE(refused(node, {}));

  Node constant = step(Op::kAddConstant);
  constant.constant = -300;
  EXPECT_EQ(infer(constant, {kSigned}), tensor({2, 5, 5}, 12, -400, -100));
  constant.constant = 2000;
  EXPECT_EQ(infer(constant, {kSigned}), tensor({2, 5, 5}, 12, -2048, 2047));
  constant.constant = 2048;
  EXPECT_TRUE(refused(constant, {kSigned}));
}

TEST(InferType, Pools) {
  Node node = step(Op::kSumPool);
  node.window = {2, 2, 2, 2, 0, 0, 0, 0, 1, 1};
  EXPECT_EQ(infer(node, {kSigned}), tensor({2, 2, 2}, 12, -400, 800));
  EXPECT_EQ(infer(node, {kActivation}), tensor({2, 2, 2}, 9, -256, 255));  // 1020 does not fit 9 bits
  EXPECT_EQ(infer(node, {tensor({2, 5, 5}, 12, 3, 5)}), tensor({2, 2, 2}, 12, 12, 20));
  node.window.pad_top = 1;
  EXPECT_EQ(infer(node, {tensor({2, 5, 5}, 12, 3, 5)}), tensor({2, 3, 2}, 12, 0, 20));
  node.op = Op::kMaxPool;
  EXPECT_EQ(infer(node, {tensor({2, 5, 5}, 12, 3, 5)}), tensor({2, 3, 2}, 12, 0, 5));
  EXPECT_TRUE(refused(node, {kSigned}));  // padding with a value that may be negative
  node.window.pad_top = 0;
  EXPECT_EQ(infer(node, {kSigned}), tensor({2, 2, 2}, 12, -100, 200));
  node.window.kernel_h = 6;
  EXPECT_TRUE(refused(node, {kSigned}));
  node.window.kernel_h = std::numeric_limits<std::int64_t>::max();
  EXPECT_TRUE(refused(node, {kSigned}));
  node.window.kernel_h = 2;
  node.window.stride_h = 0;
  EXPECT_TRUE(refused(node, {kSigned}));
}

TEST(InferType, Layout) {
  Node node = step(Op::kConcat);
  node.input_shifts = {0, 1};
  EXPECT_EQ(infer(node, {kSigned, tensor({3, 5, 5}, 12, -10, 300)}), tensor({5, 5, 5}, 12, -100, 600));
  EXPECT_TRUE(refused(node, {kSigned, tensor({3, 5, 4}, 12, -10, 300)}));
  EXPECT_TRUE(refused(node, {kSigned, tensor({3, 5, 5}, 13, -10, 300)}));

  node = step(Op::kPad);
  node.pad_before = {0, 1, 2};
  node.pad_after = {3, 0, 0};
  EXPECT_EQ(infer(node, {tensor({2, 5, 5}, 12, 3, 5)}), tensor({5, 6, 7}, 12, 0, 5));
  node.pad_after = {-1, 0, 0};
  EXPECT_TRUE(refused(node, {kSigned}));

  node = step(Op::kSlice);
  node.start = {1, 0, 1};
  node.step = {1, 2, 3};
  node.type.shape = {1, 3, 2};
  EXPECT_EQ(infer(node, {kSigned}), tensor({1, 3, 2}, 12, -100, 200));
  node.type.shape = {1, 4, 2};
  EXPECT_TRUE(refused(node, {kSigned}));
  node.type.shape = {1, 3, 2};
  node.step[1] = 0;
  EXPECT_TRUE(refused(node, {kSigned}));
  node.step[1] = 2;
  node.start[0] = 2;
  EXPECT_TRUE(refused(node, {kSigned}));

  node = step(Op::kReshape);
  node.type.shape = {50, 1, 1};
  EXPECT_EQ(infer(node, {kSigned}), tensor({50, 1, 1}, 12, -100, 200));
  node.type.shape = {49, 1, 1};
  EXPECT_TRUE(refused(node, {kSigned}));
  // 2^21 * 2^21 * 2^22 = 2^64 wraps to 0 elements.
  node.type.shape = {std::int64_t{1} << 21, std::int64_t{1} << 21, std::int64_t{1} << 22};
  EXPECT_TRUE(refused(node, {kSigned}));
}

TEST(InferType, ConvolutionAndArgMax) {
  Node node = step(Op::kConv);
  node.type.shape.c = 4;
  node.window = {3, 3, 2, 2, 1, 1, 1, 1, 1, 1};
  EXPECT_EQ(infer(node, {kActivation}), tensor({4, 3, 3}, 9, -256, 255));
  node.domain = ConvDomain::kWinograd;
  EXPECT_TRUE(refused(node, {kActivation}));  // stride 2
  node.window.stride_h = node.window.stride_w = 1;
  EXPECT_EQ(infer(node, {kActivation}), tensor({4, 5, 5}, 9, -256, 255));
  node.groups = 2;
  EXPECT_TRUE(refused(node, {kActivation}));
  node.domain = ConvDomain::kDirect;
  EXPECT_EQ(infer(node, {kActivation}), tensor({4, 5, 5}, 9, -256, 255));
  for (const std::int64_t bad : {3, 0, -2}) {
    node.groups = bad;
    EXPECT_TRUE(refused(node, {kActivation})) << bad;
  }
  node.groups = 1;
  node.type.shape.c = 0;
  EXPECT_TRUE(refused(node, {kActivation}));

  EXPECT_EQ(infer(step(Op::kArgMax), {tensor({10, 1, 1}, 9, 0, 255)}), tensor({1, 1, 1}, 4, -8, 7));
  EXPECT_TRUE(refused(step(Op::kArgMax), {kActivation}));
  EXPECT_TRUE(refused(step(Op::kArgMax), {tensor({4097, 1, 1}, 9, 0, 255)}));
}

// Brute force: for small intervals, the interval of every local step holds exactly what can occur.
TEST(InferType, IntervalsAreTightForSums) {
  for (std::int64_t lo = -4; lo <= 3; ++lo) {
    for (std::int64_t hi = lo; hi <= 3; ++hi) {
      Node node = step(Op::kAdd);
      node.input_shifts = {1, 0};
      node.input_signs = {-1, 1};
      const TensorType in = tensor({1}, 3, lo, hi);
      std::int64_t least = 100, most = -100;
      for (std::int64_t a = lo; a <= hi; ++a)
        for (std::int64_t b = lo; b <= hi; ++b) {
          least = std::min(least, b - 2 * a);
          most = std::max(most, b - 2 * a);
        }
      const bool fits = least >= -4 && most <= 3;
      EXPECT_EQ(infer(node, {in, in}), fits ? tensor({1}, 3, least, most) : tensor({1}, 3, -4, 3));
    }
  }
}

class Validate : public ::testing::Test {
 protected:
  // image -> Conv
  Model model_ = testing::dot_product({1, 2, 3}, 0, 12, 8);
  PublicPlan& plan_ = model_.plan;
  NodeSecrets& conv_ = model_.secrets[1];
  ::testing::AssertionResult refused_plan(const std::string& text) {
    return refused([&] { validate(plan_); }, text);
  }
  ::testing::AssertionResult refused_model(const std::string& text) {
    validate(plan_);
    return refused([&] { validate(model_); }, text);
  }
};

TEST_F(Validate, AcceptsTheModel) { EXPECT_NO_THROW(validate(model_)); }

TEST_F(Validate, Structure) {
  const PublicPlan good = plan_;
  plan_.nodes[1].inputs = {1};
  EXPECT_TRUE(refused_plan("does not come before"));
  plan_.nodes[1].inputs = {-1};
  EXPECT_TRUE(refused_plan("does not come before"));
  plan_.nodes[1].inputs = {};
  EXPECT_TRUE(refused_plan("inputs"));
  plan_.nodes[1].inputs = {0, 0};
  EXPECT_TRUE(refused_plan("inputs"));
  plan_ = good;
  plan_.nodes[1].name = plan_.nodes[0].name;
  EXPECT_TRUE(refused_plan("twice"));
  plan_ = good;
  plan_.nodes[1].name.clear();
  EXPECT_TRUE(refused_plan("no name"));
  plan_.nodes[1].name = std::string("a\nb");
  EXPECT_TRUE(refused_plan("clean"));
  plan_ = good;
  plan_.output = 0;
  EXPECT_TRUE(refused_plan("nothing uses"));
  plan_.output = 2;
  EXPECT_TRUE(refused_plan("output"));
  plan_.output = -1;
  EXPECT_TRUE(refused_plan("output"));
  plan_ = good;
  plan_.nodes.push_back(good.nodes[0]);
  plan_.nodes.back().name = std::string("second image");
  EXPECT_TRUE(refused_plan("no other"));
  plan_ = good;
  plan_.nodes.erase(plan_.nodes.begin());
  EXPECT_TRUE(refused([&] { validate(plan_); }, ""));
  plan_.nodes.clear();
  EXPECT_TRUE(refused_plan("steps"));
}

TEST_F(Validate, TypesAreTheInferredOnes) {
  const PublicPlan good = plan_;
  for (Node& node : plan_.nodes) {
    const TensorType type = node.type;
    node.type.lo = 0;  // a claim that nothing proves
    EXPECT_TRUE(refused_plan("type"));
    node.type = type;
    --node.type.hi;
    EXPECT_TRUE(refused_plan("type"));
    node.type = type;
    node.type.shape.w = 2;
    EXPECT_TRUE(refused([&] { validate(plan_); }, ""));
    plan_ = good;
  }
  plan_.nodes[1].type.ring_bits = 13;
  EXPECT_TRUE(refused_plan("type"));
  plan_.nodes[1].type.ring_bits = 0;
  EXPECT_TRUE(refused_plan("type"));
  plan_ = good;
  plan_.input_bits = 7;
  EXPECT_TRUE(refused_plan("type"));
  for (const unsigned bad : {0U, 17U, 13U, ~0U}) {
    plan_.input_bits = bad;
    EXPECT_TRUE(refused_plan("image"));
  }
}

TEST_F(Validate, UnusedFieldsKeepTheirDefaults) {
  const PublicPlan good = plan_;
  const auto with = [&](const std::function<void(Node&)>& change) {
    plan_ = good;
    change(plan_.nodes[1]);
    return refused_plan("does not use");
  };
  EXPECT_TRUE(with([](Node& n) { n.shift = 1; }));
  EXPECT_TRUE(with([](Node& n) { n.input_shifts = {0}; }));
  EXPECT_TRUE(with([](Node& n) { n.input_signs = {1}; }));
  EXPECT_TRUE(with([](Node& n) { n.constant = 1; }));
  EXPECT_TRUE(with([](Node& n) { n.pad_after[2] = 1; }));
  EXPECT_TRUE(with([](Node& n) { n.start[0] = 1; }));
  plan_ = good;
  plan_.nodes[0].codes = good.nodes[1].codes;
  EXPECT_TRUE(refused_plan("does not use"));
  plan_ = good;
  plan_.nodes[0].window.kernel_h = 2;
  EXPECT_TRUE(refused_plan("does not use"));
}

TEST_F(Validate, Codes) {
  const PublicPlan good = plan_;
  const auto code = [&]() -> WeightCode& { return plan_.nodes[1].codes[0]; };
  plan_.nodes[1].codes.clear();
  EXPECT_TRUE(refused_plan("weight code"));
  plan_.nodes[1].codes.assign(16, good.nodes[1].codes[0]);  // not Winograd
  EXPECT_TRUE(refused_plan("weight code"));
  plan_ = good;
  code().signs[0] = 0;
  EXPECT_TRUE(refused_plan("step 'Conv'"));
  plan_ = good;
  code().exponents.push_back(9);
  code().signs.push_back(1);
  EXPECT_TRUE(refused_plan("8 bits"));
  plan_ = good;
  code().exponents.assign(8, 31);  // 8 * 2^31 * 2^27 * 3 channels >= 2^62
  code().shift = 27;
  EXPECT_TRUE(refused_plan("2^62"));
  code().shift = 25;
  EXPECT_NO_THROW(validate(plan_));
}

TEST_F(Validate, Head) {
  const PublicPlan good = plan_;
  for (const double bad :
       {0.0, -1.0, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    plan_.input_scale = bad;
    EXPECT_TRUE(refused_plan("scale"));
    plan_ = good;
    plan_.output_scale = bad;
    EXPECT_TRUE(refused_plan("scale"));
    plan_ = good;
  }
  plan_.classes = {"cat", "dog"};
  EXPECT_TRUE(refused_plan("classes"));
  plan_.classes = {"cat\x1b[2J"};
  EXPECT_TRUE(refused_plan("class name"));
  plan_.classes = {"\xc3\xa4"};
  EXPECT_NO_THROW(validate(plan_));
  plan_ = good;
  plan_.preprocess.shape = {3, 2, 1};
  EXPECT_TRUE(refused_plan("pictures"));
  plan_.preprocess.shape = {3, 1, 1};
  EXPECT_NO_THROW(validate(plan_));
  plan_.preprocess.std[1] = 0;
  EXPECT_TRUE(refused_plan("preprocessing"));
  plan_.preprocess.std[1] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(refused_plan("finite"));
}

TEST(InferType, RequantizeIsReluShiftAndRing) {
  Node node = step(Op::kRequantize);
  node.shift = 3;
  node.type.ring_bits = 9;
  const TensorType in = tensor({2, 5, 5}, 12, -100, 203);
  EXPECT_EQ(infer(node, {in}), tensor({2, 5, 5}, 9, -13, 25));
  node.relu = true;
  EXPECT_EQ(infer(node, {in}), tensor({2, 5, 5}, 9, 0, 25));
  EXPECT_EQ(infer(node, {tensor({1}, 12, -9, -3)}), tensor({1}, 9, 0, 0));
  node.type.ring_bits = 5;  // 25 does not fit
  EXPECT_EQ(infer(node, {in}), tensor({2, 5, 5}, 5, -16, 15));
  node.type.ring_bits = 40;
  EXPECT_EQ(infer(node, {in}), tensor({2, 5, 5}, 40, 0, 25));
  node.shift = 12;
  EXPECT_THROW(infer(node, {in}), Error);
  node.shift = 0;
  node.type.ring_bits = 65;
  EXPECT_THROW(infer(node, {in}), Error);
}

TEST_F(Validate, MethodsBelongToNonLinearSteps) {
  plan_.nodes[0].method.merged = true;
  EXPECT_TRUE(refused_plan("method"));
  plan_.nodes[0].method = {};
  Node relu = step(Op::kRelu);
  relu.name = "r";
  relu.inputs = {plan_.output};
  relu.type = infer(relu, {plan_.nodes[static_cast<std::size_t>(plan_.output)].type});
  plan_.output = static_cast<int>(plan_.nodes.size());
  plan_.nodes.push_back(relu);
  plan_.nodes.back().method = {4, false, true, true};
  EXPECT_NO_THROW(validate(plan_));
  plan_.nodes.back().method.levels = 9;
  EXPECT_TRUE(refused_plan("levels"));
  plan_.nodes.back().method = {0, true, true, false};
  EXPECT_TRUE(refused_plan("interval"));
  plan_.nodes.back().method = {0, false, false, false};
  EXPECT_TRUE(refused_plan("stages"));
  plan_.nodes.back().method = {};
  plan_.nodes.back().relu = true;
  EXPECT_TRUE(refused_plan("ReLU flag"));
}

TEST_F(Validate, ArgMaxIsTheEnd) {
  PublicPlan plan = testing::arg_max(4, 10).plan;
  EXPECT_NO_THROW(validate(plan));
  Node relu = step(Op::kRelu);
  relu.inputs = {1};
  relu.type = infer(relu, {plan.nodes[1].type});
  plan.nodes.push_back(relu);
  plan.output = 2;
  EXPECT_TRUE(refused([&] { validate(plan); }, "last"));
}

// Each size is allowed alone; the products are not. Nothing of that size may be allocated on the way.
TEST_F(Validate, HugePlansAreRefused) {
  const std::int64_t side = std::int64_t{1} << 20;
  Node& conv = plan_.nodes[1];
  conv.window = {side, side, 1, 1, side, 0, 0, side, 1, 1};
  EXPECT_TRUE(refused_plan("too large"));
  conv.window = {};
  conv.type.shape.c = side;
  plan_.nodes[0].type.shape = {side, 1, 1};  // 2^40 weights
  EXPECT_TRUE(refused_plan("too large"));
  plan_.nodes[0].type.shape = {1, side, 2048};
  conv.type.shape.c = 1;
  conv.type = infer(conv, {plan_.nodes[0].type});
  EXPECT_TRUE(refused_plan("2^31"));
}

TEST_F(Validate, Secrets) {
  const Model good = model_;
  model_.secrets.pop_back();
  EXPECT_TRUE(refused_model("secrets"));
  model_ = good;
  conv_.weights.push_back(0);
  EXPECT_TRUE(refused_model("weights"));
  model_ = good;
  conv_.bias.clear();
  EXPECT_TRUE(refused_model("bias"));
  model_ = good;
  conv_.bias[0] = std::int64_t{1} << 62;
  EXPECT_TRUE(refused_model("bias"));
  conv_.bias[0] = (std::int64_t{1} << 62) - 1;
  EXPECT_NO_THROW(validate(model_));
  model_ = good;
  model_.secrets[0].weights.push_back(0);
  EXPECT_TRUE(refused_model("does not use"));
  model_ = good;
  for (const double bad : {0.0, -1.0, std::numeric_limits<double>::infinity()}) {
    conv_.scale = bad;
    EXPECT_TRUE(refused_model("scale"));
  }
  model_ = good;
  plan_.nodes[1].codes = {WeightCode::twos_complement(2)};
  conv_.weights = {1, 2, 4};
  EXPECT_TRUE(refused_model("wider"));
  conv_.weights = {1, 2, 3};
  EXPECT_NO_THROW(validate(model_));
}

TEST(WeightCount, IsWhatRandomModelsHave) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Model model = random_model(seed);
    for (std::size_t i = 0; i < model.plan.nodes.size(); ++i) {
      const Node& node = model.plan.nodes[i];
      if (node.op != Op::kConv) continue;
      const Shape& in = model.plan.nodes[static_cast<std::size_t>(node.inputs[0])].type.shape;
      EXPECT_EQ(weight_count(node, in), model.secrets[i].weights.size());
    }
  }
}

}  // namespace
}  // namespace eqo
