#pragma once
#include <vector>

#include "eqo/kernels/weight_code.h"
#include "eqo/quantizer/weight_quantizer.h"

namespace eqo::quant {

// Bit re-weighting: a tap's weights are read with the significances e_0 < e_1 < ... and the offset that leave the least
// importance-weighted squared error. (A negative sign is the same as another offset, so signs stay positive.) A
// weight's bit costs l - e_i bits a product, so that only codes with
//   sum(e_i) >= sum(e_i of the evenly spaced code)
// are tried: at the same step, hence the same ring, a re-weighted tap never costs a byte more.
// Public are the codes themselves; they were chosen from the weights, like the steps and the exponents.

// The best code of as many bits as `uniform` has on a sample of the tap's weights; `uniform` is one of those it
// competes with, and returned if it wins. step > 0.
WeightCode reweighted_code(const LinearWeights& weights, std::size_t tap, const WeightCode& uniform, double step);

// sum(e_i), shift included.
unsigned place_sum(const WeightCode& code);

// Ascending significances from 0 with at most two gaps that are tried for `bits` bits; the first one has none.
std::vector<std::vector<unsigned>> significance_patterns(unsigned bits);
inline constexpr unsigned kMaxSignificance = 10;

}  // namespace eqo::quant
