#include "eqo/quantizer/quant_pass.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "eqo/core/error.h"
#include "eqo/model/quantize.h"
#include "eqo/model/twin.h"
#include "eqo/model/types.h"
#include "eqo/quantizer/quantizer.h"
#include "eqo/quantizer/test_nets.h"

namespace eqo {
namespace {

using testing::NetBuilder;
using testing::test_images;

constexpr std::size_t kImages = 16;
constexpr std::uint64_t kSeed = 11;
const std::set<QuantPass> kAll{QuantPass::kWinograd,    QuantPass::kRings,       QuantPass::kResidual,
                               QuantPass::kShareExtend, QuantPass::kPoolOrder,   QuantPass::kReweight,
                               QuantPass::kOffsets,     QuantPass::kTapExponents};

Model quantized(const FloatGraph& graph, const std::set<QuantPass>& disabled, QuantizeOptions options = {},
                QuantizeReport* report = nullptr) {
  options.disabled = disabled;
  return quantize(graph, test_images(graph.input_shape(), kImages, kSeed), kImages, options, report);
}

// Logits as real numbers of all images.
std::vector<double> logits_of(const Model& model) {
  SCOPED_TRACE(::testing::Message() << "images of seed " << kSeed);
  const Shape& shape = model.plan.nodes[0].type.shape;
  const std::vector<float> images = test_images(shape, kImages, kSeed);
  const Twin twin(model);
  const auto size = static_cast<std::size_t>(shape.size());
  std::vector<double> out;
  for (std::size_t n = 0; n < kImages; ++n) {
    const Twin::Result result = twin.run(quantize_image(model.plan, std::span(images).subspan(n * size, size)));
    EXPECT_EQ(result.overflowed, 0U);
    for (const double v : logits_to_real(model.plan, result.logits)) out.push_back(v);
  }
  return out;
}

double distance(const std::vector<double>& a, const std::vector<double>& b) {
  EXPECT_EQ(a.size(), b.size());
  double squares = 0, energy = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    squares += (a[i] - b[i]) * (a[i] - b[i]);
    energy += b[i] * b[i];
  }
  return squares / std::max(energy, 1e-30);
}

int count(const Model& model, Op op) {
  return static_cast<int>(
      std::count_if(model.plan.nodes.begin(), model.plan.nodes.end(), [&](const Node& node) { return node.op == op; }));
}

const Node& input_of(const Model& model, const Node& node, std::size_t k) {
  return model.plan.nodes[static_cast<std::size_t>(node.inputs[k])];
}

// The step that makes a term of a sum, conversions between rings left out.
const Node& branch(const Model& model, const Node& sum, std::size_t k) {
  const Node* node = &input_of(model, sum, k);
  while (node->op == Op::kExtend || node->op == Op::kReduce) node = &input_of(model, *node, 0);
  return *node;
}

int branches_of_sums(const Model& model, Op op) {
  int found = 0;
  for (const Node& node : model.plan.nodes)
    for (std::size_t k = 0; node.op == Op::kAdd && k < node.inputs.size(); ++k)
      found += branch(model, node, k).op == op ? 1 : 0;
  return found;
}

// Two blocks, the second with a product on its shortcut; the first sum is read by three steps.
FloatGraph residual_net() {
  NetBuilder b({3, 10, 10});
  const int x = b.relu(b.conv3(0, 6));
  const int y = b.relu(b.add(b.conv3(b.relu(b.conv3(x, 6)), 6), x));
  const int z = b.relu(b.add(b.conv3(b.relu(b.conv3(y, 8, 2)), 8), b.conv(y, 8, Window{.stride_h = 2, .stride_w = 2})));
  return b.finish(b.linear(b.global_pool(z), 5));
}

TEST(QuantPass, NamesAreKnown) {
  EXPECT_THAT(quant_pass_names(), ::testing::ElementsAre("winograd", "rings", "residual", "share-extend", "pool-order",
                                                         "reweight", "offsets", "tap-exponents"));
  for (const std::string& name : quant_pass_names()) EXPECT_EQ(quant_pass_name(quant_pass(name)), name);
  try {
    quant_pass("ring");
    ADD_FAILURE() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), Category::kUsage);
    EXPECT_THAT(e.what(), ::testing::HasSubstr("'ring'"));
    EXPECT_THAT(std::string(e.what()) + e.hint(), ::testing::HasSubstr("winograd, rings, residual, share-extend"));
  }
}

TEST(QuantPass, WithoutWinogradAllIsDirect) {
  const FloatGraph graph = residual_net();
  QuantizeOptions direct;
  direct.conv = ConvChoice::kDirect;
  const Model a = quantized(graph, {QuantPass::kWinograd}), b = quantized(graph, {}, direct);
  EXPECT_EQ(logits_of(a), logits_of(b));
  ASSERT_EQ(a.plan.nodes.size(), b.plan.nodes.size());
  for (std::size_t i = 0; i < a.plan.nodes.size(); ++i) {
    EXPECT_EQ(a.plan.nodes[i].domain, ConvDomain::kDirect);
    EXPECT_EQ(a.plan.nodes[i].type, b.plan.nodes[i].type);
    EXPECT_EQ(a.secrets[i].weights, b.secrets[i].weights);
  }
  QuantizeOptions winograd;
  winograd.conv = ConvChoice::kWinograd;
  EXPECT_THROW(quantized(graph, {QuantPass::kWinograd}, winograd), Error);
}

TEST(QuantPass, WithoutRingsAllProductsHaveTheWidest) {
  const FloatGraph graph = residual_net();
  const Model narrow = quantized(graph, {}), wide = quantized(graph, {QuantPass::kRings});
  unsigned widest = 0;
  std::set<unsigned> before, after;
  for (const Node& node : narrow.plan.nodes)
    if (node.op == Op::kConv) before.insert(node.type.ring_bits);
  for (const Node& node : wide.plan.nodes)
    if (node.op == Op::kConv) after.insert(node.type.ring_bits);
  for (const unsigned bits : before) widest = std::max(widest, bits);
  EXPECT_GT(before.size(), 1U);
  EXPECT_THAT(after, ::testing::ElementsAre(widest));
  EXPECT_EQ(logits_of(narrow), logits_of(wide));  // rings change nothing but what overflows
}

TEST(QuantPass, WithoutResidualNoAccumulatorIsAdded) {
  const FloatGraph graph = residual_net();
  for (const unsigned bits : {2U, 4U, 6U, 8U}) {
    QuantizeOptions options;
    options.activation_bits = bits;
    const Model merged = quantized(graph, {}, options), apart = quantized(graph, {QuantPass::kResidual}, options);
    // Three accumulators are added; the skip of the first sum is an activation already.
    EXPECT_EQ(branches_of_sums(merged, Op::kConv), 3);
    EXPECT_EQ(branches_of_sums(apart, Op::kConv), 0);
    EXPECT_EQ(branches_of_sums(apart, Op::kTruncateReduce), 4);
    int adds = 0;
    for (const Node& node : apart.plan.nodes) {
      if (node.op != Op::kAdd) continue;
      ++adds;
      for (std::size_t k = 0; k < node.inputs.size(); ++k)
        EXPECT_LT(branch(apart, node, k).type.ring_bits + node.input_shifts[k], node.type.ring_bits) << node.name;
    }
    EXPECT_EQ(adds, 2);
    EXPECT_LT(distance(logits_of(apart), logits_of(merged)), bits == 2 ? 0.3 : 0.05) << bits << " bits";
  }
}

TEST(QuantPass, WithoutShareExtendEveryReaderHasItsOwn) {
  const FloatGraph graph = residual_net();
  QuantizeOptions options;
  options.weights_bits = 3;
  options.activation_bits = 5;
  const Model shared = quantized(graph, {}, options), own = quantized(graph, {QuantPass::kShareExtend}, options);
  EXPECT_GT(count(own, Op::kExtend), count(shared, Op::kExtend));
  std::map<int, int> readers;
  for (const Node& node : own.plan.nodes) {
    for (const int in : node.inputs) ++readers[in];
    if (node.op == Op::kReduce) {
      EXPECT_NE(input_of(own, node, 0).op, Op::kExtend) << node.name;
    }
  }
  for (std::size_t i = 0; i < own.plan.nodes.size(); ++i)
    if (own.plan.nodes[i].op == Op::kExtend) {
      EXPECT_EQ(readers[static_cast<int>(i)], 1) << own.plan.nodes[i].name;
    }
  EXPECT_EQ(logits_of(own), logits_of(shared));
}

TEST(QuantPass, TheReportNamesWhatWasOff) {
  QuantizeReport report;
  quantized(residual_net(), {}, {}, &report);
  EXPECT_TRUE(report.disabled.empty());
  quantized(residual_net(), kAll, {}, &report);
  EXPECT_EQ(report.disabled, kAll);
}

class PassesOff : public ::testing::TestWithParam<testing::NamedNet> {};

TEST_P(PassesOff, EveryStructureStillFollowsTheNetwork) {
  const FloatGraph graph = GetParam().make();
  const std::vector<double> expected = logits_of(quantized(graph, {}));
  std::vector<std::set<QuantPass>> choices{kAll};
  for (const QuantPass pass : kAll) choices.push_back({pass});
  for (const std::set<QuantPass>& disabled : choices) {
    SCOPED_TRACE(disabled.size() > 1 ? "all" : quant_pass_name(*disabled.begin()));
    const Model model = quantized(graph, disabled);
    validate(model);
    EXPECT_LT(distance(logits_of(model), expected), 1e-2);
  }
}

TEST_P(PassesOff, CertainRangesNeverOverflow) {
  const FloatGraph graph = GetParam().make();
  QuantizeOptions options;
  options.accumulators = AccumulatorRule::kWeights;
  const Model model = quantized(graph, kAll, options);
  validate(model);
  const Twin twin(model);
  const TensorType& type = model.plan.nodes[0].type;
  std::mt19937_64 random(kSeed);
  for (int trial = 0; trial < 4; ++trial) {
    std::vector<Word> image;
    for (std::int64_t i = 0; i < type.shape.size(); ++i)
      image.push_back(type.ring().from_signed(random() % 2 == 0 ? type.lo : type.hi));
    EXPECT_EQ(twin.run(image).overflowed, 0U) << "seed " << kSeed << " trial " << trial;
  }
}

INSTANTIATE_TEST_SUITE_P(All, PassesOff, ::testing::ValuesIn(testing::structure_nets()),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace eqo
