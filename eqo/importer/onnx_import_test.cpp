#include "eqo/importer/onnx_import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "eqo/core/error.h"
#include "eqo/importer/onnx_test_builder.h"

namespace eqo {
namespace {

using testing::first_problem;
using ::testing::HasSubstr;
using testing::only;
using testing::OnnxMaker;

TEST(ImportEnd, SoftmaxIsDroppedAndArgmaxKept) {
  for (const int opset : {9, 13}) {
    OnnxMaker m(opset);
    m.node("GlobalAveragePool", {"x"}, "p");
    m.node("Flatten", {"p"}, "f");
    m.node("Softmax", {"f"}, "y");
    EXPECT_EQ(m.import().nodes.size(), 2U);
    EXPECT_FALSE(m.import().argmax);
    m.graph().mutable_output(0)->set_name("l");
    m.node("ArgMax", {"y"}, "a").set("axis", 1).set("keepdims", 0);
    m.node("Cast", {"a"}, "l").set("to", 6);
    EXPECT_TRUE(m.import().argmax);
    m.graph().mutable_output(0)->set_name("z");
    m.node("Relu", {"y"}, "z");
    EXPECT_THAT(first_problem(m), HasSubstr("Relu 'z': follows a Softmax"));
  }
  OnnxMaker rows(13);
  rows.node("Softmax", {"x"}, "y");
  EXPECT_THAT(first_problem(rows), HasSubstr("over the classes"));
}

TEST(ImportMisc, IdentityDropoutAndNames) {
  OnnxMaker m(13);
  m.node("Dropout", {"x", m.floats("ratio", {}, {0.5F})}, "d").output("mask");
  m.node("Identity", {"d"}, "i");
  m.node("Relu", {"i"}, "y").proto().clear_name();
  m.graph().mutable_node(2)->mutable_output(0)->assign("y");
  EXPECT_EQ(only(m.import()).name, "y");  // a node without a name is called as its output
  OnnxMaker twice(13);
  twice.node("Relu", {"x"}, "r").proto().set_output(0, "a");
  twice.node("GlobalMaxPool", {"a"}, "r").proto().set_output(0, "y");
  const FloatGraph g = twice.import();
  ASSERT_EQ(g.nodes.size(), 3U);
  EXPECT_EQ(g.nodes[1].name, "r");
  EXPECT_EQ(g.nodes[2].name, "r_2");
  OnnxMaker bad(13);
  bad.node("Relu", {"x"}, "a\nb\xff").proto().set_output(0, "y");
  EXPECT_EQ(only(bad.import()).name, "a_b_");
}

TEST(ImportMisc, NodesInAnyOrderAndDeadNodes) {
  OnnxMaker m(13);
  m.node("Relu", {"a"}, "y");
  m.node("Identity", {"x"}, "a");
  m.node("NonMaxSuppression", {"x"}, "unused");
  EXPECT_EQ(m.import().nodes.size(), 2U);
}

TEST(ImportMisc, InitializersMayBeInputsToo) {
  OnnxMaker m(9);
  m.node("Conv", {"x", m.floats("w", {4, 3, 3, 2})}, "y");
  m.graph().add_input()->set_name("w");
  EXPECT_EQ(m.import().nodes.size(), 2U);
}

}  // namespace
}  // namespace eqo
