#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "eqo/core/error.h"
#include "eqo/importer/onnx_test_builder.h"

namespace eqo {
namespace {

using ::testing::ElementsAre;
using testing::first_problem;
using ::testing::HasSubstr;
using testing::Ints;
using testing::only;
using testing::OnnxMaker;
using testing::run;

constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(ImportConv, DefaultsApplyWhenLeftOut) {
  OnnxMaker m(13);
  m.node("Conv", {"x", m.floats("w", {4, 3, 3, 2})}, "y");
  const FloatNode n = only(m.import());
  EXPECT_EQ(n.op, FloatOp::kConv);
  EXPECT_EQ(n.window, (Window{.kernel_h = 3, .kernel_w = 2}));
  EXPECT_EQ(n.groups, 1);
  EXPECT_TRUE(n.bias.empty());
  EXPECT_EQ(n.shape, (Shape{4, 4, 4}));
  EXPECT_EQ(n.name, "y");
}

TEST(ImportConv, AutoPad) {
  struct Case {
    const char* mode;
    Window want;
  };
  const Case cases[] = {
      {"VALID", {.kernel_h = 3, .kernel_w = 2, .stride_h = 2}},
      // Rows: 6 at stride 2 give 3, which need 7; columns: 5 give 5, which need 6.
      {"SAME_UPPER", {.kernel_h = 3, .kernel_w = 2, .stride_h = 2, .pad_bottom = 1, .pad_right = 1}},
      {"SAME_LOWER", {.kernel_h = 3, .kernel_w = 2, .stride_h = 2, .pad_top = 1, .pad_left = 1}},
  };
  for (const Case& c : cases) {
    OnnxMaker m(13);
    m.node("Conv", {"x", m.floats("w", {4, 3, 3, 2})}, "y").set("auto_pad", c.mode).set("strides", Ints{2, 1});
    EXPECT_EQ(only(m.import()).window, c.want) << c.mode;
  }
  OnnxMaker bad(13);
  bad.node("Conv", {"x", bad.floats("w", {4, 3, 3, 2})}, "y").set("auto_pad", "SOMETIMES");
  EXPECT_THAT(first_problem(bad), HasSubstr("auto_pad"));
}

TEST(ImportConv, RefusesWhatDoesNotFit) {
  const auto problem = [](const Ints& w, const std::string& attribute, const Ints& value) {
    OnnxMaker m(13);
    auto n = m.node("Conv", {"x", m.floats("w", w)}, "y");
    if (!attribute.empty()) n.set(attribute, value);
    return first_problem(m);
  };
  EXPECT_THAT(problem({4, 2, 3, 3}, "", {}), HasSubstr("Conv 'y': weights for 2 channels"));
  EXPECT_THAT(problem({4, 3, 3}, "", {}), HasSubstr("two-dimensional"));
  EXPECT_THAT(problem({4, 3, 3, 3}, "kernel_shape", {3, 2}), HasSubstr("kernel_shape"));
  EXPECT_THAT(problem({4, 3, 7, 7}, "", {}), HasSubstr("doesn't fit"));
  EXPECT_THAT(problem({4, 3, 3, 3}, "strides", {0, 1}), HasSubstr("stride"));
  EXPECT_THAT(problem({4, 3, 3, 3}, "pads", {-1, 0, 0, 0}), HasSubstr("padding"));
  EXPECT_THAT(problem({4, 3, 3, 3}, "pads", {1, 1}), HasSubstr("two-dimensional windows"));
  EXPECT_THAT(problem({4, 3, 3, 3}, "dilations", {1 << 30, 1}), HasSubstr("dilation"));
}

TEST(ImportBatchNorm, FoldsOrStays) {
  OnnxMaker m(9);
  m.node("Conv", {"x", m.floats("w", {2, 3, 1, 1})}, "c");
  m.node("BatchNormalization",
         {"c", m.floats("s", {2}, {2, 3}), m.floats("b", {2}, {1, -1}), m.floats("m", {2}, {0.5F, 0}),
          m.floats("v", {2}, {4, 1})},
         "y");
  const FloatGraph kept = m.import({.fold_batch_norm = false});
  ASSERT_EQ(kept.nodes.size(), 3U);
  EXPECT_EQ(kept.nodes[2].op, FloatOp::kBatchNorm);
  EXPECT_EQ(kept.nodes[2].epsilon, 1e-5F);  // the default
  const FloatGraph folded = m.import();
  EXPECT_EQ(only(folded).name, "c");
  const auto a = run(kept);
  const auto b = run(folded);
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-4);
  m.graph().mutable_node(1)->add_attribute()->set_name("training_mode");
  m.graph().mutable_node(1)->mutable_attribute(0)->set_i(1);
  EXPECT_THAT(first_problem(m), HasSubstr("training mode"));
}

TEST(ImportClip, BothForms) {
  for (const int opset : {9, 11, 13}) {
    const auto clip = [&](float lo, float hi) {
      OnnxMaker m(opset);
      if (opset < 11) {
        m.node("Clip", {"x"}, "y").set("min", lo).set("max", hi);
      } else {
        m.node("Clip", {"x", m.floats("lo", {}, {lo}), m.floats("hi", {}, {hi})}, "y");
      }
      return m;
    };
    const FloatNode relu6 = only(clip(0, 6).import());
    EXPECT_EQ(relu6.op, FloatOp::kClip);
    EXPECT_EQ(relu6.clip_lo, 0);
    EXPECT_EQ(relu6.clip_hi, 6);
    EXPECT_EQ(only(clip(0, kInf).import()).op, FloatOp::kRelu);
    EXPECT_EQ(only(clip(0, std::numeric_limits<float>::max()).import()).op, FloatOp::kRelu);
    EXPECT_EQ(clip(-kInf, kInf).import().nodes.size(), 1U);
    EXPECT_THAT(first_problem(clip(-1, 1)), HasSubstr("only 0 is supported"));
    EXPECT_THAT(first_problem(clip(0, -1)), HasSubstr("lower bound"));
    EXPECT_THAT(first_problem(clip(0, std::nanf(""))), HasSubstr("NaN"));
  }
  OnnxMaker after(9);
  after.node("Relu", {"x"}, "r");
  after.node("Clip", {"r"}, "c").set("max", 6.0F);
  after.node("Relu", {"c"}, "y");
  EXPECT_EQ(only(after.import()).op, FloatOp::kClip);
  EXPECT_EQ(only(after.import()).clip_hi, 6);
  OnnxMaker half(13);
  half.node("Clip", {"x", half.floats("lo", {}, {0})}, "y");
  EXPECT_EQ(only(half.import()).op, FloatOp::kRelu);
}

TEST(ImportLinear, GemmForms) {
  const std::vector<float> b = {1, 2, 3, 4, 5, 6};  // 3 inputs x 2 outputs
  const auto gemm = [&](int transposed, float alpha, float beta, const Ints& bias) {
    OnnxMaker m(11, {3, 1, 1});
    m.node("Flatten", {"x"}, "f");
    std::vector<std::string> in{"f", m.floats("b", transposed ? Ints{2, 3} : Ints{3, 2},
                                              transposed ? std::vector<float>{1, 3, 5, 2, 4, 6} : b)};
    if (!bias.empty() && bias[0] != 0)
      in.push_back(m.floats("c", bias, bias.back() == 2 ? std::vector<float>{7, 8} : std::vector<float>{7}));
    m.node("Gemm", in, "y").set("transB", transposed).set("alpha", alpha).set("beta", beta);
    return m.import();
  };
  for (const int t : {0, 1}) {
    const FloatNode n = only(gemm(t, 2, 3, {2}));
    EXPECT_EQ(n.op, FloatOp::kLinear);
    EXPECT_THAT(n.weight, ElementsAre(2, 6, 10, 4, 8, 12));
    EXPECT_THAT(n.bias, ElementsAre(21, 24));
    EXPECT_THAT(only(gemm(t, 1, 1, {1, 2})).bias, ElementsAre(7, 8));
    EXPECT_THAT(only(gemm(t, 1, 1, {1})).bias, ElementsAre(7, 7));
    EXPECT_TRUE(only(gemm(t, 1, 1, {0})).bias.empty());
  }
}

TEST(ImportLinear, MatMulAndAdd) {
  OnnxMaker m(13, {3, 1, 1});
  m.node("Reshape", {"x", m.ints("to", {0, -1})}, "f");
  m.node("MatMul", {"f", m.floats("b", {3, 2}, {1, 2, 3, 4, 5, 6})}, "p");
  m.node("Add", {m.floats("c", {2}, {7, 8}), "p"}, "y");
  const FloatNode n = only(m.import());
  EXPECT_THAT(n.weight, ElementsAre(1, 3, 5, 2, 4, 6));
  EXPECT_THAT(n.bias, ElementsAre(7, 8));
  EXPECT_EQ(n.name, "p");
  OnnxMaker two(13, {3, 3, 3});
  two.node("MatMul", {"x", "x"}, "y");
  EXPECT_THAT(first_problem(two), HasSubstr("second factor"));
  OnnxMaker wide(13, {3, 2, 3});
  wide.node("MatMul", {"x", wide.floats("b", {3, 2})}, "y");
  EXPECT_THAT(first_problem(wide), HasSubstr("vector times a matrix"));
}

}  // namespace
}  // namespace eqo
