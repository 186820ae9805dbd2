#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "eqo/model/graph.h"

namespace eqo {

// The client's two ends of a run: real input to ring elements, logits to real values.

// round(x / input_scale) to the nearest integer (even on ties), clamped to signed input_bits, reduced in the input's
// ring. `real` is the preprocessed image, [c][h][w]. Throws data_error for a wrong length, NaN or infinity.
std::vector<Word> quantize_image(const PublicPlan& plan, std::span<const float> real);

std::vector<double> logits_to_real(const PublicPlan& plan, std::span<const std::int64_t> logits);

// exp(x_i) / sum exp(x_j), for display.
std::vector<double> softmax(std::span<const double> real);

// The index of the greatest logit, the lowest on ties. Throws usage_error if there is none.
int top_label(std::span<const std::int64_t> logits);

}  // namespace eqo
