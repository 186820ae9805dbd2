#include "eqo/model/types.h"

#include <gtest/gtest.h>

#include <limits>

#include "eqo/core/error.h"
#include "eqo/model/testing/random_model.h"
#include "eqo/model/types_testing.h"

namespace eqo {
namespace {

using testing::infer, testing::random_model, testing::refused, testing::step, testing::tensor;

::testing::AssertionResult refused(const Node& node, const std::vector<TensorType>& in) {
  return refused([&] { infer(node, in); }, "step 's'");
}

const TensorType kSigned = tensor({2, 5, 5}, 12, -100, 200);
const TensorType kActivation = tensor({2, 5, 5}, 9, 0, 255);

TEST(InferType, RingLimits) {
  EXPECT_EQ(ring_lo(1), -1);
  EXPECT_EQ(ring_hi(1), 0);
  EXPECT_EQ(ring_lo(8), -128);
  EXPECT_EQ(ring_hi(64), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(ring_lo(64), std::numeric_limits<std::int64_t>::min());
}

TEST(InferType, ReluAndShifts) {
  EXPECT_EQ(infer(step(Op::kRelu), {kSigned}), tensor({2, 5, 5}, 12, 0, 200));
  EXPECT_EQ(infer(step(Op::kRelu), {tensor({1}, 12, -9, -3)}), tensor({1}, 12, 0, 0));
  Node node = step(Op::kTruncateReduce);
  node.shift = 3;
  EXPECT_EQ(infer(node, {kSigned}), tensor({2, 5, 5}, 9, -13, 25));  // floor
  EXPECT_EQ(infer(node, {tensor({1}, 64, ring_lo(64), ring_hi(64))}), tensor({1}, 61, ring_lo(61), ring_hi(61)));
  node.op = Op::kTruncate;
  EXPECT_EQ(infer(node, {kSigned}), tensor({2, 5, 5}, 12, -13, 25));
  for (const unsigned bad : {0U, 12U, 64U}) {
    node.shift = bad;
    EXPECT_TRUE(refused(node, {kSigned}));
  }
}

TEST(InferType, ExtensionAndReduction) {
  Node node = step(Op::kExtend);
  node.type.ring_bits = 20;
  EXPECT_EQ(infer(node, {kSigned}), tensor({2, 5, 5}, 20, -100, 200));
  for (const unsigned bad : {0U, 11U, 12U, 65U}) {
    node.type.ring_bits = bad;
    EXPECT_TRUE(refused(node, {kSigned}));
  }
  node.op = Op::kReduce;
  node.type.ring_bits = 9;
  EXPECT_EQ(infer(node, {kSigned}), tensor({2, 5, 5}, 9, -100, 200));
  node.type.ring_bits = 8;  // 200 does not fit: nothing is known any more
  EXPECT_EQ(infer(node, {kSigned}), tensor({2, 5, 5}, 8, -128, 127));
  node.type.ring_bits = 12;
  EXPECT_TRUE(refused(node, {kSigned}));
}

TEST(InferType, Additions) {
  Node node = step(Op::kAdd);
  node.input_shifts = {0, 2};
  node.input_signs = {1, -1};
  EXPECT_EQ(infer(node, {kSigned, kSigned}), tensor({2, 5, 5}, 12, -100 - 800, 200 + 400));
  node.input_shifts = {0, 4};  // -3300 is below -2048: may wrap, so nothing is known
  EXPECT_EQ(infer(node, {kSigned, kSigned}), tensor({2, 5, 5}, 12, -2048, 2047));
  node.input_shifts = {0, 12};
  EXPECT_TRUE(refused(node, {kSigned, kSigned}));
  node.input_shifts = {0};
  EXPECT_TRUE(refused(node, {kSigned, kSigned}));
  node.input_shifts = {0, 0};
  node.input_signs = {1, 0};
  EXPECT_TRUE(refused(node, {kSigned, kSigned}));
  node.input_signs = {1, 1};
  EXPECT_TRUE(refused(node, {kSigned, kActivation}));
  EXPECT_TRUE(refused(node, {kSigned, tensor({2, 5, 4}, 12, 0, 1)}));
  EXPECT_TRUE(refused(node, {}));

  Node constant = step(Op::kAddConstant);
  constant.constant = -300;
  EXPECT_EQ(infer(constant, {kSigned}), tensor({2, 5, 5}, 12, -400, -100));
  constant.constant = 2000;
  EXPECT_EQ(infer(constant, {kSigned}), tensor({2, 5, 5}, 12, -2048, 2047));
  constant.constant = 2048;
  EXPECT_TRUE(refused(constant, {kSigned}));
}

TEST(InferType, Pools) {
  Node node = step(Op::kSumPool);
  node.window = {2, 2, 2, 2, 0, 0, 0, 0, 1, 1};
  EXPECT_EQ(infer(node, {kSigned}), tensor({2, 2, 2}, 12, -400, 800));
  EXPECT_EQ(infer(node, {kActivation}), tensor({2, 2, 2}, 9, -256, 255));  // 1020 does not fit 9 bits
  EXPECT_EQ(infer(node, {tensor({2, 5, 5}, 12, 3, 5)}), tensor({2, 2, 2}, 12, 12, 20));
  node.window.pad_top = 1;
  EXPECT_EQ(infer(node, {tensor({2, 5, 5}, 12, 3, 5)}), tensor({2, 3, 2}, 12, 0, 20));
  node.op = Op::kMaxPool;
  EXPECT_EQ(infer(node, {tensor({2, 5, 5}, 12, 3, 5)}), tensor({2, 3, 2}, 12, 0, 5));
  EXPECT_TRUE(refused(node, {kSigned}));  // padding with a value that may be negative
  node.window.pad_top = 0;
  EXPECT_EQ(infer(node, {kSigned}), tensor({2, 2, 2}, 12, -100, 200));
  node.window.kernel_h = 6;
  EXPECT_TRUE(refused(node, {kSigned}));
  node.window.kernel_h = std::numeric_limits<std::int64_t>::max();
  EXPECT_TRUE(refused(node, {kSigned}));
  node.window.kernel_h = 2;
  node.window.stride_h = 0;
  EXPECT_TRUE(refused(node, {kSigned}));
}

TEST(InferType, Layout) {
  Node node = step(Op::kConcat);
  node.input_shifts = {0, 1};
  EXPECT_EQ(infer(node, {kSigned, tensor({3, 5, 5}, 12, -10, 300)}), tensor({5, 5, 5}, 12, -100, 600));
  EXPECT_TRUE(refused(node, {kSigned, tensor({3, 5, 4}, 12, -10, 300)}));
  EXPECT_TRUE(refused(node, {kSigned, tensor({3, 5, 5}, 13, -10, 300)}));

  node = step(Op::kPad);
  node.pad_before = {0, 1, 2};
  node.pad_after = {3, 0, 0};
  EXPECT_EQ(infer(node, {tensor({2, 5, 5}, 12, 3, 5)}), tensor({5, 6, 7}, 12, 0, 5));
  node.pad_after = {-1, 0, 0};
  EXPECT_TRUE(refused(node, {kSigned}));

  node = step(Op::kSlice);
  node.start = {1, 0, 1};
  node.step = {1, 2, 3};
  node.type.shape = {1, 3, 2};
  EXPECT_EQ(infer(node, {kSigned}), tensor({1, 3, 2}, 12, -100, 200));
  node.type.shape = {1, 4, 2};
  EXPECT_TRUE(refused(node, {kSigned}));
  node.type.shape = {1, 3, 2};
  node.step[1] = 0;
  EXPECT_TRUE(refused(node, {kSigned}));
  node.step[1] = 2;
  node.start[0] = 2;
  EXPECT_TRUE(refused(node, {kSigned}));

  node = step(Op::kReshape);
  node.type.shape = {50, 1, 1};
  EXPECT_EQ(infer(node, {kSigned}), tensor({50, 1, 1}, 12, -100, 200));
  node.type.shape = {49, 1, 1};
  EXPECT_TRUE(refused(node, {kSigned}));
  // 2^21 * 2^21 * 2^22 = 2^64 wraps to 0 elements.
  node.type.shape = {std::int64_t{1} << 21, std::int64_t{1} << 21, std::int64_t{1} << 22};
  EXPECT_TRUE(refused(node, {kSigned}));
}

TEST(InferType, ConvolutionAndArgMax) {
  Node node = step(Op::kConv);
  node.type.shape.c = 4;
  node.window = {3, 3, 2, 2, 1, 1, 1, 1, 1, 1};
  EXPECT_EQ(infer(node, {kActivation}), tensor({4, 3, 3}, 9, -256, 255));
  node.domain = ConvDomain::kWinograd;
  EXPECT_TRUE(refused(node, {kActivation}));  // stride 2
  node.window.stride_h = node.window.stride_w = 1;
  EXPECT_EQ(infer(node, {kActivation}), tensor({4, 5, 5}, 9, -256, 255));
  node.groups = 2;
  EXPECT_TRUE(refused(node, {kActivation}));
  node.domain = ConvDomain::kDirect;
  EXPECT_EQ(infer(node, {kActivation}), tensor({4, 5, 5}, 9, -256, 255));
  for (const std::int64_t bad : {3, 0, -2}) {
    node.groups = bad;
    EXPECT_TRUE(refused(node, {kActivation})) << bad;
  }
  node.groups = 1;
  node.type.shape.c = 0;
  EXPECT_TRUE(refused(node, {kActivation}));

  EXPECT_EQ(infer(step(Op::kArgMax), {tensor({10, 1, 1}, 9, 0, 255)}), tensor({1, 1, 1}, 4, -8, 7));
  EXPECT_TRUE(refused(step(Op::kArgMax), {kActivation}));
  EXPECT_TRUE(refused(step(Op::kArgMax), {tensor({4097, 1, 1}, 9, 0, 255)}));
}

// Brute force: for small intervals, the interval of every local step holds exactly what can occur.
TEST(InferType, IntervalsAreTightForSums) {
  for (std::int64_t lo = -4; lo <= 3; ++lo) {
    for (std::int64_t hi = lo; hi <= 3; ++hi) {
      Node node = step(Op::kAdd);
      node.input_shifts = {1, 0};
      node.input_signs = {-1, 1};
      const TensorType in = tensor({1}, 3, lo, hi);
      std::int64_t least = 100, most = -100;
      for (std::int64_t a = lo; a <= hi; ++a)
        for (std::int64_t b = lo; b <= hi; ++b) {
          least = std::min(least, b - 2 * a);
          most = std::max(most, b - 2 * a);
        }
      const bool fits = least >= -4 && most <= 3;
      EXPECT_EQ(infer(node, {in, in}), fits ? tensor({1}, 3, least, most) : tensor({1}, 3, -4, 3));
    }
  }
}

TEST(InferType, RequantizeIsReluShiftAndRing) {
  Node node = step(Op::kRequantize);
  node.shift = 3;
  node.type.ring_bits = 9;
  const TensorType in = tensor({2, 5, 5}, 12, -100, 203);
  EXPECT_EQ(infer(node, {in}), tensor({2, 5, 5}, 9, -13, 25));
  node.relu = true;
  EXPECT_EQ(infer(node, {in}), tensor({2, 5, 5}, 9, 0, 25));
  EXPECT_EQ(infer(node, {tensor({1}, 12, -9, -3)}), tensor({1}, 9, 0, 0));
  node.type.ring_bits = 5;  // 25 does not fit
  EXPECT_EQ(infer(node, {in}), tensor({2, 5, 5}, 5, -16, 15));
  node.type.ring_bits = 40;
  EXPECT_EQ(infer(node, {in}), tensor({2, 5, 5}, 40, 0, 25));
  node.shift = 12;
  EXPECT_THROW(infer(node, {in}), Error);
  node.shift = 0;
  node.type.ring_bits = 65;
  EXPECT_THROW(infer(node, {in}), Error);
}

TEST(WeightCount, IsWhatRandomModelsHave) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Model model = random_model(seed);
    for (std::size_t i = 0; i < model.plan.nodes.size(); ++i) {
      const Node& node = model.plan.nodes[i];
      if (node.op != Op::kConv) continue;
      const Shape& in = model.plan.nodes[static_cast<std::size_t>(node.inputs[0])].type.shape;
      EXPECT_EQ(weight_count(node, in), model.secrets[i].weights.size());
    }
  }
}

}  // namespace
}  // namespace eqo
