#pragma once
#include "eqo/peers/convolution.h"
#include "eqo/planner/step_params.h"

namespace eqo {

// What planner and executor both derive from a node of a peer's plan.

// CrypTFlow2's weights are fixed-point numbers of the ring's width, and a fully connected layer is one row of them at a
// time; SiRNN's are of few bits.
inline peers::Choice product_choice(Framework framework, const ConvSpec& spec) {
  if (framework == Framework::kSirnn) return peers::Choice::kWeights;
  const bool fully_connected = spec.shape.in.h == 1 && spec.shape.in.w == 1;
  return fully_connected ? peers::Choice::kFixedWeights : peers::Choice::kActivations;
}

// A sign that is known by construction (after a ReLU) saves both of them a comparison; guard bits they do not use.
inline Knowledge peer_knowledge(const TensorType& in) {
  return in.non_negative() ? Knowledge::kNonNegative : Knowledge::kSigned;
}

}  // namespace eqo
