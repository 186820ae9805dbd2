#include "eqo/protocols/carry_plan.h"

#include <algorithm>
#include <string>

#include "eqo/core/error.h"

namespace eqo {
namespace {

void add_leaves(CarryPlan& plan, unsigned from, unsigned to, unsigned leaf_bits) {
  const unsigned width = to - from, count = (width + leaf_bits - 1) / leaf_bits;
  for (unsigned i = 0; i < count; ++i) {
    const unsigned bits = width / count + (i < width % count ? 1 : 0);
    plan.leaves.push_back({from, bits});
    from += bits;
  }
}

// Joins `count` >= 1 more leaves to a spine of some levels: the siblings' sizes at the next levels.
void add_siblings(CarryPlan& plan, unsigned count, unsigned extra) {
  const unsigned below = static_cast<unsigned>(plan.siblings.size());
  const auto capacity = [](unsigned level) { return 1U << std::min(level, 7U); };  // never more than 64 leaves
  unsigned levels = 1;
  while (capacity(below + levels) - capacity(below) < count && levels < count) ++levels;
  levels = std::min(count, levels + extra);
  // The highest levels can hold the most leaves; every level needs one.
  std::vector<unsigned> sizes(levels, 1);
  unsigned left = count - levels;
  for (unsigned i = levels; i-- > 0;) {
    const unsigned room = capacity(below + i) - 1;
    const unsigned take = std::min(left, room);
    sizes[i] += take;
    left -= take;
  }
  plan.siblings.insert(plan.siblings.end(), sizes.begin(), sizes.end());
}

}  // namespace

CarryPlan plan_carry(unsigned bits, std::span<const unsigned> cuts, const CompareOptions& options) {
  if (options.leaf_bits < 1 || options.leaf_bits > 8)
    throw usage_error("leaf_bits must be in 1..8, got " + std::to_string(options.leaf_bits));
  if (options.extra_levels > 8)
    throw usage_error("extra_levels must be in 0..8, got " + std::to_string(options.extra_levels));
  if (bits < 1 || bits > 64) throw usage_error("carry of " + std::to_string(bits) + " bits");
  CarryPlan plan;
  unsigned from = 0;
  const auto segment = [&](unsigned to) {
    const auto before = static_cast<unsigned>(plan.leaves.size());
    add_leaves(plan, from, to, options.leaf_bits);
    const auto added = static_cast<unsigned>(plan.leaves.size()) - before;
    const unsigned joining = before == 0 ? added - 1 : added;  // leaf 0 is the spine's start
    if (joining > 0) {
      // Only the last segment gets the extra levels: below, they would hold up everything above.
      add_siblings(plan, joining, to == bits ? options.extra_levels : 0);
    }
    from = to;
  };
  for (const unsigned cut : cuts) {
    if (cut <= from || cut > bits)
      throw usage_error("carry cut " + std::to_string(cut) + " of " + std::to_string(bits) + " bits");
    segment(cut);
    plan.cut_levels.push_back(static_cast<unsigned>(plan.siblings.size()));
  }
  if (from < bits) segment(bits);
  return plan;
}

std::vector<LevelAnds> level_ands(const CarryPlan& plan) {
  std::vector<LevelAnds> out(plan.levels());
  for (std::size_t level = 0; level < out.size(); ++level) {
    out[level].singles = 1;
    for (unsigned leaves : plan.siblings) {
      for (std::size_t i = 0; i < level; ++i) leaves = (leaves + 1) / 2;
      out[level].pairs += leaves / 2;
    }
  }
  return out;
}

}  // namespace eqo
