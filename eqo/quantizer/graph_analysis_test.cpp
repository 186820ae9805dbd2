#include "eqo/quantizer/graph_analysis.h"

#include <gtest/gtest.h>

#include "eqo/core/error.h"
#include "eqo/core/thread_pool.h"
#include "eqo/quantizer/draft.h"
#include "eqo/quantizer/ring_assignment.h"
#include "eqo/quantizer/test_nets.h"

namespace eqo::quant {
namespace {

using testing::NetBuilder;

std::vector<FloatOp> ops(const FloatGraph& graph) {
  std::vector<FloatOp> out;
  for (const FloatNode& node : graph.nodes) out.push_back(node.op);
  return out;
}

TEST(PrepareGraph, PoolsBeforeReluWhereWindowsAreDisjoint) {
  NetBuilder b({2, 8, 8});
  const FloatGraph g = prepare_graph(b.finish(b.conv1(b.max_pool(b.relu(b.conv3(0, 3)), 2, 2), 2)));
  EXPECT_EQ(ops(g), (std::vector{FloatOp::kInput, FloatOp::kConv, FloatOp::kMaxPool, FloatOp::kRelu, FloatOp::kConv}));
  EXPECT_EQ(g.nodes[2].shape, (Shape{3, 4, 4}));
  EXPECT_EQ(g.nodes[3].shape, (Shape{3, 4, 4}));
}

TEST(PrepareGraph, ReluBeforePoolsWhereTheyOverlapOrPad) {
  NetBuilder b({2, 33, 33}), d({2, 33, 33});
  const FloatGraph overlap = prepare_graph(b.finish(b.conv1(b.max_pool(b.relu(b.conv3(0, 3)), 3, 2), 2)));
  EXPECT_EQ(overlap.nodes[2].op, FloatOp::kRelu);
  const FloatGraph turned = prepare_graph(d.finish(d.conv1(d.relu(d.max_pool(d.conv3(0, 3), 3, 2)), 2)));
  EXPECT_EQ(turned.nodes[2].op, FloatOp::kRelu);
  EXPECT_EQ(turned.nodes[3].shape, (Shape{3, 16, 16}));
  NetBuilder c({2, 8, 8});
  const FloatGraph padded = prepare_graph(c.finish(c.conv1(c.relu(c.max_pool(c.conv3(0, 3), 3, 2, 1)), 2)));
  EXPECT_EQ(padded.nodes[2].op, FloatOp::kRelu);
  EXPECT_EQ(padded.nodes[3].op, FloatOp::kMaxPool);
  EXPECT_EQ(padded.nodes[3].shape, (Shape{3, 4, 4}));
}

TEST(PrepareGraph, KeepsTheModelsOrderIfAsked) {
  NetBuilder b({2, 8, 8}), c({2, 33, 33});
  const FloatGraph first = prepare_graph(b.finish(b.conv1(b.max_pool(b.relu(b.conv3(0, 3)), 2, 2), 2)), false);
  EXPECT_EQ(first.nodes[2].op, FloatOp::kRelu);
  const FloatGraph second = prepare_graph(c.finish(c.conv1(c.relu(c.max_pool(c.conv3(0, 3), 3, 2)), 2)), false);
  EXPECT_EQ(second.nodes[2].op, FloatOp::kMaxPool);
}

TEST(PrepareGraph, PaddingThatNoWindowReachesIsNoReasonToRefuse) {
  NetBuilder b({2, 8, 8});
  const int x = b.conv3(0, 3);
  const int pool = b.avg_pool(x, 2, 2, 0, false);
  b.node(pool).window.pad_bottom = 1;
  EXPECT_NO_THROW(prepare_graph(b.finish(b.conv1(pool, 2))));
  EXPECT_TRUE(window_touches_padding(NetBuilder::square(3, 2, 1), Shape{1, 8, 8}));
  EXPECT_FALSE(window_touches_padding(NetBuilder::square(3, 2, 0), Shape{1, 8, 8}));
}

TEST(Analyze, EdgesAreTheFirstAndTheLastLayer) {
  NetBuilder b({3, 8, 8});
  const int first = b.conv3(0, 4);
  const int x = b.relu(first);
  const int middle = b.conv3(x, 4);
  const int y = b.relu(b.add(middle, x));
  const int last = b.linear(b.global_pool(y), 5);
  const GraphPlan plan = analyze(b.finish(last), {3, 5, 8});
  const auto layer = [&](int i) { return plan.layers[static_cast<std::size_t>(i)]; };
  const auto tensor = [&](int i) { return plan.tensors[static_cast<std::size_t>(i)]; };
  EXPECT_EQ(layer(first).weights_bits, 8U);
  EXPECT_EQ(layer(middle).weights_bits, 3U);
  EXPECT_EQ(layer(middle).activation_bits, 5U);
  EXPECT_EQ(layer(last).weights_bits, 8U);
  EXPECT_TRUE(layer(first).first && layer(last).last);
  EXPECT_EQ(tensor(x).bits, 5U);
  EXPECT_EQ(tensor(y).bits, 8U);  // the last layer's input
  EXPECT_FALSE(tensor(first).requantize);
  EXPECT_TRUE(tensor(x).requantize);
  EXPECT_FALSE(tensor(last).quantized);
}

TEST(RingBits, ExactAtTheBounds) {
  EXPECT_EQ(ring_bits_for(0, 0, 0), 1U);
  EXPECT_EQ(ring_bits_for(-1, 0, 0), 1U);
  EXPECT_EQ(ring_bits_for(-128, 127, 0), 8U);
  EXPECT_EQ(ring_bits_for(-129, 0, 0), 9U);
  EXPECT_EQ(ring_bits_for(0, 128, 0), 9U);
  EXPECT_EQ(ring_bits_for(0, 127, 1), 9U);
  EXPECT_EQ(ring_bits_for(INT64_MIN, INT64_MAX, 0), 64U);
}

// input -> ReLU -> drop `shift` bits, on values up to `most`.
int build(Draft& draft, std::int64_t most, unsigned shift) {
  IntBatch image(Shape{1, 1, 2}, 1);
  image.data = {most, -most};
  const Tensor x = draft.input(image, 1.0, 8);
  const Tensor y = draft.truncate_reduce(draft.relu(draft.add_constant(x, 1)), shift);
  return y.id;
}

TEST(RingAssignment, ARegionIsAsWideAsItsTruncationNeeds) {
  ThreadPool pool(1);
  Draft draft(RangeRule::kCalibration, pool);
  const Model model = assign_rings(draft, build(draft, 100, 3));
  // 101 needs 8 bits, and a guard bit; three are dropped.
  ASSERT_EQ(model.plan.nodes.back().op, Op::kTruncateReduce);
  EXPECT_EQ(model.plan.nodes.back().type.ring_bits, 6U);
  EXPECT_EQ(model.plan.nodes[0].type.ring_bits, 9U);
  EXPECT_EQ(model.plan.output_scale, 8.0);
}

TEST(RingAssignment, RefusesMoreThan64Bits) {
  ThreadPool pool(1);
  Draft draft(RangeRule::kCalibration, pool);
  const int out = build(draft, 100, 62);
  EXPECT_NO_THROW(assign_rings(draft, out));  // 62 bits dropped leave two
  Draft wide(RangeRule::kCalibration, pool);
  const int too_far = build(wide, std::int64_t{1} << 61, 1);
  EXPECT_NO_THROW(assign_rings(wide, too_far));
  Draft wider(RangeRule::kCalibration, pool);
  EXPECT_THROW(assign_rings(wider, build(wider, INT64_MAX - 1, 1)), Error);
}

}  // namespace
}  // namespace eqo::quant
