#include "eqo/model/local_ops.h"

#include <gtest/gtest.h>

#include <random>

#include "eqo/core/error.h"
#include "eqo/model/testing/random_model.h"
#include "eqo/model/twin.h"

namespace eqo {
namespace {

// What makes a step local: applied to two additive shares, with the constant on one side only, it gives shares of what
// it gives on the value. On every local step of random models, for batches of 1 and 3.
TEST(LocalOps, CommuteWithAdditiveSharing) {
  ThreadPool pool(1);
  std::array<int, 16> seen{};
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const PublicPlan plan = testing::random_model(seed).plan;
    for (const Node& node : plan.nodes) {
      if (!is_local(node.op)) continue;
      ++seen.at(static_cast<std::size_t>(node.op));
      const std::size_t batch = seed % 2 == 0 ? 1 : 3;
      std::vector<TensorType> types;
      std::vector<Words> values, shares[2];
      for (const int i : node.inputs) {
        types.push_back(plan.nodes[static_cast<std::size_t>(i)].type);
        const Ring ring = types.back().ring();
        Words x(batch * static_cast<std::size_t>(types.back().shape.size())), s(x.size()), c(x.size());
        for (std::size_t j = 0; j < x.size(); ++j) {
          x[j] = ring.reduce(random());
          s[j] = ring.reduce(random());
          c[j] = ring.sub(x[j], s[j]);
        }
        values.push_back(x);
        shares[0].push_back(s);
        shares[1].push_back(c);
      }
      const auto apply = [&](const std::vector<Words>& in, bool add_constants) {
        const std::vector<std::span<const Word>> spans(in.begin(), in.end());
        return apply_local(node, types, spans, batch, add_constants, pool);
      };
      const Words expected = apply(values, true), server = apply(shares[0], true), client = apply(shares[1], false);
      ASSERT_EQ(expected.size(), batch * static_cast<std::size_t>(node.type.shape.size()));
      for (std::size_t j = 0; j < expected.size(); ++j)
        ASSERT_EQ(node.type.ring().add(server[j], client[j]), expected[j]) << op_name(node.op);
    }
  }
  for (const Op op :
       {Op::kAdd, Op::kAddConstant, Op::kReduce, Op::kSumPool, Op::kConcat, Op::kPad, Op::kSlice, Op::kReshape})
    EXPECT_GT(seen[static_cast<std::size_t>(op)], 20) << op_name(op);
}

TEST(LocalOps, KnowTheirSteps) {
  for (const Op op : {Op::kInput, Op::kConv, Op::kRelu, Op::kTruncate, Op::kTruncateReduce, Op::kExtend, Op::kMaxPool,
                      Op::kArgMax, Op::kRequantize})
    EXPECT_FALSE(is_local(op)) << op_name(op);
}

TEST(LocalOps, RefuseWrongLengthsAndSteps) {
  ThreadPool pool(1);
  Node node;
  node.op = Op::kReduce;
  node.name = "r";
  node.type = {{4, 1, 1}, 8, -128, 127};
  const std::vector<TensorType> types{{{4, 1, 1}, 12, -2048, 2047}};
  const Words x(4), wrong(5);
  const auto call = [&](const Words& in, std::size_t batch) {
    const std::vector<std::span<const Word>> inputs{in};
    return apply_local(node, types, inputs, batch, true, pool);
  };
  EXPECT_NO_THROW(call(x, 1));
  EXPECT_THROW(call(wrong, 1), Error);
  EXPECT_THROW(call(x, 2), Error);
  EXPECT_THROW(apply_local(node, types, {}, 1, true, pool), Error);
  node.op = Op::kRelu;
  EXPECT_THROW(call(x, 1), Error);
}

}  // namespace
}  // namespace eqo
