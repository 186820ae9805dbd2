#include "eqo/ot/ferret.h"

#include <algorithm>
#include <cstring>

#include "eqo/core/error.h"
#include "eqo/ot/half_tree.h"
#include "eqo/ot/silent_schedule.h"

namespace eqo {
namespace {

constexpr std::size_t kStep = SilentSchedule::kTreesPerMessage / 2;  // pairs of trees in one message

// Where a pair of trees finds what.
struct Layout {
  explicit Layout(const LpnSet& s) : set(s), pairs(s.trees / 2), leaves(2 * s.tree_leaves()) {}
  const LpnSet& set;
  std::size_t pairs, leaves;

  std::size_t base(std::size_t pair) const { return set.dimension() + pair * 2 * set.depth; }
  std::size_t base_size() const { return std::size_t{2} * set.depth; }
  std::size_t message_size() const { return base_size() - 2; }
  detail::CodeRows rows(std::uint64_t row, std::size_t pair) const {
    return {set.stream, row + pair * leaves, set.log_k};
  }
};

void check(const LpnSet& set, std::size_t seeds, std::size_t out) {
  if (set.trees % 2 != 0 || seeds != set.seeds() || out != set.outputs())
    throw internal_error("silent OT: buffers of wrong sizes");
}

// body(pair) for the pairs of one message, first pair and their number.
template <typename F>
void for_pairs(ThreadPool& threads, std::size_t first, std::size_t n, const F& body) {
  threads.parallel_for(n, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) body(first + i);
  });
}

}  // namespace

void ferret_send(const LpnSet& set, std::uint64_t row, Block delta, std::span<const Block> seeds, std::span<Block> out,
                 ThreadPool& threads, const SendMessage& send) {
  check(set, seeds.size(), out.size());
  const Layout at(set);
  Blocks message(std::min(kStep, at.pairs) * at.message_size());
  for (std::size_t first = 0; first < at.pairs; first += kStep) {
    const std::size_t n = std::min(kStep, at.pairs - first);
    for_pairs(threads, first, n, [&](std::size_t pair) {
      const std::span<Block> leaves = out.subspan(pair * at.leaves, at.leaves);
      half_tree_send(set.depth, delta, seeds.subspan(at.base(pair), at.base_size()), leaves,
                     std::span(message).subspan((pair - first) * at.message_size(), at.message_size()));
      detail::kernel().encode(at.rows(row, pair), seeds.data(), leaves.size(), leaves.data());
    });
    send(std::as_bytes(std::span(message).first(n * at.message_size())));
  }
}

void ferret_receive(const LpnSet& set, std::uint64_t row, std::span<const Block> seeds,
                    std::span<const std::uint8_t> seed_choices, std::span<Block> out, std::span<std::uint8_t> choices,
                    ThreadPool& threads, const ReceiveMessage& receive) {
  check(set, seeds.size(), out.size());
  check(set, seed_choices.size(), choices.size());
  const Layout at(set);
  Bits table(set.dimension() * detail::kCodeEntryBytes);
  for (std::size_t i = 0; i < set.dimension(); ++i) {
    std::uint8_t* const entry = table.data() + i * detail::kCodeEntryBytes;
    std::memcpy(entry, &seeds[i], sizeof(Block));
    entry[sizeof(Block)] = seed_choices[i];
  }
  Blocks message(std::min(kStep, at.pairs) * at.message_size());
  for (std::size_t first = 0; first < at.pairs; first += kStep) {
    const std::size_t n = std::min(kStep, at.pairs - first);
    receive(std::as_writable_bytes(std::span(message).first(n * at.message_size())));
    for_pairs(threads, first, n, [&](std::size_t pair) {
      const std::span<Block> leaves = out.subspan(pair * at.leaves, at.leaves);
      const std::span<std::uint8_t> unit = choices.subspan(pair * at.leaves, at.leaves);
      half_tree_receive(
          set.depth, seeds.subspan(at.base(pair), at.base_size()), seed_choices.subspan(at.base(pair), at.base_size()),
          std::span(message).subspan((pair - first) * at.message_size(), at.message_size()), leaves, unit);
      detail::kernel().encode_with_bits(at.rows(row, pair), table.data(), leaves.size(), leaves.data(), unit.data());
    });
  }
}

}  // namespace eqo
