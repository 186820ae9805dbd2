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
  std::span<std::uint8_t> carry(std::size_t node) { return std::span(leaves.carry).subspan(node * n, n); }
  std::span<std::uint8_t> propagate(std::size_t node) { return std::span(leaves.propagate).subspan(node * n, n); }
  // carry = hi ^ p_hi (lo ^ hi), propagate = p_hi p_lo, which the spine does not need. What is below is used up.
  AndTerm join(Context& ctx, const CarryPlan::Join& j) {
    const auto hi = carry(j.hi), lo = carry(j.lo);
    for_each_index(ctx, n, [&](std::size_t i) { lo[i] = static_cast<std::uint8_t>(lo[i] ^ hi[i]); });
    if (j.spine) return {propagate(j.hi), lo, {}, hi, {}};
    return {propagate(j.hi), lo, propagate(j.lo), hi, propagate(j.hi)};
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
  std::vector<Bits> at_cut(plan.cuts.size());
  const auto copy = [&](std::size_t node) {
    const auto bit = tree.carry(node);
    return Bits(bit.begin(), bit.end());
  };
  std::size_t used = 0;
  for (const auto& joins : plan.levels) {
    std::vector<AndTerm> terms;
    for (const CarryPlan::Join& j : joins) {
      const auto cut = std::find(plan.cuts.begin(), plan.cuts.end(), j.lo);
      if (cut != plan.cuts.end()) at_cut[static_cast<std::size_t>(cut - plan.cuts.begin())] = copy(j.lo);
      terms.push_back(tree.join(ctx, j));
    }
    and_round(ctx, terms, tree.leaves.triples, used);
    used += terms.size() * n;
  }

  out.top = copy(plan.top());
  for (const unsigned cut : cuts) {
    const auto k = static_cast<std::size_t>(std::find(inner.begin(), inner.end(), cut) - inner.begin());
    out.at_cuts.push_back(cut == 0 ? Bits(n) : cut == bits ? out.top : at_cut[k]);
  }
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
