#include "eqo/quantizer/scale_solver.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <random>

#include "eqo/core/error.h"

namespace eqo::quant {
namespace {

constexpr int kStarts = 12;
constexpr int kSweeps = 20;

std::size_t at(int i) { return static_cast<std::size_t>(i); }

// A curve evaluated at 2^(phase[plus] - phase[minus] + offset + integer).
struct Term {
  const StepCurve* curve = nullptr;
  std::size_t plus = 0, minus = 0;
  bool has_minus = false;
  double offset = 0;
};

StepCurve sum_of(const StepCurve& a, const StepCurve& b) {
  StepCurve out;
  out.first = std::min(a.first, b.first);
  const int last = std::max(a.first + static_cast<int>(a.cost.size()), b.first + static_cast<int>(b.cost.size())) - 1;
  const auto value = [](const StepCurve& c, int i) {  // beyond its ends a curve goes on with its last value
    return c.cost[static_cast<std::size_t>(std::clamp(i - c.first, 0, static_cast<int>(c.cost.size()) - 1))];
  };
  for (int i = out.first; i <= last; ++i) out.cost.push_back(value(a, i) + value(b, i));
  return out;
}

// Sets of activations that end in one concatenation and can have equal steps: each is costed as one.
std::vector<std::vector<int>> equal_steps(const FloatGraph& graph, const GraphPlan& plan, const ScaleGroups& groups) {
  const std::size_t n = graph.nodes.size();
  std::vector<int> leader(n);
  std::iota(leader.begin(), leader.end(), 0);
  const auto find = [&](int t) {
    while (leader[at(t)] != t) t = leader[at(t)] = leader[at(leader[at(t)])];
    return t;
  };
  // The first activation that a tensor is made of without arithmetic; every other one is already joined with it.
  std::vector<int> source(n, -1);
  for (std::size_t i = 0; i < n; ++i) {
    const FloatNode& node = graph.nodes[i];
    if (plan.tensors[i].requantize) source[i] = static_cast<int>(i);
    if (plan.tensors[i].requantize || !is_passive(node.op) || node.op == FloatOp::kAvgPool) continue;
    for (const int in : node.inputs) {
      const int s = source[at(in)];
      if (s < 0) continue;
      if (source[i] < 0) source[i] = s;
      if (groups.ratio(s) == groups.ratio(source[i])) leader[at(find(s))] = find(source[i]);
    }
  }
  std::map<int, std::vector<int>> sets;
  for (std::size_t i = 0; i < n; ++i)
    if (plan.tensors[i].requantize) sets[find(static_cast<int>(i))].push_back(static_cast<int>(i));
  std::vector<std::vector<int>> out;
  for (auto& [unused, members] : sets) out.push_back(std::move(members));
  return out;
}

class Descent {
 public:
  Descent(std::vector<Term> terms, std::size_t groups) : terms_(std::move(terms)), touching_(groups) {
    for (std::size_t i = 0; i < terms_.size(); ++i) {
      touching_[terms_[i].plus].push_back(i);
      if (terms_[i].has_minus && terms_[i].minus != terms_[i].plus) touching_[terms_[i].minus].push_back(i);
    }
  }

  double run(std::vector<int>& phase) const {
    for (int sweep = 0; sweep < kSweeps; ++sweep) {
      bool changed = false;
      for (std::size_t g = 0; g < touching_.size(); ++g) {
        const int before = phase[g];
        int best = before;
        double least = cost_around(phase, g);
        for (int p = 0; p < kStepsPerOctave; ++p) {
          phase[g] = p;
          const double c = cost_around(phase, g);
          if (c < least) {
            least = c;
            best = p;
          }
        }
        phase[g] = best;
        changed |= best != before;
      }
      if (!changed) break;
    }
    double total = 0;
    for (const Term& t : terms_) total += choice(t, phase).cost;
    return total;
  }

  static StepCurve::Choice choice(const Term& t, const std::vector<int>& phase) {
    double x = phase[t.plus];
    if (t.has_minus) x -= phase[t.minus];
    return t.curve->best(x / kStepsPerOctave + t.offset);
  }

 private:
  double cost_around(const std::vector<int>& phase, std::size_t group) const {
    double sum = 0;
    for (const std::size_t i : touching_[group]) sum += choice(terms_[i], phase).cost;
    return sum;
  }

  std::vector<Term> terms_;
  std::vector<std::vector<std::size_t>> touching_;
};

std::vector<int> best_phases(const std::vector<Term>& terms, std::size_t groups, std::uint64_t seed) {
  const Descent descent(terms, groups);
  std::mt19937_64 random(seed);
  std::vector<int> best;
  double least = std::numeric_limits<double>::infinity();
  for (int start = 0; start < kStarts; ++start) {
    std::vector<int> phase(groups, 0);
    if (start > 0)
      for (int& p : phase) p = static_cast<int>(random() % kStepsPerOctave);
    const double cost = descent.run(phase);
    if (best.empty() || cost < least) {
      least = cost;
      best = phase;
    }
  }
  return best;
}

}  // namespace

Scales solve_scales(const FloatGraph& graph, const GraphPlan& plan, const ScaleGroups& groups, const ScaleCosts& costs,
                    std::uint64_t seed) {
  const std::size_t n = graph.nodes.size();
  std::vector<Term> terms;
  for (std::size_t i = 0; i < n; ++i) {
    const FloatNode& node = graph.nodes[i];
    const int t = static_cast<int>(i);
    if (is_linear(node.op)) {
      const int in = node.inputs[0];
      const double offset = std::log2(groups.ratio(t)) - std::log2(groups.ratio(in));
      terms.push_back({&costs.weight[i].value(), groups.group(t), groups.group(in), true, offset});
    }
    if (node.op == FloatOp::kInput)
      terms.push_back({&costs.activation[i].value(), groups.group(t), 0, false, std::log2(groups.ratio(t))});
  }
  const std::vector<std::vector<int>> sets = equal_steps(graph, plan, groups);
  std::vector<StepCurve> curves;
  for (const auto& set : sets) {
    StepCurve sum = costs.activation[at(set[0])].value();
    for (std::size_t m = 1; m < set.size(); ++m) sum = sum_of(sum, costs.activation[at(set[m])].value());
    curves.push_back(std::move(sum));
  }
  const std::size_t first_set = terms.size();
  for (std::size_t s = 0; s < sets.size(); ++s)
    terms.push_back({&curves[s], groups.group(sets[s][0]), 0, false, std::log2(groups.ratio(sets[s][0]))});

  const std::vector<int> phase = best_phases(terms, groups.count(), seed);
  Scales scales;
  scales.activation.assign(n, 0.0);
  scales.weight.assign(n, 0.0);
  for (const int p : phase) scales.base.push_back(std::exp2(static_cast<double>(p) / kStepsPerOctave));
  // base * ratio * 2^k nearest to the wanted step; exact, so that all steps of a group are exact multiples.
  const auto scale_near = [&](int t, double log2_step) {
    const double unit = scales.base[groups.group(t)] * groups.ratio(t);
    return std::ldexp(unit, static_cast<int>(std::lround(log2_step - std::log2(unit))));
  };
  std::size_t term = 0;
  for (std::size_t i = 0; i < n; ++i)
    if (graph.nodes[i].op == FloatOp::kInput)
      scales.activation[i] = scale_near(static_cast<int>(i), Descent::choice(terms[term++], phase).log2_step);
    else if (is_linear(graph.nodes[i].op))
      scales.weight[i] = std::exp2(Descent::choice(terms[term++], phase).log2_step);
  for (std::size_t s = 0; s < sets.size(); ++s) {
    const double step = Descent::choice(terms[first_set + s], phase).log2_step;
    for (const int t : sets[s]) scales.activation[at(t)] = scale_near(t, step);
  }
  return scales;
}

}  // namespace eqo::quant
