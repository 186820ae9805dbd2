#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "eqo/core/error.h"
#include "eqo/importer/graph_builder.h"
#include "eqo/importer/onnx_export.h"
#include "eqo/importer/onnx_import.h"
#include "eqo/importer/test_graphs.h"
#include "eqo/importer/zoo.h"

namespace eqo {
namespace {

using testing::TempFolder;

void expect_same(const FloatGraph& a, const FloatGraph& b) {
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.output, b.output);
  EXPECT_EQ(a.argmax, b.argmax);
  ASSERT_EQ(a.nodes.size(), b.nodes.size());
  for (std::size_t n = 0; n < a.nodes.size(); ++n) {
    EXPECT_TRUE(testing::same_node(a.nodes[n], b.nodes[n])) << "node " << n << " '" << a.nodes[n].name << "'";
  }
}

FloatGraph round_trip(const FloatGraph& g) {
  const TempFolder folder;
  export_onnx(g, folder.file("m.onnx"));
  EXPECT_THAT(check_onnx(folder.file("m.onnx")), ::testing::IsEmpty());
  return import_onnx(folder.file("m.onnx"), {.fold_batch_norm = false});
}

class ZooRoundTrip : public ::testing::TestWithParam<std::string> {};

TEST_P(ZooRoundTrip, IsLossless) {
  const std::string name = GetParam();
  const FloatGraph g = make_zoo(name, {.image = name == "resnet50" || name == "squeezenet" ? 64 : 0, .seed = 3});
  expect_same(g, round_trip(g));
}

INSTANTIATE_TEST_SUITE_P(All, ZooRoundTrip, ::testing::ValuesIn(zoo_names()), [](const auto& p) { return p.param; });

// Every operator and every field, in one graph.
FloatGraph everything(bool argmax) {
  GraphBuilder b("everything", "input", {3, 13, 11});
  FloatNode conv;
  conv.op = FloatOp::kConv;
  conv.name = "conv";
  conv.inputs = {0};
  conv.groups = 3;
  conv.window = {.kernel_h = 3,
                 .kernel_w = 2,
                 .stride_h = 1,
                 .stride_w = 1,
                 .pad_top = 2,
                 .pad_left = 1,
                 .pad_bottom = 3,
                 .pad_right = 0,
                 .dilation_h = 2,
                 .dilation_w = 1};
  for (int i = 0; i < 36; ++i) conv.weight.push_back(static_cast<float>(i) / 7 - 2);
  const int c = b.add(conv);
  FloatNode bn;
  bn.op = FloatOp::kBatchNorm;
  bn.name = "logits";  // a name the exporter wants for itself
  bn.inputs = {c};
  bn.scale = {1, 2, 3, 4, 5, 6};
  bn.shift = {0, -1, 1, 0, 2, 3};
  bn.mean = {-1, 0, 1, 2, 3, 4};
  bn.variance = {1, 2, 3, 1, 2, 0.5F};
  bn.epsilon = 1e-3F;
  const int n = b.add(bn);
  FloatNode clip;
  clip.op = FloatOp::kClip;
  clip.name = "clip";
  clip.inputs = {n};
  clip.clip_hi = 2.5F;
  const int l = b.add(clip);
  const int r = b.add(FloatOp::kRelu, "relu", {n});
  const int a = b.add(FloatOp::kAdd, "add", {l, r});
  const int m = b.pool(FloatOp::kMaxPool, "max", a,
                       {.kernel_h = 2, .kernel_w = 3, .stride_h = 2, .stride_w = 1, .pad_left = 1, .dilation_h = 2});
  const int v =
      b.pool(FloatOp::kAvgPool, "avg", m,
             {.kernel_h = 3, .kernel_w = 3, .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1}, true);
  const int w =
      b.pool(FloatOp::kAvgPool, "avg2", m,
             {.kernel_h = 3, .kernel_w = 3, .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1}, false);
  const int k = b.add(FloatOp::kConcat, "concat", {v, w, m});
  const Shape s = b.shape(k);
  const int slice = b.slice("slice", k, {1, 0, 2}, {3, 1, 2}, {5, s.h, (s.w - 2) / 2});
  const int same = b.slice("all of it", slice, {0, 0, 0}, {1, 1, 1}, b.shape(slice));
  const int pad = b.pad("pad", same, {1, 0, 2}, {0, 3, 0});
  const int g = b.global_pool(FloatOp::kMaxPool, "global max", pad);
  const int h = b.reshape("flatten", pad, {b.shape(pad).size(), 1, 1});
  FloatNode fc;
  fc.op = FloatOp::kLinear;
  fc.name = "fc";
  fc.inputs = {h};
  for (std::int64_t i = 0; i < 6 * b.shape(h).c; ++i) fc.weight.push_back(static_cast<float>(i % 13) - 6);
  const int f = b.add(fc);
  const int deep = b.reshape("deep", f, {2, 3, 1});
  const int flat = b.reshape("flat", deep, {6, 1, 1});
  const int sum = b.add(FloatOp::kAdd, "sum", {flat, g});
  return b.finish(sum, argmax);
}

TEST(RoundTrip, KeepsEveryFieldOfEveryOperator) {
  for (const bool argmax : {false, true}) {
    const FloatGraph g = everything(argmax);
    const FloatGraph back = round_trip(g);
    // The importer joins a reshape of a reshape, and drops a slice that takes everything.
    expect_same(round_trip(back), back);
    EXPECT_EQ(back.nodes.size() + 3, g.nodes.size());
    for (const FloatNode& n : back.nodes) {
      bool found = false;
      for (FloatNode o : g.nodes) {
        if (o.name != n.name) continue;
        found = true;
        o.inputs = n.inputs;
        EXPECT_TRUE(testing::same_node(o, n)) << n.name;
      }
      EXPECT_TRUE(found) << n.name;
    }
  }
}

}  // namespace
}  // namespace eqo
