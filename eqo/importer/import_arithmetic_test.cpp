#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

TEST(ImportArithmetic, ConstantsFoldIntoTheLayerBefore) {
  const auto with = [](const char* op, bool constant_first, const Ints& dims, const std::vector<float>& k) {
    OnnxMaker m(13);
    m.node("Conv", {"x", m.floats("w", {2, 3, 1, 1})}, "c");
    m.floats("k", dims, k);
    m.node(op, constant_first ? std::vector<std::string>{"k", "c"} : std::vector<std::string>{"c", "k"}, "y");
    return m.import();
  };
  OnnxMaker plain(13);
  plain.node("Conv", {"x", plain.floats("w", {2, 3, 1, 1})}, "y");
  const auto base = run(plain.import());
  const auto expect = [&](const FloatGraph& g, auto f) {
    EXPECT_EQ(only(g).op, FloatOp::kConv);
    const auto y = run(g);
    for (std::size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(y[i], f(base[i], i / 30), 1e-4);
  };
  const float k[] = {0.5F, -2};
  for (const Ints& dims : {Ints{2, 1, 1}, Ints{1, 2, 1, 1}}) {
    expect(with("Add", false, dims, {0.5F, -2}), [&](float v, std::size_t c) { return v + k[c]; });
    expect(with("Sub", false, dims, {0.5F, -2}), [&](float v, std::size_t c) { return v - k[c]; });
    expect(with("Sub", true, dims, {0.5F, -2}), [&](float v, std::size_t c) { return k[c] - v; });
    expect(with("Mul", true, dims, {0.5F, -2}), [&](float v, std::size_t c) { return v * k[c]; });
    expect(with("Div", false, dims, {0.5F, -2}), [&](float v, std::size_t c) { return v / k[c]; });
  }
  expect(with("Mul", false, {}, {3}), [&](float v, std::size_t) { return v * 3; });
  expect(with("Sum", false, {1}, {3}), [&](float v, std::size_t) { return v + 3; });
  EXPECT_THROW(with("Add", false, {2}, {1, 2}), Error);  // lies along the columns
  EXPECT_THROW(with("Add", false, {1, 1, 1, 5}, {1, 1, 1, 1, 2}), Error);
  EXPECT_NO_THROW(with("Add", false, {1, 1, 1, 5}, {1, 1, 1, 1, 1}));
  EXPECT_THROW(with("Div", false, {}, {0}), Error);
  EXPECT_THROW(with("Add", false, {7, 2, 1, 1}, std::vector<float>(14, 1.0F)), Error);
}

TEST(ImportArithmetic, OtherConstantsBecomeADepthwiseConvolution) {
  OnnxMaker m(13);
  m.node("Sub", {"x", m.floats("mean", {3, 1, 1}, {1, 2, 3})}, "s");
  m.node("Div", {"s", m.floats("std", {3, 1, 1}, {2, 4, 5})}, "y");
  for (const bool fold : {false, true}) {
    const FloatGraph g = m.import({.fold_batch_norm = fold});
    const FloatNode n = only(g);
    EXPECT_EQ(n.op, FloatOp::kConv);
    EXPECT_EQ(n.groups, 3);
    EXPECT_THAT(n.weight, ElementsAre(0.5F, 0.25F, 0.2F));
    const auto x = image(g);
    const auto y = run(g);
    for (std::size_t i = 0; i < y.size(); ++i) {
      const float mean[] = {1, 2, 3};
      const float std[] = {2, 4, 5};
      EXPECT_NEAR(y[i], (x[i] - mean[i / 30]) / std[i / 30], 1e-5);
    }
  }
}

TEST(ImportArithmetic, KeptBatchNormTakesConstantsToo) {
  OnnxMaker m(13);
  m.node("BatchNormalization",
         {"x", m.floats("s", {3}, {2, 3, 4}), m.floats("b", {3}, {1, -1, 0}), m.floats("m", {3}, {0.5F, 0, 1}),
          m.floats("v", {3}, {4, 1, 2})},
         "bn");
  m.node("Mul", {"bn", m.floats("k", {}, {2})}, "y");
  const FloatGraph g = m.import({.fold_batch_norm = false});
  EXPECT_EQ(only(g).op, FloatOp::kBatchNorm);
  EXPECT_THAT(only(g).scale, ElementsAre(4, 6, 8));
  EXPECT_THAT(only(g).shift, ElementsAre(2, -2, 0));
}

TEST(ImportArithmetic, AddOfActivations) {
  OnnxMaker m(13);
  m.node("Relu", {"x"}, "r");
  m.node("Sum", {"x", "r", "r"}, "s");
  m.node("Add", {"s", "x"}, "y");
  const FloatGraph g = m.import();
  const auto x = image(g);
  const auto y = run(g);
  for (std::size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(y[i], 2 * x[i] + 2 * std::max(x[i], 0.0F), 1e-5);
  OnnxMaker product(13);
  product.node("Mul", {"x", "x"}, "y");
  EXPECT_THAT(first_problem(product), HasSubstr("Mul 'y': combines two activations"));
  OnnxMaker shapes(13);
  shapes.node("GlobalAveragePool", {"x"}, "p");
  shapes.node("Add", {"x", "p"}, "y");
  EXPECT_THAT(first_problem(shapes), HasSubstr("different shapes"));
}

}  // namespace
}  // namespace eqo
