#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "eqo/core/error.h"
#include "eqo/importer/onnx_test_builder.h"

namespace eqo {
namespace {

using testing::first_problem;
using ::testing::HasSubstr;
using testing::image;
using testing::Ints;
using testing::only;
using testing::OnnxMaker;
using testing::run;

TEST(ImportPool, CeilModeAndPadding) {
  const auto pool = [](const char* op, const Ints& image, const Ints& kernel, const Ints& strides, const Ints& pads,
                       int ceil, int include) {
    OnnxMaker m(13, image);
    auto n = m.node(op, {"x"}, "y")
                 .set("kernel_shape", kernel)
                 .set("strides", strides)
                 .set("pads", pads)
                 .set("ceil_mode", ceil);
    if (include >= 0) n.set("count_include_pad", include);
    return m.import();
  };
  EXPECT_EQ(pool("MaxPool", {1, 6, 6}, {3, 3}, {2, 2}, {0, 0, 0, 0}, 0, -1).output_shape(), (Shape{1, 2, 2}));
  const FloatGraph c = pool("MaxPool", {1, 6, 7}, {3, 3}, {2, 2}, {0, 0, 0, 0}, 1, -1);
  EXPECT_EQ(c.output_shape(), (Shape{1, 3, 3}));
  EXPECT_EQ(only(c).window.pad_bottom, 1);
  EXPECT_EQ(only(c).window.pad_right, 0);
  // The extra window would start in the padding at the end: it is left out.
  EXPECT_EQ(pool("MaxPool", {1, 2, 2}, {2, 2}, {2, 2}, {1, 1, 1, 1}, 1, -1).output_shape(), (Shape{1, 2, 2}));
  EXPECT_EQ(pool("MaxPool", {1, 3, 3}, {1, 1}, {3, 3}, {0, 0, 0, 0}, 1, -1).output_shape(), (Shape{1, 1, 1}));
  EXPECT_FALSE(only(pool("AveragePool", {1, 6, 6}, {3, 3}, {1, 1}, {1, 1, 1, 1}, 0, -1)).count_include_pad);
  EXPECT_TRUE(only(pool("AveragePool", {1, 6, 6}, {3, 3}, {1, 1}, {1, 1, 1, 1}, 0, 1)).count_include_pad);
  // Ceil and counted padding: of the last window's 3 x 3 places 2 x 2 lie in the padded image, one of them a pixel.
  const FloatGraph both = pool("AveragePool", {1, 6, 6}, {3, 3}, {2, 2}, {1, 1, 1, 1}, 1, 1);
  EXPECT_EQ(both.output_shape(), (Shape{1, 4, 4}));
  const auto x = image(both);
  const auto y = run(both);
  EXPECT_NEAR(y[0], (x[0] + x[1] + x[6] + x[7]) / 9, 1e-6);
  EXPECT_NEAR(y[15], x[35] / 4, 1e-6);
  EXPECT_NEAR(y[3], (x[5] + x[11]) / 6, 1e-6);
}

TEST(ImportPool, GlobalAndReduced) {
  for (const int opset : {9, 13, 18}) {
    for (const int keep : {0, 1}) {
      OnnxMaker m(opset);
      if (opset >= 18) {
        m.node("ReduceMean", {"x", m.ints("axes", {-1, 2})}, "y").set("keepdims", keep);
      } else {
        m.node("ReduceMean", {"x"}, "y").set("axes", Ints{2, -1}).set("keepdims", keep);
      }
      OnnxMaker p(opset);
      p.node("GlobalAveragePool", {"x"}, "y");
      EXPECT_TRUE(testing::same_node(only(m.import()), only(p.import())));
    }
    OnnxMaker rows(opset);
    if (opset >= 18) {
      rows.node("ReduceMean", {"x", rows.ints("axes", {2})}, "y");
    } else {
      rows.node("ReduceMean", {"x"}, "y").set("axes", Ints{2});
    }
    EXPECT_EQ(rows.import().output_shape(), (Shape{3, 1, 5}));
  }
  OnnxMaker channels(13);
  channels.node("ReduceMean", {"x"}, "y").set("axes", Ints{1});
  EXPECT_THAT(first_problem(channels), HasSubstr("only the spatial axes"));
  OnnxMaker all(13);
  all.node("ReduceMean", {"x"}, "y");
  EXPECT_THAT(first_problem(all), HasSubstr("only the spatial axes"));
  OnnxMaker max(13);
  max.node("GlobalMaxPool", {"x"}, "y");
  EXPECT_EQ(only(max.import()).op, FloatOp::kMaxPool);
  OnnxMaker indices(13);
  indices.node("MaxPool", {"x"}, "p").set("kernel_shape", Ints{2, 2}).output("i");
  indices.node("Identity", {"p"}, "y");
  EXPECT_EQ(indices.import().nodes.size(), 2U);
  indices.graph().mutable_node(1)->set_input(0, "i");
  EXPECT_THAT(first_problem(indices), HasSubstr("output 1 is not supported"));
}

}  // namespace
}  // namespace eqo
