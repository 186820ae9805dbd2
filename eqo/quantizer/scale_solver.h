#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "eqo/importer/float_graph.h"
#include "eqo/quantizer/graph_analysis.h"
#include "eqo/quantizer/step_curve.h"

namespace eqo::quant {

// Tensors whose scales may differ by powers of two only, because shares are aligned and requantized by shifts: what
// ReLU, pooling, addition and concatenation connect. Between two groups stands a linear layer, whose weights' step is
// free. Average pooling over n values divides the scale by n; its odd part is carried as an exact ratio.
class ScaleGroups {
 public:
  // Throws model_error if one group would need two scales whose ratio isn't a power of two.
  explicit ScaleGroups(const FloatGraph& graph);

  std::size_t count() const { return count_; }
  std::size_t group(int tensor) const { return group_[static_cast<std::size_t>(tensor)]; }
  // The tensor's scale over its group's, up to a power of two; a ratio of odd numbers.
  double ratio(int tensor) const { return ratio_[static_cast<std::size_t>(tensor)]; }

 private:
  std::size_t count_ = 0;
  std::vector<std::size_t> group_;
  std::vector<double> ratio_;
};

// Steps that satisfy the groups' constraints exactly.
struct Scales {
  std::vector<double> activation;  // a float node: the step of the activation made of its output; 0: none
  std::vector<double> weight;      // a linear node: the step of its weights
  std::vector<double> base;        // a group: any scale of its tensors is base * ratio * 2^n
};

// What the steps should be chosen by: one curve a linear node and one an activation (the image included).
struct ScaleCosts {
  std::vector<std::optional<StepCurve>> weight, activation;
};

// Minimises the sum of all curves over the groups' scales by coordinate descent from several seeded starts. Activations
// that are concatenated get equal steps where their groups allow it.
Scales solve_scales(const FloatGraph& graph, const GraphPlan& plan, const ScaleGroups& groups, const ScaleCosts& costs,
                    std::uint64_t seed);

// The integer n of a / b = 2^n; throws internal_error if that isn't what the ratio is.
int exact_log2_ratio(double a, double b);

}  // namespace eqo::quant
