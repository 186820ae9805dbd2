#pragma once
#include "eqo/peers/convolution.h"
#include "eqo/peers/factored_convolution.h"
#include "eqo/planner/plan_cost.h"
#include "eqo/planner/step_params.h"

namespace eqo {

// What planner and executor both derive from a node of a peer's plan.

// Bytes of a product for one image, those of its IKNP included.
inline std::uint64_t product_bytes(const ConvSpec& spec, peers::Choice choice) {
  const Cost cost = dry_run([&](CostMeter& m) { peers::convolution_cost(m, spec, choice, 1); });
  return cost.total_bytes() + 16 * (cost.cots[0] + cost.cots[1]);
}

// CrypTFlow2's weights are fixed-point numbers of the ring's width, and a fully connected layer is one row of them at a
// time; CoPriv's are the same, and the party whose bits choose is the one that makes a layer cheaper; SiRNN's weights
// are of few bits.
inline peers::Choice product_choice(Framework framework, const ConvSpec& spec) {
  using peers::Choice;
  if (framework == Framework::kSirnn || framework == Framework::kCoinn) return Choice::kWeights;
  if (framework == Framework::kCopriv)
    return product_bytes(spec, Choice::kFixedWeights) < product_bytes(spec, Choice::kActivations)
               ? Choice::kFixedWeights
               : Choice::kActivations;
  const bool fully_connected = spec.shape.in.h == 1 && spec.shape.in.w == 1;
  return fully_connected ? Choice::kFixedWeights : Choice::kActivations;
}

// COINN's products where they are factored; its others choose by the weights' bits.
inline bool is_factored(Framework framework, const ConvSpec& spec) {
  return framework == Framework::kCoinn && peers::factors(spec);
}

// Of COINN's steps between products: ReLU, shift and change of ring, as far as the step has them, in one circuit.
inline RequantizeSpec garbled_spec(const Node& node, const TensorType& in) {
  return {.from = in.ring(),
          .to = node.type.ring(),
          .shift = node.shift,
          .relu = node.relu || node.op == Op::kRelu || node.op == Op::kMaxPool};
}

// A sign that is known by construction (after a ReLU) saves both of them a comparison; guard bits they do not use.
inline Knowledge peer_knowledge(const TensorType& in) {
  return in.non_negative() ? Knowledge::kNonNegative : Knowledge::kSigned;
}

}  // namespace eqo
