#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "eqo/protocols/compare_options.h"

namespace eqo {

// How the comparison of two numbers of `bits` bits is done: public, from public parameters alone, the same for every
// element. Leaves are numbered from the low end, and a node of the tree goes by its highest leaf. The tree is a spine
// that grows upwards from leaf 0, one subtree a level: every spine node is the carry out of a low part of the number,
// and combining along the spine takes one AND instead of two.
struct CarryPlan {
  struct Leaf {
    unsigned offset = 0, bits = 0;  // bits [offset, offset + bits)
  };
  struct Join {
    unsigned hi = 0, lo = 0;  // two nodes become one, which goes by `hi`
    bool spine = false;       // lo is the spine: one AND
  };
  std::vector<Leaf> leaves;
  std::vector<std::vector<Join>> levels;  // of each level; the spine's join is its first
  std::vector<unsigned> cuts;             // the spine node at each cut
  unsigned top() const { return static_cast<unsigned>(leaves.size()) - 1; }
};

// The cheapest such plan with at most options.levels levels, by dynamic programming over uneven leaves of 1 to 8 bits
// and all shapes of the subtrees; among equally cheap ones one with the fewest levels. A cut s (1 <= s <= bits,
// increasing) asks for the carry out of the low s bits: leaves and subtrees do not straddle it.
// bits is 1..64. If the cuts of a wide number need more levels than allowed, the plan has as few more as possible: one
// for one cut. Throws usage_error for options or cuts out of range, and if `bits` alone need more.
CarryPlan plan_carry(unsigned bits, std::span<const unsigned> cuts, const CompareOptions& options);

// The price that plan_carry minimises, in 1/16 bits: what crosses the wire and what making the COTs costs.
std::uint64_t leaf_price(unsigned bits, bool lowest, const CompareOptions& options);
std::uint64_t join_price(bool spine, const CompareOptions& options);

// The ANDs of one level.
struct LevelAnds {
  std::uint64_t singles = 0, pairs = 0;
};
std::vector<LevelAnds> level_ands(const CarryPlan& plan);

}  // namespace eqo
