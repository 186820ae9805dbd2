#include "eqo/quantizer/option_table.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/quantizer/budget_search.h"
#include "eqo/quantizer/sensitivity.h"

namespace eqo::quant {
namespace {

constexpr double kDraftMacs = 4e8;       // of the images of one draft
constexpr std::size_t kDraftImages = 8;  // most of them
Tempering without_kept(Tempering tempering) {
  tempering.kept.clear();
  return tempering;
}

constexpr ConvDomain kDomains[] = {ConvDomain::kDirect, ConvDomain::kWinograd};

}  // namespace

OptionTable::OptionTable(CalibratedNet& net, const QuantizeOptions& options) : net_(net), options_(options) {
  double macs = 0;
  for (std::size_t i = 0; i < net.graph().nodes.size(); ++i) {
    const FloatNode& node = net.graph().nodes[i];
    if (!is_linear(node.op)) continue;
    nodes_.push_back(i);
    macs += static_cast<double>(node.shape.h * node.shape.w) * static_cast<double>(node.weight.size());
  }
  draft_images_ =
      static_cast<std::size_t>(std::clamp(kDraftMacs / std::max(macs, 1.0), 1.0, static_cast<double>(kDraftImages)));
  list_options();
  share_activations();
  expect_costs();
}

// What the options fix for a layer.
QuantizeOptions::Layer OptionTable::fixed(const std::string& name) const {
  const auto found = options_.layers.find(name);
  return found == options_.layers.end() ? QuantizeOptions::Layer{} : found->second;
}

bool OptionTable::may_be(const FloatNode& node, ConvDomain domain) const {
  const bool possible = winograd_possible(node);
  if (const auto asked = fixed(node.name).domain) return *asked == domain;
  if (domain == ConvDomain::kDirect) return !possible || options_.conv != ConvChoice::kWinograd;
  return possible && options_.conv != ConvChoice::kDirect && options_.disabled.count(QuantPass::kWinograd) == 0;
}

QuantizeOptions OptionTable::all_of(unsigned weights, unsigned activations, ConvDomain domain) const {
  QuantizeOptions o = options_;
  for (const std::size_t i : nodes_) {
    const FloatNode& node = net_.graph().nodes[i];
    QuantizeOptions::Layer layer = fixed(node.name);
    if (!layer.weights_bits) layer.weights_bits = weights;
    if (!layer.activation_bits) layer.activation_bits = net_.plan().layers[i].first ? 8 : activations;
    if (!layer.domain)
      layer.domain = may_be(node, domain)            ? domain
                     : domain == ConvDomain::kDirect ? ConvDomain::kWinograd
                                                     : ConvDomain::kDirect;
    o.layers[node.name] = layer;
  }
  return o;
}

QuantizeOptions OptionTable::with(const Choice& choice) const {
  QuantizeOptions o = options_;
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    const Option& c = layers_[l].options[choice[l]];
    o.layers[layers_[l].name] = {c.weights_bits, c.activation_bits, c.conv};
  }
  return o;
}

void OptionTable::list_options() {
  weights_.insert(std::begin(kWeightWidths), std::end(kWeightWidths));
  activations_.insert(std::begin(kActivationWidths), std::end(kActivationWidths));
  std::set<std::string> unknown;
  for (const auto& [name, layer] : options_.layers) {
    unknown.insert(name);
    if (layer.weights_bits) weights_.insert(*layer.weights_bits);
    if (layer.activation_bits) activations_.insert(*layer.activation_bits);
  }
  for (const std::size_t i : nodes_) unknown.erase(net_.graph().nodes[i].name);
  if (!unknown.empty()) throw usage_error("the network has no layer '" + *unknown.begin() + "'");
  const std::vector<LayerSensitivity> sensitivity =
      layer_sensitivities(net_,
                          {.weights_bits = weights_,
                           .activation_bits = activations_,
                           .measure = options_.sensitivity,
                           .seed = options_.seed,
                           .codes = code_rules(options_.disabled, false),
                           .compensate = options_.compensate_rounding,
                           .centered = options_.bias_correction,
                           .clip = options_.accumulators != AccumulatorRule::kCalibration,
                           .hessian = options_.hessian},
                          options_.sensitivity_cache);
  for (std::size_t l = 0; l < nodes_.size(); ++l) {
    const FloatNode& node = net_.graph().nodes[nodes_[l]];
    const LayerSensitivity& s = sensitivity.at(l);
    const QuantizeOptions::Layer given = fixed(node.name);
    Layer layer{node.name, 0, {}};
    for (const ConvDomain domain : kDomains)
      for (const unsigned b : weights_)
        for (const unsigned a : activations_) {
          if (!may_be(node, domain) || (given.weights_bits && *given.weights_bits != b)) continue;
          if (given.activation_bits.value_or(net_.plan().layers[nodes_[l]].first ? 8 : a) != a) continue;
          Option o;
          o.weights_bits = b;
          o.activation_bits = a;
          o.conv = domain;
          o.weights_part = s.weights(domain).at(b);
          o.activations_part = s.activations.at(a);
          o.sensitivity = o.weights_part + o.activations_part;
          layer.options.push_back(o);
        }
    layers_.push_back(std::move(layer));
  }
}

void OptionTable::share_activations() {
  std::map<std::vector<int>, std::size_t> known;
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    const std::vector<int> points =
        activation_points(net_.graph(), net_.plan(), net_.graph().nodes[nodes_[l]].inputs[0]);
    const bool alone = fixed(layers_[l].name).activation_bits.has_value();
    const auto [found, added] = alone ? std::pair(known.end(), true) : known.try_emplace(points, groups_.size());
    if (added) {
      layers_[l].group = groups_.size();
      groups_.push_back({l});
      continue;
    }
    layers_[l].group = found->second;
    groups_[found->second].push_back(l);
    for (Option& o : layers_[l].options) {
      o.activations_part = 0;
      o.sensitivity = o.weights_part;
    }
  }
}

void OptionTable::expect_costs() {
  SessionCost last;
  for (const ConvDomain domain : kDomains) {
    const bool any = std::any_of(layers_.begin(), layers_.end(), [&](const Layer& layer) {
      return std::any_of(layer.options.begin(), layer.options.end(), [&](const Option& o) { return o.conv == domain; });
    });
    if (!any) continue;
    for (const unsigned b : weights_)
      for (const unsigned a : activations_) {
        last = session_cost(net_.draft(all_of(b, a, domain), draft_images_), *options_.budget, options_.products);
        for (Layer& layer : layers_)
          for (Option& o : layer.options)
            if (o.conv == domain && matches(layer, o, b, a)) o.cost = last.layers[layer.name];
      }
  }
  rest_ = last.total;
  for (const Layer& layer : layers_) rest_ -= last.layers[layer.name];
}

// Whether the option is what the layer had in the network of these widths.
bool OptionTable::matches(const Layer& layer, const Option& o, unsigned weights, unsigned activations) const {
  const auto one = [&](unsigned Option::*field) {
    return std::all_of(layer.options.begin(), layer.options.end(),
                       [&](const Option& other) { return other.*field == o.*field; });
  };
  return (o.weights_bits == weights || one(&Option::weights_bits)) &&
         (o.activation_bits == activations || one(&Option::activation_bits));
}

Tempering OptionTable::trusting() const {
  return {std::vector<double>(layers_.size(), 1.0), std::vector<double>(layers_.size(), 1.0), 0, 0, 1, {}};
}

Choice OptionTable::uniform(unsigned weights, unsigned activations, unsigned edge_bits) const {
  Choice out;
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    const LayerPlan& plan = net_.plan().layers[nodes_[l]];
    const bool edge = plan.first || plan.last;
    const auto distance = [](unsigned a, unsigned b) { return a > b ? a - b : b - a; };
    const auto rank = [&](const Option& o) {
      return std::pair(distance(o.weights_bits, edge ? edge_bits : weights) +
                           distance(o.activation_bits, edge ? edge_bits : activations),
                       o.cost);
    };
    const std::vector<Option>& options = layers_[l].options;
    out.push_back(
        static_cast<std::size_t>(std::min_element(options.begin(), options.end(),
                                                  [&](const Option& a, const Option& b) { return rank(a) < rank(b); }) -
                                 options.begin()));
  }
  return out;
}

std::vector<OptionTable::Way> OptionTable::ways(const std::vector<std::size_t>& group,
                                                const Tempering& tempering) const {
  if (!tempering.kept.empty() && tempering.kept[group.front()]) {
    Way way;
    for (const std::size_t l : group) {
      if (!tempering.kept[l]) return ways(group, without_kept(tempering));
      way.options.push_back(*tempering.kept[l]);
      way.sum.cost += layers_[l].options[way.options.back()].cost;
    }
    return {way};
  }
  std::vector<Way> all;
  const auto efficient = [](std::vector<Way> from) {
    std::vector<WidthOption> sums;
    for (const Way& w : from) sums.push_back(w.sum);
    std::vector<Way> out;
    for (const std::size_t i : efficient_options(sums)) out.push_back(std::move(from[i]));
    return out;
  };
  for (const unsigned a : activations_) {
    if (a < tempering.least_activations) continue;
    std::vector<Way> list{{}};
    for (const std::size_t l : group) {
      std::vector<std::size_t> fit;
      const std::vector<Option>& options = layers_[l].options;
      for (std::size_t i = 0; i < options.size(); ++i)
        if (options[i].activation_bits == a) fit.push_back(i);
      // Where what is fixed leaves no weights above the floor, all of them.
      const auto above = [&](std::size_t i) { return options[i].weights_bits >= tempering.least_weights; };
      if (std::any_of(fit.begin(), fit.end(), above)) std::erase_if(fit, [&](std::size_t i) { return !above(i); });
      std::vector<Way> longer;
      for (const Way& w : list)
        for (const std::size_t i : fit) {
          Way next = w;
          next.sum.cost += options[i].cost;
          const double sum =
              tempering.weights[l] * options[i].weights_part + tempering.activations[l] * options[i].activations_part;
          next.sum.loss += std::pow(sum, tempering.power);
          next.options.push_back(i);
          longer.push_back(std::move(next));
        }
      list = efficient(std::move(longer));
    }
    all.insert(all.end(), std::make_move_iterator(list.begin()), std::make_move_iterator(list.end()));
  }
  if (all.empty()) {  // because of what is fixed
    if (tempering.least_activations == 0) throw internal_error("layers that share activations of no common width");
    Tempering without = tempering;
    without.least_activations = 0;
    return ways(group, without);
  }
  return efficient(std::move(all));
}

std::optional<Choice> OptionTable::solve(double cost, const Tempering& tempering) const {
  std::vector<std::vector<Way>> all;
  std::vector<std::vector<WidthOption>> sums;
  for (const std::vector<std::size_t>& group : groups_) {
    all.push_back(ways(group, tempering));
    std::vector<WidthOption>& list = sums.emplace_back();
    for (const Way& w : all.back()) list.push_back(w.sum);
  }
  const std::optional<Choice> chosen = choose_options(sums, cost - rest_);
  if (!chosen) return {};
  Choice out(layers_.size(), 0);
  for (std::size_t g = 0; g < groups_.size(); ++g)
    for (std::size_t i = 0; i < groups_[g].size(); ++i) out[groups_[g][i]] = all[g][(*chosen)[g]].options[i];
  return out;
}

Choice OptionTable::cheapest() const {
  Choice out(layers_.size(), 0);
  const Tempering tempering = trusting();
  for (const std::vector<std::size_t>& group : groups_) {
    const Way way = ways(group, tempering).front();
    for (std::size_t i = 0; i < group.size(); ++i) out[group[i]] = way.options[i];
  }
  return out;
}

Choice OptionTable::best() const {
  Choice out(layers_.size(), 0);
  const Tempering tempering = trusting();
  for (const std::vector<std::size_t>& group : groups_) {
    const Way way = ways(group, tempering).back();
    for (std::size_t i = 0; i < group.size(); ++i) out[group[i]] = way.options[i];
  }
  return out;
}

double OptionTable::cost(const Choice& choice) const {
  double sum = rest_;
  for (std::size_t l = 0; l < layers_.size(); ++l) sum += layers_[l].options[choice[l]].cost;
  return sum;
}

double OptionTable::sensitivity(const Choice& choice) const {
  double sum = 0;
  for (std::size_t l = 0; l < layers_.size(); ++l) sum += layers_[l].options[choice[l]].sensitivity;
  return sum;
}

void OptionTable::correct(const Choice& choice, const SessionCost& real) {
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

}  // namespace eqo::quant
