#include "eqo/protocols/carry.h"

#include <algorithm>

#include "eqo/protocols/carry_leaves.h"
#include "eqo/protocols/local.h"

namespace eqo {
namespace {

// Cuts at 0 have no node: their carry is 0.
std::vector<unsigned> inner_cuts(std::span<const unsigned> cuts, unsigned bits) {
  std::vector<unsigned> out;
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    if (cuts[i] > bits || (i > 0 && cuts[i] < cuts[i - 1])) throw usage_error("carry: cuts must not decrease");
    if (cuts[i] > 0 && (out.empty() || cuts[i] > out.back())) out.push_back(cuts[i]);
  }
  return out;
}

// A node of the tree lives where its highest leaf's bits were.
struct Tree {
  CarryLeaves leaves;
  std::size_t n;
  std::span<std::uint8_t> lt(std::size_t node) { return std::span(leaves.lt).subspan(node * n, n); }
  std::span<std::uint8_t> eq(std::size_t node) { return std::span(leaves.eq).subspan(node * n, n); }
  // lt = lt_hi ^ (eq_hi & lt_lo), eq = eq_hi & eq_lo; the spine needs no eq.
  AndTerm join(std::size_t hi, std::size_t lo, bool spine) {
    if (spine) return {eq(hi), lt(lo), {}, lt(hi), {}};
    return {eq(hi), lt(lo), eq(lo), lt(hi), eq(hi)};
  }
};

}  // namespace

Carries carry_with_cuts(Context& ctx, unsigned bits, std::span<const unsigned> cuts, std::span<const Word> x,
                        const CompareOptions& options) {
  const std::size_t n = x.size();
  Carries out;
  const std::vector<unsigned> inner = inner_cuts(cuts, bits);
  if (bits == 0 || n == 0) {
    out.top.resize(n);
    out.at_cuts.assign(cuts.size(), Bits(n));
    return out;
  }
  const CarryPlan plan = plan_carry(bits, inner, options);
  Tree tree{compare_leaves(ctx, plan, x, (plan.leaves.size() - 1) * n), n};

  std::vector<std::vector<std::size_t>> siblings;  // nodes of each subtree, from the low end
  std::size_t leaf = 1;
  for (const unsigned size : plan.siblings) {
    siblings.emplace_back();
    for (unsigned i = 0; i < size; ++i) siblings.back().push_back(leaf++);
  }
  std::vector<std::size_t> spine{0};  // its node after each level
  std::size_t used = 0;
  for (std::size_t level = 0; level < plan.levels(); ++level) {
    std::vector<AndTerm> terms{tree.join(siblings[level].front(), spine.back(), true)};
    spine.push_back(siblings[level].front());
    siblings[level].clear();
    for (std::vector<std::size_t>& nodes : siblings) {
      std::vector<std::size_t> next;
      for (std::size_t i = 0; i + 1 < nodes.size(); i += 2) {
        terms.push_back(tree.join(nodes[i + 1], nodes[i], false));
        next.push_back(nodes[i + 1]);
      }
      if (nodes.size() % 2 == 1) next.push_back(nodes.back());
      nodes = std::move(next);
    }
    and_round(ctx, terms, tree.leaves.triples, used);
    used += terms.size() * n;
  }

  const auto copy = [&](std::size_t level) {
    const auto node = tree.lt(spine[level]);
    return Bits(node.begin(), node.end());
  };
  for (const unsigned cut : cuts) {
    const auto at = static_cast<std::size_t>(std::find(inner.begin(), inner.end(), cut) - inner.begin());
    out.at_cuts.push_back(cut == 0 ? Bits(n) : copy(plan.cut_levels[at]));
  }
  out.top = copy(plan.levels());
  return out;
}

void carry_with_cuts_cost(CostMeter& meter, unsigned bits, std::span<const unsigned> cuts, std::uint64_t n,
                          const CompareOptions& options) {
  const std::vector<unsigned> inner = inner_cuts(cuts, bits);
  if (bits == 0 || n == 0) return;
  const CarryPlan plan = plan_carry(bits, inner, options);
  compare_leaves_cost(meter, plan, n, (plan.leaves.size() - 1) * n);
  for (const LevelAnds& level : level_ands(plan)) and_round_cost(meter, level.singles * n, level.pairs * n);
}

Bits carry(Context& ctx, unsigned bits, std::span<const Word> x, const CompareOptions& options) {
  return carry_with_cuts(ctx, bits, {}, x, options).top;
}

void carry_cost(CostMeter& meter, unsigned bits, std::uint64_t n, const CompareOptions& options) {
  carry_with_cuts_cost(meter, bits, {}, n, options);
}

}  // namespace eqo
