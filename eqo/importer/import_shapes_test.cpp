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
using testing::image;
using testing::Ints;
using testing::only;
using testing::OnnxMaker;
using testing::run;

TEST(ImportShapes, SliceForms) {
  for (const int opset : {9, 10, 13}) {
    OnnxMaker m(opset);
    const Ints starts{-5, 1};
    const Ints ends{std::numeric_limits<std::int64_t>::max(), -1};
    if (opset < 10) {
      m.node("Slice", {"x"}, "y").set("starts", starts).set("ends", ends).set("axes", Ints{2, 3});
    } else {
      m.node("Slice", {"x", m.ints("s", starts), m.ints("e", ends), m.ints("a", {2, -1}), m.ints("t", {2, 1})}, "y");
    }
    const FloatNode n = only(m.import());
    EXPECT_EQ(n.op, FloatOp::kSlice);
    EXPECT_THAT(n.start, ElementsAre(0, 1, 1));
    EXPECT_THAT(n.step, ElementsAre(1, opset < 10 ? 1 : 2, 1));
    EXPECT_EQ(n.shape, (Shape{3, opset < 10 ? 5 : 3, 3}));
  }
  const auto slice = [](const Ints& s, const Ints& e, const Ints& a, const Ints& t) {
    OnnxMaker m(13);
    m.node("Slice", {"x", m.ints("s", s), m.ints("e", e), m.ints("a", a), m.ints("t", t)}, "y");
    return m;
  };
  EXPECT_THAT(first_problem(slice({4}, {0}, {2}, {-1})), HasSubstr("negative steps"));
  EXPECT_THAT(first_problem(slice({3}, {3}, {2}, {1})), HasSubstr("leaves nothing"));
  EXPECT_THAT(first_problem(slice({0}, {2}, {4}, {1})), HasSubstr("axis 4"));
  EXPECT_THAT(first_problem(slice({0}, {2}, {2}, {0})), HasSubstr("steps of 0"));
  EXPECT_THAT(first_problem(slice({0, 0}, {2, 2}, {2, 2}, {1, 1})), HasSubstr("twice"));
  EXPECT_THAT(first_problem(slice({0, 0}, {2}, {2, 3}, {1, 1})), HasSubstr("differ in length"));
}

TEST(ImportShapes, PadForms) {
  const Ints pads{0, 1, 0, 2, 0, 0, 3, 0};
  for (const int opset : {9, 11, 18}) {
    OnnxMaker m(opset);
    if (opset < 11) {
      m.node("Pad", {"x"}, "y").set("pads", pads);
    } else if (opset < 18) {
      m.node("Pad", {"x", m.ints("p", pads)}, "y");
    } else {
      m.node("Pad", {"x", m.ints("p", {1, 0, 2, 0, 3, 0}), m.floats("v", {}, {0}), m.ints("a", {1, 2, -1})}, "y");
    }
    const FloatNode n = only(m.import());
    EXPECT_EQ(n.op, FloatOp::kPad);
    EXPECT_THAT(n.pad_before, ElementsAre(1, 0, 2));
    EXPECT_THAT(n.pad_after, ElementsAre(0, 3, 0));
  }
  OnnxMaker ones(13);
  ones.node("Pad", {"x", ones.ints("p", pads), ones.floats("v", {}, {1})}, "y");
  EXPECT_THAT(first_problem(ones), HasSubstr("zeros"));
  OnnxMaker reflect(13);
  reflect.node("Pad", {"x", reflect.ints("p", pads)}, "y").set("mode", "reflect");
  EXPECT_THAT(first_problem(reflect), HasSubstr("zeros"));
  OnnxMaker batch(13);
  batch.node("Pad", {"x", batch.ints("p", {1, 0, 0, 0, 0, 0, 0, 0})}, "y");
  EXPECT_THAT(first_problem(batch), HasSubstr("batch"));
  OnnxMaker huge(13);
  huge.node("Pad", {"x", huge.ints("p", {0, 0, 0, 0, 0, 0, std::numeric_limits<std::int64_t>::max(), 0})}, "y");
  EXPECT_THAT(first_problem(huge), HasSubstr("out of range"));
}

TEST(ImportShapes, SqueezeAndUnsqueezeForms) {
  for (const int opset : {9, 13}) {
    OnnxMaker m(opset);
    m.node("GlobalAveragePool", {"x"}, "p");
    if (opset < 13) {
      m.node("Squeeze", {"p"}, "s").set("axes", Ints{2, 3});
      m.node("Unsqueeze", {"s"}, "u").set("axes", Ints{2, 3});
    } else {
      m.node("Squeeze", {"p", m.ints("a", {-1, -2})}, "s");
      m.node("Unsqueeze", {"s", m.ints("a2", {2, 3})}, "u");
    }
    m.node("Conv", {"u", m.floats("w", {4, 3, 1, 1})}, "c");
    m.node("Squeeze", {"c"}, "y");  // everything of size 1, the batch too
    const FloatGraph g = m.import();
    EXPECT_EQ(g.nodes.size(), 3U);  // relabelling costs nothing
    EXPECT_EQ(g.output_shape(), (Shape{4, 1, 1}));
  }
}

TEST(ImportShapes, TransposeThatOnlyRelabels) {
  OnnxMaker m(13, {3, 1, 5});
  m.node("Transpose", {"x"}, "y").set("perm", Ints{0, 2, 1, 3});
  EXPECT_EQ(m.import().output_shape(), (Shape{1, 3, 5}));
  OnnxMaker moves(13);
  moves.node("Transpose", {"x"}, "y").set("perm", Ints{0, 2, 3, 1});
  EXPECT_THAT(first_problem(moves), HasSubstr("moves data"));
  OnnxMaker bad(13);
  bad.node("Transpose", {"x"}, "y").set("perm", Ints{0, 2, 2, 1});
  EXPECT_THAT(first_problem(bad), HasSubstr("transposes"));
}

TEST(ImportShapes, ConcatAndSplit) {
  OnnxMaker m(13, {4, 3, 3});
  m.node("Split", {"x", m.ints("parts", {1, 3})}, "a").set("axis", 1).output("b");
  m.node("Concat", {"b", "a", "b"}, "y").set("axis", -3);
  const FloatGraph g = m.import();
  EXPECT_EQ(g.output_shape(), (Shape{7, 3, 3}));
  const auto x = image(g);
  const auto y = run(g);
  for (std::size_t i = 0; i < 27; ++i) {
    EXPECT_EQ(y[i], x[9 + i]);
    EXPECT_EQ(y[36 + i], x[9 + i]);
    if (i < 9) {
      EXPECT_EQ(y[27 + i], x[i]);
    }
  }
  OnnxMaker zeros(13, {4, 3, 3});
  zeros.node("Concat", {zeros.floats("z", {1, 2, 3, 3}, std::vector<float>(18, 0.0F)), "x"}, "y").set("axis", 1);
  EXPECT_EQ(only(zeros.import()).op, FloatOp::kPad);
  EXPECT_EQ(only(zeros.import()).pad_before[0], 2);
  OnnxMaker rows(13);
  rows.node("Concat", {"x", "x"}, "y").set("axis", 2);
  EXPECT_THAT(first_problem(rows), HasSubstr("only channels"));
}

TEST(ImportShapes, ShapeArithmeticFolds) {
  OnnxMaker m(13);
  m.node("Shape", {"x"}, "shape");
  m.node("Gather", {"shape", m.ints("zero", {0})}, "n").set("axis", 0);
  m.node("Slice", {"shape", m.ints("one", {1}), m.ints("four", {4})}, "chw");
  m.node("Cast", {"chw"}, "cast").set("to", 1);
  m.node("Cast", {"cast"}, "back").set("to", 7);
  m.node("ReduceProd", {"back"}, "product").set("keepdims", 0);
  m.node("Unsqueeze", {"product", "zero"}, "p");
  m.node("Div", {"p", m.ints("two", {2})}, "half");
  m.node("Concat", {"n", "two", "half"}, "to").set("axis", 0);
  m.node("Reshape", {"x", "to"}, "r");
  m.node("ConstantOfShape", {m.ints("rank", {1})}, "c").set("value", testing::int_tensor_proto("", {1}, {1}));
  m.node("Constant", {}, "k").set("value_ints", Ints{-1});
  m.node("Concat", {"c", "k"}, "flat").set("axis", 0);
  m.node("Reshape", {"r", "flat"}, "y");
  const FloatGraph g = m.import();
  EXPECT_EQ(g.output_shape(), (Shape{90, 1, 1}));
  EXPECT_EQ(g.nodes.size(), 2U);  // reshapes of reshapes join
  EXPECT_EQ(run(g), image(g));
}

}  // namespace
}  // namespace eqo
