#include "eqo/quantizer/budget_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/quantizer/sensitivity.h"
#include "eqo/quantizer/width_search.h"

namespace eqo::quant {
namespace {

constexpr double kDraftMacs = 4e8;       // of the images of one draft
constexpr std::size_t kDraftImages = 8;  // most of them
constexpr unsigned kDraftRounds = 4, kFullRounds = 6;
constexpr double kTighter = 0.005;  // of the budget, where an answer above it comes back

using Option = BudgetReport::Option;
using Choice = std::vector<std::size_t>;

struct Layer {
  std::string name;
  std::vector<Option> options;
};

class Search {
 public:
  Search(CalibratedNet& net, const QuantizeOptions& options) : net_(net), options_(options), budget_(*options.budget) {
    double macs = 0;
    for (const FloatNode& node : net.graph().nodes)
      if (is_linear(node.op))
        macs += static_cast<double>(node.shape.h * node.shape.w) * static_cast<double>(node.weight.size());
    draft_images_ =
        static_cast<std::size_t>(std::clamp(kDraftMacs / std::max(macs, 1.0), 1.0, static_cast<double>(kDraftImages)));
  }

  Model run(QuantizeReport& report) {
    limit_ = budget_.amount;
    if (budget_.unit == Budget::Unit::kRatio) limit_ *= online_cost(net_.quantize(all_of(8, 8, {})), budget_).total;
    list_options();
    expect_costs();
    std::set<Choice> seen;
    for (unsigned round = 0; round < kDraftRounds; ++round) {
      const std::optional<Choice> choice = solve({});
      if (!choice || !seen.insert(*choice).second) break;
      correct(*choice, online_cost(net_.draft(with(*choice), draft_images_), budget_));
      ++rounds_;
    }
    for (const Floor& floor : floors()) fill(floor);
    if (best_choice_.empty()) measure(cheapest());
    if (best_choice_.empty())
      throw usage_error(
          fmt::format("the budget is {}, and the cheapest choice of widths costs {}", text(limit_), text(last_.total)),
          "raise --budget, or ask for fewer fixed widths");
    if (options_.tuner) {
      // Its rings, and so what it costs, may come out a little differently.
      best_model_ = net_.tune(with(best_choice_), &best_report_);
      best_cost_ = online_cost(best_model_, budget_);
    }
    report = std::move(best_report_);
    report.budget = explain();
    return std::move(best_model_);
  }

 private:
  std::string text(double cost) const {
    return budget_.unit == Budget::Unit::kSeconds ? fmt::format("{:.3f} s", cost)
                                                  : fmt::format("{:.3f} MB", cost / 1e6);
  }

  // What the options fix for a layer.
  QuantizeOptions::Layer fixed(const std::string& name) const {
    const auto found = options_.layers.find(name);
    return found == options_.layers.end() ? QuantizeOptions::Layer{} : found->second;
  }

  bool may_be(const FloatNode& node, ConvDomain domain) const {
    const bool possible = winograd_possible(node);
    if (const auto asked = fixed(node.name).domain) return *asked == domain;
    if (domain == ConvDomain::kDirect) return !possible || options_.conv != ConvChoice::kWinograd;
    return possible && options_.conv != ConvChoice::kDirect && options_.disabled.count(QuantPass::kWinograd) == 0;
  }

  // The same widths for all layers that are not fixed; without a domain it is chosen as without a budget.
  QuantizeOptions all_of(unsigned weights, unsigned activations, std::optional<ConvDomain> domain) const {
    QuantizeOptions o = options_;
    for (std::size_t i = 0; i < net_.graph().nodes.size(); ++i) {
      const FloatNode& node = net_.graph().nodes[i];
      if (!is_linear(node.op)) continue;
      QuantizeOptions::Layer layer = fixed(node.name);
      if (!layer.weights_bits) layer.weights_bits = weights;
      if (!layer.activation_bits) layer.activation_bits = net_.plan().layers[i].first ? 8 : activations;
      if (domain && !layer.domain)
        layer.domain = may_be(node, *domain)            ? *domain
                       : *domain == ConvDomain::kDirect ? ConvDomain::kWinograd
                                                        : ConvDomain::kDirect;
      o.layers[node.name] = layer;
    }
    return o;
  }

  QuantizeOptions with(const Choice& choice) const {
    QuantizeOptions o = options_;
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      const Option& c = layers_[l].options[choice[l]];
      o.layers[layers_[l].name] = {c.weights_bits, c.activation_bits, c.conv};
    }
    return o;
  }

  // All options of all layers with their sensitivities.
  void list_options() {
    weights_.insert(std::begin(kWeightWidths), std::end(kWeightWidths));
    activations_.insert(std::begin(kActivationWidths), std::end(kActivationWidths));
    std::set<std::string> unknown;
    for (const auto& [name, layer] : options_.layers) {
      unknown.insert(name);
      if (layer.weights_bits) weights_.insert(*layer.weights_bits);
      if (layer.activation_bits) activations_.insert(*layer.activation_bits);
    }
    for (const FloatNode& node : net_.graph().nodes)
      if (is_linear(node.op)) unknown.erase(node.name);
    if (!unknown.empty()) throw usage_error("the network has no layer '" + *unknown.begin() + "'");
    const std::vector<LayerSensitivity> sensitivity = layer_sensitivities(
        net_, weights_, activations_, options_.sensitivity, options_.seed, options_.sensitivity_cache);
    std::size_t l = 0;
    for (std::size_t i = 0; i < net_.graph().nodes.size(); ++i) {
      const FloatNode& node = net_.graph().nodes[i];
      if (!is_linear(node.op)) continue;
      const LayerSensitivity& s = sensitivity.at(l++);
      const QuantizeOptions::Layer given = fixed(node.name);
      Layer layer{node.name, {}};
      for (const ConvDomain domain : {ConvDomain::kDirect, ConvDomain::kWinograd})
        for (const unsigned b : weights_)
          for (const unsigned a : activations_) {
            if (!may_be(node, domain) || (given.weights_bits && *given.weights_bits != b)) continue;
            const unsigned wanted = given.activation_bits.value_or(net_.plan().layers[i].first ? 8 : a);
            if (wanted == a) layer.options.push_back({b, a, domain, s.weights(domain).at(b) + s.activations.at(a), 0});
          }
      layers_.push_back(std::move(layer));
    }
  }

  // Costs of all options, from drafts of networks with the same widths everywhere.
  void expect_costs() {
    for (const ConvDomain domain : {ConvDomain::kDirect, ConvDomain::kWinograd}) {
      const bool any = std::any_of(layers_.begin(), layers_.end(), [&](const Layer& layer) {
        return std::any_of(layer.options.begin(), layer.options.end(),
                           [&](const Option& o) { return o.conv == domain; });
      });
      if (!any) continue;
      for (const unsigned b : weights_)
        for (const unsigned a : activations_) {
          last_ = online_cost(net_.draft(all_of(b, a, domain), draft_images_), budget_);
          for (Layer& layer : layers_)
            for (Option& o : layer.options)
              if (o.conv == domain && matches(layer, o, b, a)) o.cost = last_.layers[layer.name];
        }
    }
    rest_ = last_.total;
    for (const Layer& layer : layers_) rest_ -= last_.layers[layer.name];
    limit_now_ = limit_;
  }

  // Whether the option is what the layer had in the network of these widths.
  bool matches(const Layer& layer, const Option& o, unsigned weights, unsigned activations) const {
    const auto one = [&](unsigned Option::*field) {
      return std::all_of(layer.options.begin(), layer.options.end(),
                         [&](const Option& other) { return other.*field == o.*field; });
    };
    return (o.weights_bits == weights || one(&Option::weights_bits)) &&
           (o.activation_bits == activations || one(&Option::activation_bits));
  }

  // No layer is narrower.
  struct Floor {
    unsigned weights = 0, activations = 0;
  };

  std::optional<Choice> solve(const Floor& floor) const {
    std::vector<std::vector<WidthOption>> all;
    std::vector<std::vector<std::size_t>> index;
    for (const Layer& layer : layers_) {
      std::vector<WidthOption>& list = all.emplace_back();
      std::vector<std::size_t>& from = index.emplace_back();
      const auto above = [&](const Option& o) {
        return o.weights_bits >= floor.weights && o.activation_bits >= floor.activations;
      };
      // All of them where what is fixed leaves none above the floor.
      const bool some = std::any_of(layer.options.begin(), layer.options.end(), above);
      for (std::size_t i = 0; i < layer.options.size(); ++i) {
        const Option& o = layer.options[i];
        if (some && !above(o)) continue;
        list.push_back({o.cost, o.sensitivity});
        from.push_back(i);
      }
    }
    std::optional<Choice> choice = choose_options(all, limit_now_ - rest_);
    if (choice)
      for (std::size_t l = 0; l < choice->size(); ++l) (*choice)[l] = index[l][(*choice)[l]];
    return choice;
  }

  // Sensitivities are of second order and one layer's at a time, which is too kind to the coarsest widths: the program
  // is also solved with those left out, and what comes out is judged by the error that it really has. These are all
  // floors that the budget allows and no higher one replaces, and none at all.
  std::vector<Floor> floors() const {
    std::vector<Floor> out{{}};
    for (const unsigned w : weights_)
      for (const unsigned a : activations_) {
        if (w == *weights_.begin() && a == *activations_.begin()) continue;
        if (!solve({w, a})) continue;
        out.erase(std::remove_if(out.begin() + 1, out.end(),
                                 [&](const Floor& f) { return f.weights <= w && f.activations <= a; }),
                  out.end());
        out.push_back({w, a});
      }
    return out;
  }

  // Full quantizations until the budget is kept with this floor and nothing better fits.
  void fill(const Floor& floor) {
    limit_now_ = limit_;
    std::set<Choice> seen;
    bool kept = false;
    for (unsigned round = 0; round < kFullRounds; ++round) {
      const std::optional<Choice> choice = solve(floor);
      if (!choice) return;
      if (seen.insert(*choice).second) {
        const double spent = measure(*choice);
        kept = kept || spent <= limit_;
        if (spent <= limit_ && spent >= kUsed * limit_) return;
      } else if (!kept) {
        limit_now_ -= kTighter * limit_;  // its parts are known and yet it is above the budget
      } else {
        return;
      }
    }
  }

  Choice cheapest() const {
    Choice out;
    for (const Layer& layer : layers_)
      out.push_back(
          static_cast<std::size_t>(std::min_element(layer.options.begin(), layer.options.end(),
                                                    [](const Option& a, const Option& b) { return a.cost < b.cost; }) -
                                   layer.options.begin()));
    return out;
  }

  // What a choice really cost replaces what was expected; the layer's other options move in proportion.
  void correct(const Choice& choice, const OnlineCost& real) {
    last_ = real;
    rest_ = real.total;
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      const auto found = real.layers.find(layers_[l].name);
      const double cost = found == real.layers.end() ? 0 : found->second;
      rest_ -= cost;
      const double expected = layers_[l].options[choice[l]].cost;
      if (!(expected > 0) || !(cost > 0)) continue;
      for (Option& o : layers_[l].options) o.cost *= cost / expected;
    }
  }

  double sensitivity_of(const Choice& choice) const {
    double sum = 0;
    for (std::size_t l = 0; l < layers_.size(); ++l) sum += layers_[l].options[choice[l]].sensitivity;
    return sum;
  }

  // Quantizes a choice for good, and gives what it costs; keeps it if it is the best one within the budget: one that
  // uses it up, with the least error of the last layer's outputs on the calibration images.
  double measure(const Choice& choice) {
    QuantizeReport report;
    Model model = net_.quantize(with(choice), &report);
    const OnlineCost real = online_cost(model, budget_);
    ++rounds_;
    correct(choice, real);
    if (real.total > limit_) return real.total;
    const std::pair<bool, double> rank{real.total < kUsed * limit_, report.layers.back().sensitivity};
    if (!best_choice_.empty() && rank >= best_rank_) return real.total;
    best_choice_ = choice;
    best_rank_ = rank;
    best_model_ = std::move(model);
    best_report_ = std::move(report);
    best_cost_ = real;
    return real.total;
  }

  BudgetReport explain() const {
    BudgetReport out;
    out.seconds = budget_.unit == Budget::Unit::kSeconds;
    out.budget = limit_;
    out.spent = best_cost_.total;
    out.measure = options_.sensitivity;
    out.sensitivity = sensitivity_of(best_choice_);
    out.rounds = rounds_;
    out.online_bytes = best_cost_.bytes;
    out.flights = best_cost_.flights;
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      const std::vector<Option>& options = layers_[l].options;
      BudgetReport::Layer layer{layers_[l].name, options[best_choice_[l]], {}, {}};
      std::vector<WidthOption> costs;
      for (const Option& o : options) costs.push_back({o.cost, o.sensitivity});
      for (const std::size_t i : efficient_options(costs)) {
        if (options[i].cost < layer.chosen.cost) layer.cheaper = options[i];
        if (options[i].cost > layer.chosen.cost && !layer.dearer) layer.dearer = options[i];
      }
      const auto found = best_cost_.layers.find(layer.name);
      if (found != best_cost_.layers.end() && layer.chosen.cost > 0) {
        const double factor = found->second / layer.chosen.cost;
        for (std::optional<Option>* o : {&layer.cheaper, &layer.dearer})
          if (*o) (*o)->cost *= factor;
        layer.chosen.cost = found->second;
      }
      out.layers.push_back(std::move(layer));
    }
    return out;
  }

  CalibratedNet& net_;
  const QuantizeOptions& options_;
  const Budget& budget_;
  std::size_t draft_images_ = 1;
  std::set<unsigned> weights_, activations_;
  std::vector<Layer> layers_;
  double limit_ = 0, limit_now_ = 0;  // the budget, and what the program is given
  double rest_ = 0;                   // of the cost, what belongs to no layer
  OnlineCost last_;
  unsigned rounds_ = 0;
  Choice best_choice_;
  std::pair<bool, double> best_rank_;
  Model best_model_;
  QuantizeReport best_report_;
  OnlineCost best_cost_;
};

}  // namespace

Model quantize_within_budget(CalibratedNet& net, const QuantizeOptions& options, QuantizeReport& report) {
  return Search(net, options).run(report);
}

}  // namespace eqo::quant
