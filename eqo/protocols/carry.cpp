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
  AndTerm join(const CarryPlan::Join& j) {
    if (j.spine) return {eq(j.hi), lt(j.lo), {}, lt(j.hi), {}};
    return {eq(j.hi), lt(j.lo), eq(j.lo), lt(j.hi), eq(j.hi)};
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
  Tree tree{compare_leaves(ctx, plan, options.receiver, x, (plan.leaves.size() - 1) * n), n};
  std::size_t used = 0;
  for (const auto& joins : plan.levels) {
    std::vector<AndTerm> terms;
    for (const CarryPlan::Join& j : joins) terms.push_back(tree.join(j));
    and_round(ctx, terms, tree.leaves.triples, used);
    used += terms.size() * n;
  }

  const auto copy = [&](std::size_t node) {
    const auto bit = tree.lt(node);
    return Bits(bit.begin(), bit.end());
  };
  for (const unsigned cut : cuts) {
    const auto at = static_cast<std::size_t>(std::find(inner.begin(), inner.end(), cut) - inner.begin());
    out.at_cuts.push_back(cut == 0 ? Bits(n) : copy(plan.cuts[at]));
  }
  out.top = copy(plan.top());
  return out;
}

void carry_with_cuts_cost(CostMeter& meter, unsigned bits, std::span<const unsigned> cuts, std::uint64_t n,
                          const CompareOptions& options) {
  const std::vector<unsigned> inner = inner_cuts(cuts, bits);
  if (bits == 0 || n == 0) return;
  const CarryPlan plan = plan_carry(bits, inner, options);
  compare_leaves_cost(meter, plan, options.receiver, n, (plan.leaves.size() - 1) * n);
  for (const LevelAnds& level : level_ands(plan)) and_round_cost(meter, level.singles * n, level.pairs * n);
}

Bits carry(Context& ctx, unsigned bits, std::span<const Word> x, const CompareOptions& options) {
  return carry_with_cuts(ctx, bits, {}, x, options).top;
}

void carry_cost(CostMeter& meter, unsigned bits, std::uint64_t n, const CompareOptions& options) {
  carry_with_cuts_cost(meter, bits, {}, n, options);
}

}  // namespace eqo
