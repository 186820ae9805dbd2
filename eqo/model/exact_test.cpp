#include "eqo/model/exact.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "eqo/model/conv_layer.h"
#include "eqo/model/local_ops.h"
#include "eqo/model/testing/random_model.h"
#include "eqo/model/types.h"

namespace eqo {
namespace {

// The largest sum of magnitudes is the one that unit impulses show, where no output is cut by the padding.
TEST(Exact, LargestWeightSumIsReached) {
  int winograd = 0, direct = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const Model model = testing::random_model(seed);
    for (std::size_t i = 0; i < model.plan.nodes.size(); ++i) {
      const Node& node = model.plan.nodes[i];
      if (node.op != Op::kConv) continue;
      const Shape& in = model.plan.nodes[static_cast<std::size_t>(node.inputs[0])].type.shape;
      ConvShape shape = conv_shape(node, in);
      const WipedVector<std::int64_t> values = weight_values(shape, conv_weights(node, model.secrets[i]));
      const std::uint64_t largest = largest_weight_sum(shape, values);
      EXPECT_LE(largest, weight_sum_bound(node, in));
      // One tile, or one window, of input without padding.
      const Window& w = shape.window;
      const bool tiles = node.domain == ConvDomain::kWinograd;
      shape.window.pad_top = shape.window.pad_left = shape.window.pad_bottom = shape.window.pad_right = 0;
      shape.in.h = tiles ? 4 : w.dilation_h * (w.kernel_h - 1) + 1;
      shape.in.w = tiles ? 4 : w.dilation_w * (w.kernel_w - 1) + 1;
      if (shape.in.size() * shape.out().size() > 2000) continue;
      std::vector<Int128> sums(static_cast<std::size_t>(shape.out().size()));
      for (std::size_t j = 0; j < static_cast<std::size_t>(shape.in.size()); ++j) {
        Words impulse(static_cast<std::size_t>(shape.in.size()));
        impulse[j] = 1;
        const std::vector<Int128> y = conv_exact(shape, values, impulse);
        for (std::size_t o = 0; o < y.size(); ++o) sums[o] += y[o] < 0 ? -y[o] : y[o];
      }
      EXPECT_TRUE(*std::max_element(sums.begin(), sums.end()) == Int128{largest}) << "seed " << seed;
      ++(tiles ? winograd : direct);
    }
  }
  EXPECT_GT(winograd, 50);
  EXPECT_GT(direct, 50);
}

TEST(Exact, ConvolutionAgreesWithTheKernelsModulo64Bits) {
  ThreadPool pool(1);
  std::mt19937_64 random(5);
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const Model model = testing::random_model(seed);
    for (std::size_t i = 0; i < model.plan.nodes.size(); ++i) {
      const Node& node = model.plan.nodes[i];
      if (node.op != Op::kConv) continue;
      const ConvShape shape = conv_shape(node, model.plan.nodes[static_cast<std::size_t>(node.inputs[0])].type.shape);
      const ConvWeights weights = conv_weights(node, model.secrets[i]);
      Words x(static_cast<std::size_t>(shape.in.size()));
      for (Word& v : x) v = random();
      const std::vector<Int128> y = conv_exact(shape, weight_values(shape, weights), x);
      const Words expected = conv_plain(shape, Ring(64), 1, decode_weights(shape, weights, Ring(64)), {}, x, pool);
      for (std::size_t j = 0; j < y.size(); ++j) ASSERT_EQ(static_cast<Word>(y[j]), expected[j]) << "seed " << seed;
    }
  }
}

TEST(Exact, LocalStepsOnTheLargestValues) {
  ThreadPool pool(1);
  constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  const TensorType type{{1, 2, 2}, 64, kLeast, kMost};
  const Words x{static_cast<Word>(kLeast), static_cast<Word>(kLeast), static_cast<Word>(kMost), 5};
  const std::vector<std::span<const Word>> two{x, x};

  Node add;
  add.op = Op::kAdd;
  add.type = type;
  add.input_shifts = {24, 24};
  add.input_signs = {-1, -1};
  const std::vector<Int128> sum = local_exact(add, std::vector{type, type}, two, 1, pool);
  EXPECT_TRUE(sum[0] == -2 * (Int128{kLeast} << 24));
  EXPECT_TRUE(sum[2] == -2 * (Int128{kMost} << 24));
  EXPECT_TRUE(sum[3] == -(Int128{10} << 24));

  Node pool_node;
  pool_node.op = Op::kSumPool;
  pool_node.type = {{1, 1, 1}, 64, kLeast, kMost};
  pool_node.window = {2, 2, 1, 1, 0, 0, 0, 0, 1, 1};
  const std::vector<std::span<const Word>> one{x};
  EXPECT_TRUE(local_exact(pool_node, std::vector{type}, one, 1, pool)[0] == Int128{kLeast} + 4);

  Node constant;
  constant.op = Op::kAddConstant;
  constant.type = type;
  constant.constant = kLeast;
  EXPECT_TRUE(local_exact(constant, std::vector{type}, one, 1, pool)[1] == 2 * Int128{kLeast});
}

}  // namespace
}  // namespace eqo
