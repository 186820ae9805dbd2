#include "eqo/importer/const_fold.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "eqo/core/error.h"
#include "eqo/importer/onnx_test_builder.h"
#include "eqo/importer/shape_args.h"

namespace eqo {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Ints;

constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

ConstTensor ints(Ints dims, Ints values) {
  ConstTensor t = int_tensor(std::move(values));
  t.dims = std::move(dims);
  return t;
}
ConstTensor vec(Ints values) { return int_tensor(std::move(values)); }
ConstTensor floats(Ints dims, std::vector<float> values) {
  ConstTensor t;
  t.dims = std::move(dims);
  t.f = std::move(values);
  return t;
}

class Fold {
 public:
  explicit Fold(const std::string& op) { node_.set_op_type(op); }
  template <class T>
  Fold& set(const char* name, const T& v) {
    testing::NodeMaker(node_).set(name, v);
    return *this;
  }
  ConstTensor operator()(const std::vector<ConstTensor>& inputs, int opset = 13) const {
    std::vector<const ConstTensor*> in;
    for (const ConstTensor& t : inputs) in.push_back(&t);
    return fold_constant(node_, opset, in).value();
  }
  std::string why(const std::vector<ConstTensor>& inputs) const {
    try {
      (*this)(inputs);
    } catch (const Error& e) {
      return e.what();
    }
    return "fine";
  }

 private:
  onnx::NodeProto node_;
};

TEST(ConstFold, Arithmetic) {
  EXPECT_THAT(Fold("Add")({vec({1, 2, 3}), int_scalar(10)}).i, ElementsAre(11, 12, 13));
  EXPECT_THAT(Fold("Sub")({int_scalar(10), vec({1, 2})}).i, ElementsAre(9, 8));
  EXPECT_THAT(Fold("Mul")({ints({2, 1}, {2, 3}), ints({1, 2}, {5, 7})}).i, ElementsAre(10, 14, 15, 21));
  EXPECT_THAT(Fold("Div")({vec({7, -7}), vec({2, 2})}).i, ElementsAre(3, -3));  // towards zero
  EXPECT_THAT(Fold("Div")({floats({1}, {7}), floats({1}, {2})}).f, ElementsAre(3.5F));
  EXPECT_THAT(Fold("Min")({vec({7, 1}), vec({2, 2})}).i, ElementsAre(2, 1));
  EXPECT_THAT(Fold("Max")({floats({2}, {7, 1}), floats({}, {2})}).f, ElementsAre(7, 2));
  EXPECT_THAT(Fold("Equal")({vec({7, 1}), vec({7, 2})}).i, ElementsAre(1, 0));
  EXPECT_THAT(Fold("Neg")({vec({7, -1})}).i, ElementsAre(-7, 1));
  EXPECT_THAT(Fold("Sqrt")({floats({1}, {9})}).f, ElementsAre(3));
  EXPECT_THAT(Fold("Floor")({floats({2}, {1.5F, -1.5F})}).f, ElementsAre(1, -2));
  EXPECT_THAT(Fold("ReduceProd")({vec({2, 3, 4})}).i, ElementsAre(24));
  EXPECT_THAT(Fold("Add").why({vec({kMax}), vec({1})}), HasSubstr("overflows"));
  EXPECT_THAT(Fold("Mul").why({vec({kMax}), vec({2})}), HasSubstr("overflows"));
  EXPECT_THAT(Fold("Div").why({vec({1}), vec({0})}), HasSubstr("divides by 0"));
  EXPECT_THAT(Fold("Div").why({vec({kMin}), vec({-1})}), HasSubstr("overflows"));
  EXPECT_THAT(Fold("Neg").why({vec({kMin})}), HasSubstr("overflows"));
  EXPECT_THAT(Fold("Add").why({vec({1, 2}), vec({1, 2, 3})}), HasSubstr("fit together"));
  EXPECT_THAT(Fold("Add").why({vec({1}), floats({1}, {1})}), HasSubstr("mixes"));
}

TEST(ConstFold, Moves) {
  const ConstTensor m = ints({2, 3}, {1, 2, 3, 4, 5, 6});
  const ConstTensor t = Fold("Transpose")({m});
  EXPECT_THAT(t.dims, ElementsAre(3, 2));
  EXPECT_THAT(t.i, ElementsAre(1, 4, 2, 5, 3, 6));
  EXPECT_THAT(Fold("Transpose").set("perm", Ints{0, 1})({m}).i, ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(Fold("Gather").set("axis", 1)({m, vec({2, -3})}).i, ElementsAre(3, 1, 6, 4));
  const ConstTensor row = Fold("Gather")({m, int_scalar(-1)});
  EXPECT_THAT(row.dims, ElementsAre(3));
  EXPECT_THAT(row.i, ElementsAre(4, 5, 6));
  EXPECT_THAT(Fold("Gather").why({m, int_scalar(2)}), HasSubstr("index 2 of 2"));
  EXPECT_THAT(Fold("Concat").set("axis", 1)({m, ints({2, 1}, {9, 8})}).i, ElementsAre(1, 2, 3, 9, 4, 5, 6, 8));
  EXPECT_THAT(Fold("Concat").set("axis", 0).why({m, vec({1})}), HasSubstr("different"));
  EXPECT_THAT(Fold("Slice")({m, vec({kMax, 0}), vec({kMin, 2}), vec({0, 1}), vec({-1, 1})}).i, ElementsAre(4, 5, 1, 2));
  EXPECT_THAT(Fold("Slice").set("starts", Ints{1}).set("ends", Ints{-1}).set("axes", Ints{1})({m}, 9).i,
              ElementsAre(2, 5));
  EXPECT_TRUE(Fold("Slice")({vec({}), vec({0}), vec({1}), vec({0}), vec({-1})}).i.empty());
  EXPECT_THAT(Fold("Reshape")({m, vec({3, -1})}).dims, ElementsAre(3, 2));
  EXPECT_THAT(Fold("Reshape")({m, vec({0, -1, 1})}).dims, ElementsAre(2, 3, 1));
  EXPECT_THAT(Fold("Reshape").why({m, vec({-1, -1})}), HasSubstr("once"));
  EXPECT_THAT(Fold("Reshape").why({m, vec({4, -1})}), HasSubstr("can't reshape"));
  EXPECT_THAT(Fold("Reshape").why({m, vec({kMax, kMax})}), HasSubstr("overflow"));
  EXPECT_THAT(Fold("Flatten").set("axis", 0)({m}).dims, ElementsAre(1, 6));
  EXPECT_THAT(Fold("Unsqueeze")({m, vec({0, -1})}).dims, ElementsAre(1, 2, 3, 1));
  EXPECT_THAT(Fold("Squeeze")({ints({1, 2, 1}, {1, 2})}).dims, ElementsAre(2));
  EXPECT_THAT(Fold("Squeeze").why({m, vec({0})}), HasSubstr("squeezes"));
  EXPECT_THAT(Fold("Shape")({m}).i, ElementsAre(2, 3));
  EXPECT_THAT(Fold("Size")({m}).i, ElementsAre(6));
  EXPECT_THAT(Fold("Cast").set("to", 1)({m}).f, ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(Fold("Cast").set("to", 7)({floats({2}, {1.9F, -1.9F})}).i, ElementsAre(1, -1));
  EXPECT_THAT(Fold("Cast").set("to", 9)({vec({5, 0})}).i, ElementsAre(1, 0));
  EXPECT_THAT(Fold("Cast").set("to", 7).why({floats({1}, {1e30F})}), HasSubstr("doesn't fit"));
  EXPECT_THAT(Fold("Cast").set("to", 7).why({floats({1}, {std::nanf("")})}), HasSubstr("doesn't fit"));
}

TEST(ConstFold, Makers) {
  EXPECT_THAT(Fold("ConstantOfShape")({vec({2})}).f, ElementsAre(0, 0));
  EXPECT_THAT(Fold("ConstantOfShape").why({vec({1 << 12, 1 << 12})}), HasSubstr("too large"));
  EXPECT_THAT(Fold("ConstantOfShape").why({vec({-1})}), HasSubstr("out of range"));
  EXPECT_THAT(Fold("Range")({int_scalar(5), int_scalar(0), int_scalar(-2)}).i, ElementsAre(5, 3, 1));
  EXPECT_THAT(Fold("Range").why({int_scalar(0), int_scalar(kMax), int_scalar(1)}), HasSubstr("out of range"));
  EXPECT_THAT(Fold("Range").why({int_scalar(0), int_scalar(1 << 24), int_scalar(1)}), HasSubstr("too large"));
  EXPECT_THAT(Fold("Range").why({int_scalar(0), int_scalar(1), int_scalar(0)}), HasSubstr("step"));
  EXPECT_THAT(Fold("Expand")({ints({2, 1}, {1, 2}), vec({2, 2})}).i, ElementsAre(1, 1, 2, 2));
  EXPECT_THAT(Fold("Expand").why({vec({1}), vec({1 << 30})}), HasSubstr("large"));
  EXPECT_THAT(Fold("Where")({vec({1, 0}), vec({5, 6}), int_scalar(9)}).i, ElementsAre(5, 9));
}

TEST(ConstFold, MissingInputsAndOtherOperators) {
  onnx::NodeProto node;
  node.set_op_type("Relu");
  const ConstTensor t = vec({1});
  EXPECT_FALSE(fold_constant(node, 13, {&t}).has_value());
  node.set_op_type("Reshape");
  EXPECT_THROW(fold_constant(node, 13, {&t, nullptr}), Error);
  EXPECT_THROW(fold_constant(node, 13, {&t}), Error);
  node.set_op_type("Identity");
  EXPECT_THROW(fold_constant(node, 13, {}), Error);
}

TEST(ShapeArgs, BroadcastIndexIsNumPys) {
  // (2, 1, 3) against (2, 4, 3): the middle axis repeats.
  for (std::int64_t n = 0; n < 24; ++n) {
    EXPECT_EQ(broadcast_index({2, 1, 3}, {2, 4, 3}, n), static_cast<std::size_t>(n / 12 * 3 + n % 3));
    EXPECT_EQ(broadcast_index({}, {2, 4, 3}, n), 0U);
  }
}

}  // namespace
}  // namespace eqo
