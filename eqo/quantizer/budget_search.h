#pragma once
#include "eqo/quantizer/budget.h"
#include "eqo/quantizer/calibrated_net.h"

namespace eqo::quant {

// The network with the widths and domains, one choice a layer, of the least summed sensitivity whose planned cost is
// within options.budget. The costs of a layer's choices are those of its steps in the plan of the network with the same
// widths everywhere; the integer program's answer is then quantized and planned as it is, what each layer really cost
// replaces what was expected, and so on until the budget is kept and nothing better fits. That is done without and with
// the narrowest widths left out; the network with the least error of its logits on the calibration images wins. What
// options.layers fixes stays. options.tuner then works on the winner; BudgetReport::spent is what the tuned network
// costs. Throws usage_error if even the cheapest choice is above the budget.
Model quantize_within_budget(CalibratedNet& net, const QuantizeOptions& options, QuantizeReport& report);

// The widths that are tried. The image always has 8 bits.
inline constexpr unsigned kWeightWidths[] = {2, 3, 4, 5, 6, 8}, kActivationWidths[] = {4, 5, 6, 8};
// A budget counts as used up from this share on.
inline constexpr double kUsed = 0.97;

}  // namespace eqo::quant
