#include "eqo/framework/framework_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "eqo/model/testing/random_model.h"
#include "eqo/model/testing/small_models.h"
#include "eqo/model/twin.h"
#include "eqo/model/types.h"
#include "eqo/net/testing/expect_error.h"
#include "eqo/passes/passes.h"

namespace eqo {
namespace {

// The same network with direct convolutions only, and other weights.
Model direct(const Model& model, std::uint64_t seed) {
  PublicPlan plan = model.plan;
  for (Node& node : plan.nodes)
    if (node.op == Op::kConv && node.domain == ConvDomain::kWinograd) {
      node.domain = ConvDomain::kDirect;
      node.codes.resize(1);
    }
  return testing::with_random_weights(plan, seed);
}

// A value may be cut to fewer bits, which the twin does not count as an overflow.
bool narrows(const PublicPlan& plan) {
  return std::ranges::any_of(plan.nodes, [&](const Node& n) {
    if (n.op != Op::kRequantize) return n.op == Op::kReduce;
    return n.type.ring_bits < plan.nodes[static_cast<std::size_t>(n.inputs[0])].type.ring_bits - n.shift;
  });
}

std::map<Op, unsigned> count(const PublicPlan& plan) {
  std::map<Op, unsigned> n;
  for (const Node& node : plan.nodes) ++n[node.op];
  return n;
}

TEST(FrameworkModel, SirnnComputesTheSameForAnyModel) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    Model model = direct(testing::random_model(seed), seed);
    if (seed % 2 == 0) run_passes(model, {}, {{"intervals", "methods", "merge"}, {}});  // with fused steps
    const Model peer = framework_model(model, {Framework::kSirnn, {}});
    EXPECT_EQ(count(peer.plan)[Op::kRequantize], 0U);
    const Twin before(model), after(peer);
    for (std::uint64_t k = 0; k < 4; ++k) {
      const std::vector<Word> image = testing::random_image(model.plan, seed + k);
      const Twin::Result a = before.run(image), b = after.run(image);
      EXPECT_EQ(a.logits, b.logits);
      EXPECT_EQ(a.label, b.label);
    }
  }
}

// One garbled circuit between two products; the result is the model's.
TEST(FrameworkModel, CoinnFusesStepsAndComputesTheSameForAnyModel) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    const Model model = direct(testing::random_model(seed), seed);
    const Model peer = framework_model(model, {Framework::kCoinn, {}});
    EXPECT_LE(peer.plan.nodes.size(), model.plan.nodes.size());
    const Twin before(model), after(peer);
    for (std::uint64_t k = 0; k < 4; ++k) {
      const std::vector<Word> image = testing::random_image(model.plan, seed + k);
      const Twin::Result a = before.run(image), b = after.run(image);
      EXPECT_EQ(a.logits, b.logits);
      EXPECT_EQ(a.label, b.label);
    }
  }
}

// Wherever nothing wraps and nothing is reduced, the fixed point computes the same.
TEST(FrameworkModel, Cryptflow2HasOneRingAndComputesTheSame) {
  unsigned compared = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    const Model model = direct(testing::random_model(seed), seed);
    const Model peer = framework_model(model, {Framework::kCryptflow2, 64});
    for (const Node& node : peer.plan.nodes) {
      if (node.op != Op::kArgMax) {
        EXPECT_EQ(node.type.ring_bits, 64U) << node.name;
      }
      EXPECT_TRUE(node.op != Op::kTruncateReduce && node.op != Op::kExtend && node.op != Op::kReduce &&
                  node.op != Op::kRequantize);
    }
    const Twin before(model), after(peer);
    const std::vector<Word> image = testing::random_image(model.plan, seed);
    // In the other plan's own input ring.
    std::vector<Word> wide(image.size());
    const Ring from = model.plan.nodes[0].type.ring();
    for (std::size_t i = 0; i < image.size(); ++i) wide[i] = Ring(64).from_signed(from.to_signed(image[i]));
    const Twin::Result a = before.run(image), b = after.run(wide);
    if (a.overflowed != 0 || narrows(model.plan)) continue;
    ++compared;
    EXPECT_EQ(a.logits, b.logits);
    EXPECT_EQ(a.label, b.label);
  }
  EXPECT_GT(compared, 10U);
}

// A shift by less than the scale becomes one by the scale, of a value that was shifted left.
TEST(FrameworkModel, ShiftsAreByTheFixedPointsScale) {
  Model model = testing::dot_product({3, -5}, 7, 20, 8);
  Node relu, shift;
  relu.op = Op::kRelu;
  relu.name = relu.layer = "r";
  relu.inputs = {model.plan.output};
  shift.op = Op::kTruncateReduce;
  shift.name = shift.layer = "s";
  shift.inputs = {model.plan.output + 1};
  shift.shift = 6;
  for (Node* node : {&relu, &shift}) {
    node->type = infer_type(*node, std::vector{model.plan.nodes.back().type}, model.plan.input_bits);
    model.plan.nodes.push_back(*node);
    model.secrets.push_back({{}, {}, 1.0});
    ++model.plan.output;
  }
  const Model peer = framework_model(model, {Framework::kCryptflow2, 32});
  const Node& last = peer.plan.nodes.back();
  EXPECT_EQ(last.op, Op::kTruncate);
  EXPECT_EQ(last.shift, kFixedPointScale);
  const Node& relued = peer.plan.nodes[static_cast<std::size_t>(last.inputs[0])];
  EXPECT_EQ(relued.op, Op::kRelu);
  EXPECT_TRUE(relued.type.non_negative());
  const Node& scaled = peer.plan.nodes[static_cast<std::size_t>(relued.inputs[0])];
  EXPECT_EQ(scaled.op, Op::kAdd);
  EXPECT_EQ(scaled.input_shifts, std::vector<unsigned>{kFixedPointScale - 6});
  const std::vector<Word> image = testing::random_image(model.plan, 1);
  std::vector<Word> wide(image.size());
  for (std::size_t i = 0; i < image.size(); ++i)
    wide[i] = Ring(32).from_signed(model.plan.nodes[0].type.ring().to_signed(image[i]));
  EXPECT_EQ(Twin(model).run(image).logits, Twin(peer).run(wide).logits);

  const Model sirnn = framework_model(model, {Framework::kSirnn, {}});
  EXPECT_EQ(sirnn.plan.nodes.back().op, Op::kRelu);
  EXPECT_EQ(sirnn.plan.nodes.back().type.ring_bits, 14U);
}

bool has_winograd(const PublicPlan& plan) {
  return std::ranges::any_of(plan.nodes, [](const Node& n) { return n.domain == ConvDomain::kWinograd; });
}

// CoPriv's plan is the fixed point's, with Winograd products; without its ReLUs it is the network without them.
TEST(FrameworkModel, CoprivKeepsWinogradProductsAndCanLeaveReLusOut) {
  unsigned compared = 0, dropped = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    const Model model = testing::random_model(seed);
    if (!has_winograd(model.plan)) continue;
    const Model peer = framework_model(model, {Framework::kCopriv, 64, {}});
    EXPECT_TRUE(has_winograd(peer.plan));
    const std::vector<Word> image = testing::random_image(model.plan, seed);
    std::vector<Word> wide(image.size());
    const Ring from = model.plan.nodes[0].type.ring();
    for (std::size_t i = 0; i < image.size(); ++i) wide[i] = Ring(64).from_signed(from.to_signed(image[i]));
    const Twin::Result a = Twin(model).run(image);
    if (a.overflowed == 0 && !narrows(model.plan)) {
      ++compared;
      EXPECT_EQ(a.logits, Twin(peer).run(wide).logits);
    }
    if (count(peer.plan)[Op::kRelu] == 0 || count(peer.plan)[Op::kMaxPool] != 0) continue;
    ++dropped;
    const Model without = framework_model(model, {Framework::kCopriv, 64, {"all"}});
    EXPECT_EQ(count(without.plan)[Op::kRelu], 0U);
    EXPECT_EQ(count(without.plan)[Op::kConv], count(peer.plan)[Op::kConv]);
  }
  EXPECT_GT(compared, 3U);
  EXPECT_GT(dropped, 3U);
}

// A ReLU that is left out does nothing: of a value it would have changed, the shift alone remains.
TEST(FrameworkModel, ALeftOutReLuLetsNegativeValuesPass) {
  const auto with = [](const std::vector<std::string>& drop) {
    Model model = testing::dot_product({3}, 0, 20, 8);
    Node relu;
    relu.op = Op::kRelu;
    relu.name = relu.layer = "r";
    relu.inputs = {model.plan.output};
    relu.type = infer_type(relu, std::vector{model.plan.nodes.back().type}, model.plan.input_bits);
    model.plan.nodes.push_back(relu);
    model.secrets.push_back({{}, {}, 1.0});
    ++model.plan.output;
    const std::vector<Word> image{Ring(32).from_signed(-5)};
    return Twin(framework_model(model, {Framework::kCopriv, 32, drop})).run(image).logits;
  };
  EXPECT_EQ(with({}), std::vector<std::int64_t>{0});
  EXPECT_EQ(with({"r"}), std::vector<std::int64_t>{-15});
  EQO_EXPECT_ERROR(with({"q"}), Category::kUsage, "no ReLU in a layer 'q'");
}

TEST(FrameworkModel, Refusals) {
  Model winograd = testing::random_model(1);
  for (std::uint64_t seed = 2;
       std::ranges::none_of(winograd.plan.nodes, [](const Node& n) { return n.domain == ConvDomain::kWinograd; });
       ++seed)
    winograd = testing::random_model(seed);
  EQO_EXPECT_ERROR(framework_model(winograd, {Framework::kSirnn, {}}), Category::kUsage, "Winograd");
  EQO_EXPECT_ERROR(framework_model(direct(winograd, 1), {Framework::kCopriv, 64, {}}), Category::kUsage, "are direct");
  EQO_EXPECT_ERROR(framework_model(winograd, {Framework::kSirnn, 32, {"all"}}), Category::kUsage, "copriv's");
  const Model wide = testing::dot_product({1, 2}, 3, 40, 8);
  EQO_EXPECT_ERROR(framework_model(wide, {Framework::kCryptflow2, 32}), Category::kUsage, "40 bits");
}

}  // namespace
}  // namespace eqo
