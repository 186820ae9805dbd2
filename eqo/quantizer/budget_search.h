#pragma once
#include "eqo/quantizer/budget.h"
#include "eqo/quantizer/calibrated_net.h"

namespace eqo::quant {

// The network with the widths and domains, one choice a layer, that is nearest to the float model within
// options.budget. Sensitivities are of second order and one layer's at a time, so they only propose: candidates are
//   - every uniform network that fits and is not narrower than another one that does,
//   - the integer program's answers: as measured, with the narrowest widths left out, with weights or activations
//     counting more, or large sensitivities,
//   - and neighbours of the nearest one so far: the program's answers where most layers keep their widths and the
//   others'
//     sensitivities are changed at random, which takes bits from one layer and gives them to another.
// Each is quantized and planned as it is, and what its layers really cost replaces what was expected. Of those within
// the budget that use it up, the one with the least divergence from the float model's logits on `check` wins: images
// that no candidate is made with. options.search_networks bounds how many are made. What options.layers fixes stays.
// options.tuner then works on the winner; BudgetReport::spent is what the tuned network costs. Throws usage_error if
// even the cheapest choice is above the budget.
Model quantize_within_budget(CalibratedNet& net, const FloatBatch& check, const QuantizeOptions& options,
                             QuantizeReport& report);

// The widths that are tried. The image always has 8 bits.
inline constexpr unsigned kWeightWidths[] = {2, 3, 4, 5, 6, 8}, kActivationWidths[] = {4, 5, 6, 8};
// A budget counts as used up from this share on.
inline constexpr double kUsed = 0.97;

}  // namespace eqo::quant
