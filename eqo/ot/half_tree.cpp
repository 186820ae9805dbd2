#include "eqo/ot/half_tree.h"

#include <array>
#include <cstddef>

#include "eqo/core/error.h"
#include "eqo/crypto/kernels.h"

namespace eqo {
namespace {

using Pair = std::array<Block, 2>;

void check(unsigned depth, std::size_t base, std::size_t out, std::size_t message) {
  if (depth < 2 || depth > 15 || base != 2 * std::size_t{depth} || out != std::size_t{2} << depth ||
      message + 2 != base)
    throw internal_error("half-tree: buffers of wrong sizes");
}

// What the expansion makes of a node that is 0: both children are this.
Block children_of_zero() {
  Blocks nodes(8);
  Pair sums;
  detail::kernel().half_tree_level(nodes.data(), 4, sums.data());
  return nodes[0];
}

}  // namespace

void half_tree_send(unsigned depth, Block delta, std::span<const Block> base, std::span<Block> out,
                    std::span<Block> message) {
  check(depth, base.size(), out.size(), message.size());
  // The upper nodes stand at the span's beginning; level by level they fill it.
  Pair sums;
  for (std::size_t j = 0; j < 2; ++j) {
    out[j] = base[j];
    out[2 + j] = base[j] ^ delta;
  }
  for (unsigned l = 1; l < depth; ++l) {
    detail::kernel().half_tree_level(out.data(), std::size_t{2} << l, sums.data());
    for (std::size_t j = 0; j < 2; ++j) message[2 * (l - 1) + j] = sums[j] ^ base[2 * l + j];
  }
  explicit_bzero(static_cast<void*>(&sums), sizeof sums);
}

void half_tree_receive(unsigned depth, std::span<const Block> base, std::span<const std::uint8_t> base_choices,
                       std::span<const Block> message, std::span<Block> out, std::span<std::uint8_t> unit) {
  check(depth, base.size(), out.size(), message.size());
  if (base_choices.size() != base.size() || unit.size() != out.size())
    throw internal_error("half-tree: buffers of wrong sizes");
  static const Block garbage = children_of_zero();
  const detail::Kernel& kernel = detail::kernel();
  // The missing node of each level is kept at 0. total: the sum of the level's known nodes.
  std::array<std::uint64_t, 2> place;
  Pair total, sums, left, right;
  for (std::size_t j = 0; j < 2; ++j) {
    const std::uint64_t known = base_choices[j] & 1U;  // the side that is known; the place is on the other one
    place[j] = known ^ 1;
    total[j] = base[j];
    out[j] = masked(known ^ 1, base[j]);
    out[2 + j] = masked(known, base[j]);
  }
  for (unsigned l = 1; l < depth; ++l) {
    const std::size_t n = std::size_t{2} << l;
    kernel.half_tree_level(out.data(), n, sums.data());
    const std::array<std::uint64_t, 2> parent = place;
    for (std::size_t j = 0; j < 2; ++j) {
      const std::uint64_t known = base_choices[2 * l + j] & 1U;
      // From the sender, the sum of all left or of all right children. What is there sums to sums[j] or to total[j] ^
      // sums[j], with `garbage` in the stead of the missing node's sibling: the difference is that node's patch.
      const Block all = message[2 * (l - 1) + j] ^ base[2 * l + j];
      const Block sibling = all ^ sums[j] ^ masked(known, total[j]);
      total[j] ^= sibling ^ garbage;
      // At last the missing node becomes the sum of all others: v ^ Delta.
      const Block missing = garbage ^ masked(l + 1 == depth, total[j]);
      left[j] = missing ^ masked(known ^ 1, missing ^ sibling);
      right[j] = missing ^ masked(known, missing ^ sibling);
      place[j] |= (known ^ 1) << l;
    }
    kernel.patch_nodes(out.data(), n, parent.data(), left.data());
    kernel.patch_nodes(out.data() + n, n, parent.data(), right.data());
  }
  for (std::uint64_t y = 0; y < unit.size() / 2; ++y) {
    for (std::size_t j = 0; j < 2; ++j) unit[2 * y + j] = static_cast<std::uint8_t>(((y ^ place[j]) - 1) >> 63);
  }
  for (Pair* p : {&total, &sums, &left, &right}) explicit_bzero(static_cast<void*>(p), sizeof *p);
  explicit_bzero(place.data(), sizeof place);
}

}  // namespace eqo
