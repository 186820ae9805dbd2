#pragma once
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace eqo::quant {

// One way to quantize a layer.
struct WidthOption {
  double cost = 0;  // any unit, not negative
  double loss = 0;  // the smaller the better
};

// One option of every layer, with the least sum of losses among those whose costs sum up to `budget` at most; none if
// even the cheapest ones are above it. An integer program (the multiple-choice knapsack problem), solved exactly by
// CBC. Deterministic. Throws usage_error for a layer without options, or numbers that are not finite.
std::optional<std::vector<std::size_t>> choose_options(std::span<const std::vector<WidthOption>> layers, double budget);

// The options that no other one beats in both, by ascending cost.
std::vector<std::size_t> efficient_options(std::span<const WidthOption> options);

}  // namespace eqo::quant
