// Files that are broken or made to break us: always a model_error, never a crash, a hang or a huge allocation.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "eqo/core/error.h"
#include "eqo/importer/onnx_export.h"
#include "eqo/importer/onnx_test_builder.h"
#include "eqo/importer/zoo.h"

namespace eqo {
namespace {

using testing::first_problem;
using ::testing::HasSubstr;
using testing::Ints;
using testing::OnnxMaker;
using testing::TempFolder;

std::string import_error(const std::string& path) {
  try {
    import_onnx(path);
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), Category::kModel) << e.what();
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos);
    return e.what();
  }
  return "imported";
}

OnnxMaker small_model() {
  OnnxMaker m(13);
  m.node("Conv", {"x", m.floats("w", {4, 3, 3, 3}), m.floats("b", {4})}, "c").set("pads", Ints{1, 1, 1, 1});
  m.node("Relu", {"c"}, "r");
  m.node("MaxPool", {"r"}, "p").set("kernel_shape", Ints{2, 2}).set("strides", Ints{2, 2});
  m.node("Reshape", {"p", m.ints("to", {0, -1})}, "f");
  m.node("Gemm", {"f", m.floats("v", {24, 10})}, "y");
  return m;
}

TEST(HostileOnnx, SmallModelIsFine) { EXPECT_EQ(small_model().import().output_shape(), (Shape{10, 1, 1})); }

TEST(HostileOnnx, NotAModelAtAll) {
  const TempFolder folder;
  EXPECT_THAT(import_error(folder.file("none")), HasSubstr("no such file"));
  EXPECT_THAT(import_error(folder.path().string()), HasSubstr("not a regular file"));
  EXPECT_THAT(import_error("/dev/zero"), HasSubstr("not a regular file"));
  testing::write_file(folder.file("empty"), "");
  EXPECT_THAT(import_error(folder.file("empty")), HasSubstr("is empty"));
  testing::write_file(folder.file("text"), "this is no protobuf at all");
  EXPECT_THAT(import_error(folder.file("text")), HasSubstr("not an ONNX file"));
  testing::write_file(folder.file("zeros"), std::string(4096, '\0'));
  EXPECT_THAT(import_error(folder.file("zeros")), HasSubstr("not an ONNX file"));
  EXPECT_THROW(check_onnx(folder.file("text")), Error);
}

TEST(HostileOnnx, TruncatedAnywhere) {
  const TempFolder folder;
  const std::string bytes = small_model().model.SerializeAsString();
  for (std::size_t n = 0; n < bytes.size(); n += n < 200 ? 1 : 13) {
    testing::write_file(folder.file("cut"), bytes.substr(0, n));
    EXPECT_NE(import_error(folder.file("cut")), "imported") << n;
  }
}

TEST(HostileOnnx, FlippedBytesAnywhere) {
  const TempFolder folder;
  const std::string bytes = small_model().model.SerializeAsString();
  for (unsigned seed = 0; seed < 3000; ++seed) {
    std::mt19937 rng(seed);
    std::string bad = bytes;
    for (int flips = 1 + static_cast<int>(rng() % 4); flips > 0; --flips) {
      bad[rng() % bad.size()] = static_cast<char>(rng() % 256);
    }
    testing::write_file(folder.file("bad"), bad);
    SCOPED_TRACE("seed " + std::to_string(seed));
    import_error(folder.file("bad"));  // an error of the right category, or a model that happens to be fine
  }
}

TEST(HostileOnnx, Graphs) {
  OnnxMaker cycle(13);
  cycle.node("Add", {"x", "b"}, "a");
  cycle.node("Relu", {"a"}, "b");
  cycle.node("Relu", {"b"}, "y");
  EXPECT_THAT(first_problem(cycle), HasSubstr("Add 'a': is part of a cycle"));
  OnnxMaker self(13);
  self.node("Add", {"x", "y"}, "y");
  EXPECT_THAT(first_problem(self), HasSubstr("cycle"));
  OnnxMaker missing(13);
  missing.node("Conv", {"x", "w"}, "y");
  EXPECT_THAT(first_problem(missing), HasSubstr("Conv 'y': its input 'w' doesn't exist"));
  OnnxMaker twice(13);
  twice.node("Relu", {"x"}, "y");
  twice.node("Relu", {"x"}, "y");
  EXPECT_THAT(first_problem(twice), HasSubstr("makes 'y', which exists already"));
  OnnxMaker shadow(13);
  shadow.node("Relu", {"x"}, "x");
  shadow.node("Relu", {"x"}, "y");
  EXPECT_THAT(first_problem(shadow), HasSubstr("makes 'x'"));
  OnnxMaker weights(13);
  weights.node("Conv", {"x", weights.floats("w", {4, 3, 3, 2})}, "y");
  weights.floats("w", {1});
  EXPECT_THAT(first_problem(weights), HasSubstr("two initializers"));
  OnnxMaker none(13);
  EXPECT_THAT(first_problem(none), HasSubstr("nothing makes the output 'y'"));
  OnnxMaker constant(13);
  constant.node("Identity", {constant.floats("w", {1})}, "y");
  EXPECT_THAT(first_problem(constant), HasSubstr("doesn't depend on the input"));
  OnnxMaker outputs(13);
  outputs.node("Relu", {"x"}, "y");
  outputs.graph().add_output()->set_name("x");
  EXPECT_THAT(first_problem(outputs), HasSubstr("2 outputs"));
  OnnxMaker inputs(13);
  inputs.node("Add", {"x", "z"}, "y");
  inputs.graph().add_input()->set_name("z");
  EXPECT_THAT(first_problem(inputs), HasSubstr("2 inputs"));
}

TEST(HostileOnnx, OpsetsDomainsAndControlFlow) {
  for (const int opset : {1, 8, 23, 1000, -1}) {
    OnnxMaker m(opset);
    m.node("Relu", {"x"}, "y");
    EXPECT_NE(first_problem(m), "none") << opset;
  }
  for (const int opset : {9, 10, 13, 15, 17, 22}) {
    OnnxMaker m(opset);
    m.node("Relu", {"x"}, "y");
    EXPECT_EQ(first_problem(m), "none") << opset;
  }
  OnnxMaker without(13);
  without.node("Relu", {"x"}, "y");
  without.model.clear_opset_import();
  EXPECT_THAT(first_problem(without), HasSubstr("opset"));
  OnnxMaker custom(13);
  custom.node("Relu", {"x"}, "y").domain("com.example");
  EXPECT_THAT(first_problem(custom), HasSubstr("Relu 'y': operator of the custom domain 'com.example'"));
  OnnxMaker named(13);
  named.node("Relu", {"x"}, "y").domain("ai.onnx");
  EXPECT_EQ(first_problem(named), "none");
  for (const char* op : {"If", "Loop", "Scan"}) {
    OnnxMaker flow(13);
    auto n = flow.node(op, {"x"}, "y");
    auto& body = *n.proto().add_attribute();
    body.set_name("body");
    body.set_type(onnx::AttributeProto::GRAPH);
    body.mutable_g()->add_node()->set_op_type("Relu");
    const auto problems = flow.check();
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_EQ(problems[0].op, op);
    EXPECT_THAT(problems[0].hint, HasSubstr("control flow"));
  }
}

TEST(HostileOnnx, DeepNestingIsRefused) {
  OnnxMaker m(13);
  onnx::GraphProto* g = &m.graph();
  for (int depth = 0; depth < 1000; ++depth) {
    auto& a = *g->add_node()->add_attribute();
    a.set_name("body");
    g = a.mutable_g();
  }
  const TempFolder folder;
  EXPECT_THAT(import_error(m.save(folder)), HasSubstr("not an ONNX file"));
}

TEST(HostileOnnx, InputShapes) {
  const auto with = [](const Ints& dims) {
    OnnxMaker m(13, dims);
    m.node("Relu", {"x"}, "y");
    return m;
  };
  EXPECT_THAT(first_problem(with({3, 0, 5})), HasSubstr("dimension of 0 is out of range"));
  EXPECT_THAT(first_problem(with({3, -4, 5})), HasSubstr("dimension of -4"));
  EXPECT_THAT(first_problem(with({3, 1 << 20, 1 << 20})), HasSubstr("larger than"));
  EXPECT_THAT(first_problem(with({3, std::int64_t{1} << 62, std::int64_t{1} << 62})), HasSubstr("out of range"));
  EXPECT_THAT(first_problem(with({3, 32})), HasSubstr("3 dimensions, not 4"));
  OnnxMaker free = with({3, 6, 5});
  free.shape().mutable_dim(2)->set_dim_param("H");
  EXPECT_THAT(first_problem(free), HasSubstr("must be fixed"));
  OnnxMaker one = with({3, 6, 5});
  one.shape().mutable_dim(0)->set_dim_value(1);
  EXPECT_EQ(first_problem(one), "none");
  one.shape().mutable_dim(0)->clear_value();
  EXPECT_EQ(first_problem(one), "none");
  for (const int n : {0, -1, 2, 64}) {
    one.shape().mutable_dim(0)->set_dim_value(n);
    EXPECT_THAT(first_problem(one), HasSubstr("batch size is fixed to " + std::to_string(n)));
  }
  OnnxMaker ints = with({3, 6, 5});
  ints.graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(onnx::TensorProto::UINT8);
  EXPECT_THAT(first_problem(ints), HasSubstr("tensor of floats"));
  OnnxMaker untyped = with({3, 6, 5});
  untyped.graph().mutable_input(0)->clear_type();
  EXPECT_THAT(first_problem(untyped), HasSubstr("tensor of floats"));
}

TEST(HostileOnnx, BadWeightsAreNamed) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  for (const float bad : {kInf, -kInf, std::nanf("")}) {
    OnnxMaker m = small_model();
    m.graph().mutable_initializer(0)->set_float_data(7, bad);
    EXPECT_THAT(first_problem(m), HasSubstr("Conv 'c': weight 7 is not a finite number"));
  }
  OnnxMaker half = small_model();  // a double that is no finite float
  auto& w = *half.graph().mutable_initializer(1);
  w.clear_float_data();
  w.set_data_type(onnx::TensorProto::DOUBLE);
  for (int i = 0; i < 4; ++i) w.add_double_data(1e300);
  EXPECT_THAT(first_problem(half), HasSubstr("Conv 'c': bias 0"));
  OnnxMaker claim = small_model();
  claim.graph().mutable_initializer(0)->set_dims(0, std::int64_t{1} << 40);
  EXPECT_THAT(first_problem(claim), HasSubstr("initializer 'w': a tensor of"));
  OnnxMaker zero = small_model();
  zero.graph().mutable_initializer(0)->set_dims(0, 0);
  zero.graph().mutable_initializer(0)->clear_float_data();
  EXPECT_THAT(first_problem(zero), HasSubstr("Conv 'c'"));
  OnnxMaker outside = small_model();
  auto& e = *outside.graph().mutable_initializer(0);
  e.clear_float_data();
  e.set_data_location(onnx::TensorProto::EXTERNAL);
  auto& where = *e.add_external_data();
  where.set_key("location");
  where.set_value("../../../etc/passwd");
  EXPECT_THAT(first_problem(outside), HasSubstr("outside of the model's folder"));
}

// One 100 KB initializer that 20,000 nodes want a copy of would be 2 GB: refused, and quickly.
TEST(HostileOnnx, SharedWeightsDontMultiplyWithoutBound) {
  OnnxMaker m(13, {160, 1, 1});
  m.floats("w", {160, 160, 1, 1}, std::vector<float>(160 * 160, 0.0F));
  std::string last = "x";
  for (int n = 0; n < 30'000; ++n) {
    const std::string next = n == 29'999 ? std::string("y") : std::to_string(n);
    m.node("Conv", {last, "w"}, next);
    last = next;
  }
  EXPECT_THAT(first_problem(m), HasSubstr("too large"));
}

TEST(HostileOnnx, ManyNodes) {
  OnnxMaker m(13, {1, 1, 1});
  for (int n = 0; n < 100'001; ++n) m.node("Relu", {"x"}, std::to_string(n));
  EXPECT_THAT(first_problem(m), HasSubstr("more than 100000 nodes"));
}

// Two bytes each in the file, hundreds in memory.
TEST(HostileOnnx, MillionsOfEmptyParts) {
  const TempFolder folder;
  for (const std::string& part :
       {std::string("\x0a\x00", 2), std::string("\x5a\x00", 2)}) {  // GraphProto's node, input
    const std::size_t count = 5'000'000;
    std::string bytes = "\x3a";  // ModelProto's graph
    std::size_t length = count * part.size();
    for (; length >= 128; length >>= 7) bytes += static_cast<char>(length % 128 + 128);
    bytes += static_cast<char>(length);
    for (std::size_t n = 0; n < count; ++n) bytes += part;
    testing::write_file(folder.file("parts"), bytes);
    EXPECT_THAT(import_error(folder.file("parts")), HasSubstr("more parts"));
  }
}

TEST(CheckOnnx, ListsEveryProblemAtOnce) {
  OnnxMaker m(13);
  m.node("Sigmoid", {"x"}, "s1");
  m.node("LeakyRelu", {"s1"}, "l");
  m.node("Conv", {"l", m.floats("w", {4, 3, 3, 2})}, "c");
  m.node("Relu", {"x"}, "r");
  m.node("Transpose", {"r"}, "t").set("perm", Ints{0, 3, 1, 2});
  m.node("Frobnicate", {"t", "c"}, "y");
  const auto problems = m.check();
  ASSERT_EQ(problems.size(), 4U);
  EXPECT_EQ(problems[0].to_string(), "Sigmoid 's1': this operator is not supported");
  EXPECT_THAT(problems[0].hint, HasSubstr("Relu"));
  EXPECT_EQ(problems[1].to_string(), "LeakyRelu 'l': this operator is not supported");
  EXPECT_EQ(problems[2].to_string(), "Transpose 't': moves data");
  EXPECT_EQ(problems[3].to_string(), "Frobnicate 'y': this operator is not supported");
  const TempFolder folder;
  EXPECT_THAT(import_error(m.save(folder)), HasSubstr("Sigmoid 's1': this operator is not supported (and 3 more"));
}

}  // namespace
}  // namespace eqo
