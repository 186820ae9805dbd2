#include "eqo/importer/passes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "eqo/core/error.h"
#include "eqo/importer/float_eval.h"
#include "eqo/importer/graph_builder.h"
#include "eqo/importer/zoo.h"

namespace eqo {
namespace {

using ::testing::HasSubstr;

FloatNode batch_norm(const std::string& name, int input, std::size_t channels) {
  FloatNode n;
  n.op = FloatOp::kBatchNorm;
  n.name = name;
  n.inputs = {input};
  for (std::size_t c = 0; c < channels; ++c) {
    const auto f = static_cast<float>(c);
    n.scale.push_back(0.5F + f);
    n.shift.push_back(f - 1);
    n.mean.push_back(0.25F * f);
    n.variance.push_back(1 + f);
  }
  return n;
}
FloatNode conv(const std::string& name, int input, std::size_t weights, bool bias) {
  FloatNode n;
  n.op = FloatOp::kConv;
  n.name = name;
  n.inputs = {input};
  for (std::size_t i = 0; i < weights; ++i) n.weight.push_back(std::sin(static_cast<float>(i)));
  if (bias) n.bias = {0.5F, -1};
  return n;
}

void expect_same_logits(const FloatGraph& a, const FloatGraph& b) {
  std::vector<float> x(static_cast<std::size_t>(a.input_shape().size()));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::cos(static_cast<float>(i));
  const auto p = FloatEvaluator(a).logits(x);
  const auto q = FloatEvaluator(b).logits(x);
  ASSERT_EQ(p.size(), q.size());
  for (std::size_t i = 0; i < p.size(); ++i) EXPECT_NEAR(p[i], q[i], 1e-4 * (1 + std::fabs(p[i])));
}

TEST(FoldBatchNorm, IntoTheConvolutionBefore) {
  for (const bool bias : {false, true}) {
    GraphBuilder b("g", "x", {3, 4, 4});
    const int c = b.add(conv("c", 0, 6, bias));
    const int n = b.add(batch_norm("n", c, 2));
    const int m = b.add(batch_norm("m", n, 2));  // a chain folds too
    const FloatGraph g = b.finish(b.add(FloatOp::kRelu, "r", {m}));
    const FloatGraph f = fold_batch_norm(g);
    ASSERT_EQ(f.nodes.size(), 3U);
    EXPECT_EQ(f.nodes[1].name, "c");
    EXPECT_EQ(f.nodes[2].inputs, std::vector<int>{1});
    expect_same_logits(g, f);
  }
}

TEST(FoldBatchNorm, IntoALinearLayer) {
  GraphBuilder b("g", "x", {3, 1, 1});
  FloatNode l = conv("l", 0, 6, false);
  l.op = FloatOp::kLinear;
  const int at = b.add(l);
  const FloatGraph g = b.finish(b.add(batch_norm("n", at, 2)));
  const FloatGraph f = fold_batch_norm(g);
  EXPECT_EQ(f.nodes.size(), 2U);
  EXPECT_EQ(f.output, 1);
  expect_same_logits(g, f);
}

TEST(FoldBatchNorm, BecomesDepthwiseWhereItCannotFold) {
  GraphBuilder b("g", "x", {3, 4, 4});
  const int c = b.add(conv("c", 0, 9, false));
  const int n = b.add(batch_norm("n", c, 3));
  const FloatGraph shared = b.finish(b.add(FloatOp::kAdd, "a", {c, n}));  // the convolution is read twice
  GraphBuilder d("g", "x", {3, 4, 4});
  const FloatGraph first = d.finish(d.add(batch_norm("n", 0, 3)));
  for (const FloatGraph& g : {shared, first}) {
    const FloatGraph f = fold_batch_norm(g);
    EXPECT_EQ(f.nodes.size(), g.nodes.size());
    for (const FloatNode& node : f.nodes) EXPECT_NE(node.op, FloatOp::kBatchNorm);
    expect_same_logits(g, f);
  }
}

TEST(FoldBatchNorm, ResNetKeepsItsLogits) {
  FloatGraph g = make_zoo("resnet20");
  for (FloatNode& n : g.nodes) {
    for (std::size_t c = 0; c < n.mean.size(); ++c) {
      n.mean[c] = 0.01F * static_cast<float>(c % 7);
      n.variance[c] = 1 + 0.1F * static_cast<float>(c % 3);
    }
  }
  const FloatGraph f = fold_batch_norm(g);
  EXPECT_EQ(f.nodes.size(), g.nodes.size() - 19);
  EXPECT_EQ(count_macs(f), count_macs(g));
  expect_same_logits(g, f);
}

TEST(RemoveDeadNodes, KeepsTheInputAndWhatIsUsed) {
  GraphBuilder b("g", "x", {3, 4, 4});
  b.add(FloatOp::kRelu, "dead", {0});
  const int r = b.add(FloatOp::kRelu, "live", {0});
  b.add(FloatOp::kRelu, "dead too", {r});
  const FloatGraph g = remove_dead_nodes(b.finish(r));
  ASSERT_EQ(g.nodes.size(), 2U);
  EXPECT_EQ(g.nodes[1].name, "live");
  EXPECT_EQ(g.output, 1);
}

std::string why_invalid(const std::function<void(FloatGraph&)>& spoil) {
  FloatGraph g = make_zoo("resnet20");
  spoil(g);
  try {
    validate(g);
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), Category::kModel);
    return e.what();
  }
  return "valid";
}

TEST(Validate, NamesTheFirstBadNode) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(why_invalid([](FloatGraph&) {}), "valid");
  EXPECT_THAT(why_invalid([](FloatGraph& g) { g.nodes[1].weight[5] = std::nanf(""); }),
              HasSubstr("Conv 'conv1': weight 5 is not a finite number"));
  EXPECT_THAT(why_invalid([](FloatGraph& g) { g.nodes[2].shift[0] = kInf; }), HasSubstr("'conv1/bn': shift 0"));
  EXPECT_THAT(why_invalid([](FloatGraph& g) { g.nodes[2].variance[1] = -1; }), HasSubstr("variance"));
  EXPECT_THAT(why_invalid([](FloatGraph& g) { g.nodes[2].scale.pop_back(); }), HasSubstr("parameters for 15 channels"));
  EXPECT_THAT(why_invalid([](FloatGraph& g) { g.nodes[1].weight.pop_back(); }), HasSubstr("431 weights"));
  EXPECT_THAT(why_invalid([](FloatGraph& g) { g.nodes[1].shape.w = 31; }), HasSubstr("should be 16x32x32"));
  EXPECT_THAT(why_invalid([](FloatGraph& g) { g.nodes[1].groups = 2; }), HasSubstr("groups"));
  EXPECT_THAT(why_invalid([](FloatGraph& g) { g.nodes[3].inputs = {3}; }), HasSubstr("earlier node"));
  EXPECT_THAT(why_invalid([](FloatGraph& g) { g.nodes[3].inputs = {-1}; }), HasSubstr("earlier node"));
  EXPECT_THAT(why_invalid([](FloatGraph& g) { g.nodes[3].inputs = {1, 2}; }), HasSubstr("2 inputs"));
  EXPECT_THAT(why_invalid([](FloatGraph& g) { g.nodes[3].name = "conv1"; }), HasSubstr("two nodes are called 'conv1'"));
  EXPECT_THAT(why_invalid([](FloatGraph& g) { g.nodes[3].name = ""; }), HasSubstr("no name"));
  EXPECT_THAT(why_invalid([](FloatGraph& g) { g.nodes[3].op = FloatOp::kInput; }), HasSubstr("one input"));
  EXPECT_THAT(why_invalid([](FloatGraph& g) { g.output = 10'000; }), HasSubstr("no output"));
  EXPECT_THAT(why_invalid([](FloatGraph& g) { g.nodes.clear(); }), HasSubstr("no input"));
  EXPECT_THAT(why_invalid([](FloatGraph& g) { g.nodes[0].shape = {3, 1 << 20, 1 << 20}; }), HasSubstr("larger than"));
  EXPECT_THAT(why_invalid([](FloatGraph& g) { g.nodes[0].shape = {3, 0, 32}; }), HasSubstr("dimension 0"));
  EXPECT_THAT(why_invalid([](FloatGraph& g) { g.nodes[1].window.pad_top = std::int64_t{1} << 60; }),
              HasSubstr("padding"));
  EXPECT_THAT(why_invalid([](FloatGraph& g) { g.nodes[1].window.stride_h = 0; }), HasSubstr("stride"));
}

TEST(InferShape, PoolingNeverSeesOnlyPadding) {
  GraphBuilder b("g", "x", {1, 3, 3});
  EXPECT_THROW(b.pool(FloatOp::kMaxPool, "p", 0, {.kernel_h = 2, .pad_top = 2}), Error);
  EXPECT_THROW(b.pool(FloatOp::kAvgPool, "p", 0, {.kernel_w = 2, .stride_w = 4, .pad_right = 3}), Error);
  EXPECT_THROW(b.pool(FloatOp::kMaxPool, "p", 0, {.kernel_h = 2, .pad_top = 1, .pad_bottom = 2, .dilation_h = 5}),
               Error);
  EXPECT_NO_THROW(b.pool(FloatOp::kMaxPool, "p", 0, {.kernel_h = 2, .pad_top = 1}));
}

TEST(InferShape, SliceStaysInside) {
  GraphBuilder b("g", "x", {4, 5, 6});
  EXPECT_NO_THROW(b.slice("s", 0, {1, 0, 5}, {2, 1, 1}, {2, 5, 1}));
  EXPECT_THROW(b.slice("s", 0, {2, 0, 5}, {2, 1, 1}, {2, 5, 1}), Error);
  EXPECT_THROW(b.slice("s", 0, {-1, 0, 0}, {1, 1, 1}, {2, 5, 1}), Error);
  EXPECT_THROW(b.slice("s", 0, {0, 0, 0}, {0, 1, 1}, {2, 5, 1}), Error);
  EXPECT_THROW(b.reshape("r", 0, {119, 1, 1}), Error);
}

}  // namespace
}  // namespace eqo
