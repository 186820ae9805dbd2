#include "eqo/protocols/carry_plan.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string>

#include "eqo/core/error.h"
#include "eqo/protocols/carry_leaves.h"

namespace eqo {
namespace {

constexpr unsigned kMaxBits = 64, kMaxLeaf = 8;
constexpr std::uint64_t kNone = std::numeric_limits<std::uint64_t>::max() / 4;

// The cheapest way to a node over `width` bits: a leaf (split 0), the same as one level earlier (split == width), or
// the join of its low `split` bits and the rest.
struct Best {
  std::uint64_t price = kNone;
  unsigned split = 0;
};
using Table = std::array<std::array<Best, kMaxBits + 1>, kMaxTreeLevels + 1>;  // [level by which it is ready][width]

class Planner {
 public:
  Planner(unsigned bits, std::span<const unsigned> cuts, const CompareOptions& options, unsigned levels)
      : bits_(bits), levels_(levels) {
    // highest_start_[hi]: a leaf or subtree that ends at bit hi starts there or above, or it would straddle a cut.
    unsigned below = 0;
    std::size_t next = 0;
    for (unsigned hi = 1; hi <= bits; ++hi) {
      highest_start_[hi] = below;
      if (next < cuts.size() && cuts[next] == hi) {
        below = hi;
        ++next;
      }
    }
    const std::uint64_t single = join_price(true, options), pair = join_price(false, options);
    for (unsigned w = 1; w <= bits; ++w) {
      if (w <= kMaxLeaf) {
        subtree_[0][w].price = leaf_price(w, false, options);
        if (highest_start_[w] == 0) spine_[0][w].price = leaf_price(w, true, options);
      }
      for (unsigned level = 1; level <= levels_; ++level) {
        Best& sub = subtree_[level][w];
        sub = {subtree_[level - 1][w].price, w};
        for (unsigned low = 1; low < w; ++low) {
          const std::uint64_t price = subtree_[level - 1][low].price + subtree_[level - 1][w - low].price + pair;
          if (price < sub.price) sub = {price, low};
        }
        Best& spine = spine_[level][w];
        spine = {spine_[level - 1][w].price, w};
        for (unsigned low = std::max(1U, highest_start_[w]); low < w; ++low) {
          const std::uint64_t price = spine_[level - 1][low].price + subtree_[level - 1][w - low].price + single;
          if (price < spine.price) spine = {price, low};
        }
      }
    }
  }

  bool possible() const { return spine_[levels_][bits_].price < kNone; }

  CarryPlan plan(std::span<const unsigned> cuts) {
    if (!possible())
      throw usage_error("the cuts of a comparison of " + std::to_string(bits_) + " bits need more than " +
                        std::to_string(levels_) + " tree levels");
    unsigned level = levels_;
    while (level > 0 && spine_[level][bits_].split == bits_) --level;
    plan_.levels.resize(level);
    add_spine(bits_, level);
    for (auto& joins : plan_.levels)
      std::stable_partition(joins.begin(), joins.end(), [](const CarryPlan::Join& j) { return j.spine; });
    for (const unsigned cut : cuts)
      for (unsigned leaf = 0; leaf < plan_.leaves.size(); ++leaf)
        if (plan_.leaves[leaf].offset + plan_.leaves[leaf].bits == cut) plan_.cuts.push_back(leaf);
    return std::move(plan_);
  }

 private:
  // Both return the node. `level`: by which it is ready.
  unsigned add_spine(unsigned width, unsigned level) {
    while (level > 0 && spine_[level][width].split == width) --level;
    if (level == 0) return add_leaf(0, width);
    const unsigned low = spine_[level][width].split;
    const unsigned lo = add_spine(low, level - 1), hi = add_subtree(low, width - low, level - 1);
    plan_.levels[level - 1].push_back({hi, lo, true});
    return hi;
  }
  unsigned add_subtree(unsigned offset, unsigned width, unsigned level) {
    while (level > 0 && subtree_[level][width].split == width) --level;
    if (level == 0) return add_leaf(offset, width);
    const unsigned low = subtree_[level][width].split;
    const unsigned lo = add_subtree(offset, low, level - 1), hi = add_subtree(offset + low, width - low, level - 1);
    plan_.levels[level - 1].push_back({hi, lo, false});
    return hi;
  }
  unsigned add_leaf(unsigned offset, unsigned width) {
    plan_.leaves.push_back({offset, width});
    return plan_.top();
  }

  unsigned bits_, levels_;
  std::array<unsigned, kMaxBits + 1> highest_start_{};
  Table subtree_{}, spine_{};
  CarryPlan plan_;
};

}  // namespace

CarryPlan plan_carry(unsigned bits, std::span<const unsigned> cuts, const CompareOptions& options) {
  if (options.levels < 1 || options.levels > kMaxTreeLevels)
    throw usage_error("tree levels must be in 1..8, got " + std::to_string(options.levels));
  if (options.cot_sixteenths > kMaxCotSixteenths)
    throw usage_error("the price of a COT must be at most 4096 sixteenths, got " +
                      std::to_string(options.cot_sixteenths));
  if (bits < 1 || bits > kMaxBits) throw usage_error("carry of " + std::to_string(bits) + " bits");
  unsigned from = 0;
  for (const unsigned cut : cuts) {
    if (cut <= from || cut > bits)
      throw usage_error("carry cut " + std::to_string(cut) + " of " + std::to_string(bits) + " bits");
    from = cut;
  }
  if (!Planner(bits, {}, options, options.levels).possible())
    throw usage_error("a comparison of " + std::to_string(bits) + " bits needs more than " +
                      std::to_string(options.levels) + " tree levels");
  unsigned levels = options.levels;
  while (!Planner(bits, cuts, options, levels).possible() && levels < kMaxTreeLevels) ++levels;
  return Planner(bits, cuts, options, levels).plan(cuts);
}

std::uint64_t leaf_price(unsigned bits, bool lowest, const CompareOptions& options) {
  const LeafCost cost = leaf_cost(bits, lowest);
  return 16 * cost.bits + cost.cots * options.cot_sixteenths;
}

std::uint64_t join_price(bool spine, const CompareOptions& options) {
  return 16 * (spine ? 4 : 6) + 2 * std::uint64_t{options.cot_sixteenths};
}

std::vector<LevelAnds> level_ands(const CarryPlan& plan) {
  std::vector<LevelAnds> out;
  for (const auto& joins : plan.levels) {
    out.emplace_back();
    for (const CarryPlan::Join& j : joins) ++(j.spine ? out.back().singles : out.back().pairs);
  }
  return out;
}

}  // namespace eqo
