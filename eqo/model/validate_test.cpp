#include <gtest/gtest.h>

#include <limits>

#include "eqo/model/testing/small_models.h"
#include "eqo/model/types_testing.h"

namespace eqo {
namespace {

using testing::infer, testing::refused, testing::step, testing::tensor;

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

}  // namespace
}  // namespace eqo
