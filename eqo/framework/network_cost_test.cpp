#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "eqo/importer/zoo.h"
#include "eqo/ot/ot_pool.h"
#include "eqo/planner/plan_cost.h"

// What whole networks cost by CrypTFlow2's steps, beside what its public implementation was measured to send (MB of
// 10^6 bytes, both directions, base OTs not counted, the server knows the weights).
namespace eqo {
namespace {

constexpr unsigned kScale = 12;

struct Columns {
  double convolutions = 0, relu = 0, truncation = 0, fully_connected = 0;
};

ExecOptions options(Framework framework) {
  ExecOptions o;
  o.framework = framework;
  o.ot.softspoken_k = 1;
  return o;
}

// The bytes of the last step of a plan, its IKNP included.
double megabytes(const PublicPlan& plan, Framework framework) {
  const ExecOptions exec = options(framework);
  CostMeter step;
  step_online_protocol(step, plan, plan.nodes.back(), exec, 1);
  CostMeter all = step;
  OtPoolCost(exec.ot).reserve(all, step.cost().cots[0], step.cost().cots[1]);
  return static_cast<double>(all.cost().total_bytes()) / 1e6;
}

TensorType type_of(const Shape& shape, unsigned ring_bits, bool non_negative) {
  const std::int64_t half = std::int64_t{1} << (ring_bits - 1);
  return {shape, ring_bits, non_negative ? 0 : -half, half - 1};
}

// An input of this type, and a step that reads it.
PublicPlan two_steps(const TensorType& input, Node node) {
  PublicPlan plan;
  plan.nodes.resize(1);
  plan.nodes[0].type = input;
  node.inputs = {0};
  plan.nodes.push_back(node);
  return plan;
}

Columns columns_of(const FloatGraph& graph, unsigned ring_bits, Framework framework = Framework::kCryptflow2) {
  Columns sum;
  for (const FloatNode& n : graph.nodes) {
    if (n.inputs.empty()) continue;
    const Shape& in = graph.nodes[static_cast<std::size_t>(n.inputs[0])].shape;
    Node node;
    node.type = type_of(n.shape, ring_bits, false);
    if (n.op == FloatOp::kConv || n.op == FloatOp::kLinear) {
      node.op = Op::kConv;
      node.window = n.window;
      node.groups = n.groups;
      node.codes = {WeightCode::twos_complement(8)};
      if (framework == Framework::kCopriv && winograd_applies({.in = in,
                                                               .out_channels = n.shape.c,
                                                               .groups = n.groups,
                                                               .window = n.window,
                                                               .domain = ConvDomain::kDirect}))
        node.domain = ConvDomain::kWinograd;
      (n.op == FloatOp::kConv ? sum.convolutions : sum.fully_connected) +=
          megabytes(two_steps(type_of(in, ring_bits, false), node), framework);
    }
    if (n.op == FloatOp::kRelu) {
      node.op = Op::kRelu;
      sum.relu += megabytes(two_steps(type_of(in, ring_bits, false), node), framework);
      node.op = Op::kTruncate;
      node.shift = kScale;
      sum.truncation += megabytes(two_steps(type_of(in, ring_bits, true), node), framework);
    }
  }
  return sum;
}

void compare(const char* column, double published, double here) {
  std::printf("  %-16s published %8.1f MB  here %8.1f MB  (%+.1f %%)\n", column, published, here,
              100 * (here / published - 1));
  EXPECT_LE(here, 1.05 * published) << column;
}

struct Published {
  const char* network;
  std::int64_t classes;
  unsigned ring_bits;
  Columns columns;
};

class NetworkCost : public ::testing::TestWithParam<Published> {};

// Our ReLUs and truncations are below what was measured because nothing is padded but blocks of 128 OTs.
TEST_P(NetworkCost, BesideThePublicImplementation) {
  const Published& p = GetParam();
  const Columns here = columns_of(make_zoo(p.network, {p.classes, 0, 1}), p.ring_bits);
  std::printf("%s, ring %u\n", p.network, p.ring_bits);
  compare("convolutions", p.columns.convolutions, here.convolutions);
  compare("ReLU", p.columns.relu, here.relu);
  compare("truncation", p.columns.truncation, here.truncation);
  compare("fully connected", p.columns.fully_connected, here.fully_connected);
  // The bulk of it is the same protocol, so that less would mean that something is missing.
  EXPECT_GE(here.convolutions, 0.97 * p.columns.convolutions);
  EXPECT_GE(here.relu, 0.9 * p.columns.relu);
  EXPECT_GE(here.truncation, 0.85 * p.columns.truncation);
}

INSTANTIATE_TEST_SUITE_P(Cryptflow2, NetworkCost,
                         ::testing::Values(Published{"minionn", 10, 32, {4521.7, 94.5, 38.2, 6.1}},
                                           Published{"minionn", 10, 37, {5934.9, 104.5, 38.6, 7.4}},
                                           Published{"minionn", 10, 41, {7202.6, 117.0, 39.0, 8.1}},
                                           Published{"resnet32", 100, 32, {5898.6, 171.0, 71.7, 3.9}},
                                           Published{"resnet32", 100, 37, {7625.6, 190.0, 72.4, 4.6}},
                                           Published{"resnet32", 100, 41, {9161.4, 210.1, 73.0, 5.3}}),
                         [](const auto& test) {
                           return std::string(test.param.network) + "_" + std::to_string(test.param.ring_bits);
                         });

// CoPriv's paper has 2.1 times less communication than CrypTFlow2 on this network: its plan here is no dearer.
TEST(CoprivCost, BesideCryptflow2) {
  const auto total = [](const Columns& c) { return c.convolutions + c.relu + c.truncation + c.fully_connected; };
  for (const unsigned ring_bits : {32U, 37U, 41U}) {
    const FloatGraph graph = make_zoo("resnet32", {100, 0, 1});
    const double cryptflow2 = total(columns_of(graph, ring_bits));
    const double copriv = total(columns_of(graph, ring_bits, Framework::kCopriv));
    std::printf("resnet32, ring %u: CrypTFlow2 %.1f MB, CoPriv %.1f MB, %.2f times less\n", ring_bits, cryptflow2,
                copriv, cryptflow2 / copriv);
    EXPECT_GT(cryptflow2, 2.1 * copriv);
  }
}

}  // namespace
}  // namespace eqo
