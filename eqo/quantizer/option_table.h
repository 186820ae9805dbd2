#pragma once
#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "eqo/quantizer/budget.h"
#include "eqo/quantizer/calibrated_net.h"
#include "eqo/quantizer/width_search.h"

namespace eqo::quant {

// One option of every layer, by its index.
using Choice = std::vector<std::size_t>;

// How much the sensitivities are trusted: factors for each layer's weights and activations, the power that a layer's
// sum counts with, the narrowest widths, and layers that keep an option (with all that share its activations).
struct Tempering {
  std::vector<double> weights, activations;  // one a layer
  unsigned least_weights = 0, least_activations = 0;
  double power = 1;
  std::vector<std::optional<std::size_t>> kept;  // one a layer, or empty
};

// All ways to quantize every layer of a network, what each is expected to cost and to do to the logits. What
// options.layers fixes is the only option there. Layers that read the same activations have one width for them: its
// effect is counted with the first of them.
class OptionTable {
 public:
  using Option = BudgetReport::Option;
  struct Layer {
    std::string name;
    std::size_t group = 0;  // of layers that read the same activations
    std::vector<Option> options;
  };

  // Measures sensitivities, and costs from drafts of networks with the same widths everywhere.
  OptionTable(CalibratedNet& net, const QuantizeOptions& options);

  const std::vector<Layer>& layers() const { return layers_; }
  const std::set<unsigned>& weights_bits() const { return weights_; }
  const std::set<unsigned>& activation_bits() const { return activations_; }
  Tempering trusting() const;

  // The widths for all layers but those that are fixed, and edge_bits for the first and the last; convolutions as
  // options.conv has it, the cheaper one for kAuto.
  Choice uniform(unsigned weights, unsigned activations, unsigned edge_bits) const;
  // The least summed sensitivity for at most `cost`; none if even the cheapest is dearer.
  std::optional<Choice> solve(double cost, const Tempering& tempering) const;
  Choice cheapest() const;
  // Of no sensitivity that another one could lower.
  Choice best() const;

  double cost(const Choice& choice) const;
  double sensitivity(const Choice& choice) const;
  // What a choice really cost replaces what was expected; the layers' other options move in proportion.
  void correct(const Choice& choice, const SessionCost& real);
  // The quantizer's options for it.
  QuantizeOptions with(const Choice& choice) const;
  // Of an image's drafts.
  std::size_t draft_images() const { return draft_images_; }

 private:
  QuantizeOptions::Layer fixed(const std::string& name) const;
  bool may_be(const FloatNode& node, ConvDomain domain) const;
  QuantizeOptions all_of(unsigned weights, unsigned activations, ConvDomain domain) const;
  void list_options();
  void share_activations();
  void expect_costs();
  bool matches(const Layer& layer, const Option& option, unsigned weights, unsigned activations) const;
  // The efficient ways to quantize a group: an option of each of its layers.
  struct Way {
    WidthOption sum;
    std::vector<std::size_t> options;
  };
  std::vector<Way> ways(const std::vector<std::size_t>& group, const Tempering& tempering) const;

  CalibratedNet& net_;
  const QuantizeOptions& options_;
  std::size_t draft_images_ = 1;
  std::set<unsigned> weights_, activations_;
  std::vector<std::size_t> nodes_;  // of the layers
  std::vector<Layer> layers_;
  std::vector<std::vector<std::size_t>> groups_;
  double rest_ = 0;  // of the cost, what belongs to no layer
};

}  // namespace eqo::quant
