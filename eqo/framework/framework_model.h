#pragma once
#include <string>
#include <vector>

#include "eqo/model/graph.h"
#include "eqo/planner/framework.h"

namespace eqo {

// Rewrites a quantized network to what a peer would run: its rings, its order of steps, its products. The result is a
// model like any other, with a twin of its own; what it computes is the given model's result wherever the given model's
// values fit their rings. EQO's own rewrites are passes/passes.h; a peer's model does not go through them.
//
//   kCryptflow2  One ring for everything, `fixed_point_bits` wide. No extension, no reduction. A shift is an exact
//                truncation in that ring by the fixed point's scale, kFixedPointScale bits: where the model shifts by
//                less, the value is first shifted left, so that what is computed stays the same.
//   kCopriv      The same ring and truncation, on a model quantized for Winograd products; `drop_relus` takes ReLUs
//   away,
//                which is another network, but for its twin the one that is computed.
//   kSirnn       The model's own widths. One extension serves all readers of a tensor. A ReLU before a
//                truncate-and-reduce changes places with it: it is cheaper in the narrower ring, and the same.
//   kCoinn       The model's own widths. ReLU, shift and change of ring are one step, a garbled circuit.
// The others' fused steps are taken apart again. kEqo and kEqoPaper: the model as it is.
//
// Throws usage_error, with what to do, for a model whose convolutions are of the wrong domain, that does not fit the
// ring, or that has no such ReLU.
inline constexpr unsigned kFixedPointScale = 12;
inline constexpr unsigned kFixedPointBits = 32;
struct FrameworkOptions {
  Framework framework = Framework::kEqo;
  unsigned fixed_point_bits = kFixedPointBits;  // kCryptflow2, kCopriv: published figures use 32, 37 and 41
  std::vector<std::string> drop_relus = {};     // kCopriv: layers, or "all"
};
Model framework_model(Model model, const FrameworkOptions& options);

}  // namespace eqo
