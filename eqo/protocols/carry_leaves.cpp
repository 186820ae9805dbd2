#include "eqo/protocols/carry_leaves.h"

#include <algorithm>
#include <memory>
#include <variant>
#include <vector>

#include "eqo/core/bits.h"
#include "eqo/core/ct.h"
#include "eqo/ot/one_of_many.h"
#include "eqo/ot/ring_cot.h"
#include "eqo/protocols/local.h"

namespace eqo {
namespace {

constexpr std::uint64_t kBlockEntries = std::uint64_t{1} << 18;  // table entries of one message

// OTs of one kind, one behind the other in the order leaf * n + element.
struct LeafBlock {
  std::uint64_t first = 0, count = 0;
  unsigned m = 1;  // bits of the leaf
  unsigned w = 2;  // bits of an entry: less-than, equal; less-than alone in the lowest leaf
  bool private_and() const { return m == 1; }
  std::uint64_t choice_bytes() const { return packed_bytes(count * m, 1); }
  std::uint64_t table_bytes() const { return private_and() ? packed_bytes(count, 1) : packed_bytes(count << m, w); }
};

std::vector<LeafBlock> leaf_blocks(const CarryPlan& plan, std::uint64_t n) {
  std::vector<LeafBlock> out;
  const auto width = [&](std::size_t leaf) { return leaf == 0 ? 1U : 2U; };
  for (std::size_t leaf = 0; leaf < plan.leaves.size();) {
    std::size_t end = leaf + 1;
    while (end < plan.leaves.size() && plan.leaves[end].bits == plan.leaves[leaf].bits && width(end) == width(leaf))
      ++end;
    const unsigned m = plan.leaves[leaf].bits;
    const std::uint64_t last = end * n, step = kBlockEntries >> m;
    for (std::uint64_t first = leaf * n; first < last; first += step)
      out.push_back({first, std::min(step, last - first), m, width(leaf)});
    leaf = end;
  }
  return out;
}

// Own digits of all leaves: the receiver's of its number, the sender's of its number's complement.
Bits digits(Context& ctx, const CarryPlan& plan, std::span<const Word> x, bool complement) {
  const std::size_t n = x.size();
  const Word flip = complement ? ~Word{0} : Word{0};
  Bits out(plan.leaves.size() * n);
  ctx.threads.parallel_for(n, kLoopGrain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t leaf = 0; leaf < plan.leaves.size(); ++leaf) {
      const unsigned offset = plan.leaves[leaf].offset;
      const Word mask = Ring(plan.leaves[leaf].bits).mask();
      std::uint8_t* digit = out.data() + leaf * n;
      for (std::size_t i = begin; i < end; ++i) digit[i] = static_cast<std::uint8_t>(((x[i] ^ flip) >> offset) & mask);
    }
  });
  return out;
}

// A leaf of one bit: a < b is (not a) and b, an AND of private bits; a == b is (not a) xor b, already shared.
void share_equal_bits(const LeafBlock& block, std::span<const std::uint8_t> digit, std::uint8_t flip, Bits& eq) {
  for (std::uint64_t i = block.first; i < block.first + block.count; ++i)
    eq[i] = static_cast<std::uint8_t>(digit[i] ^ flip);
}

using Receiver = std::variant<std::unique_ptr<OneOfManyReceiver>, std::unique_ptr<RingCotReceiver>>;

CarryLeaves receive(Context& ctx, std::span<const LeafBlock> blocks, Bits digit, std::size_t triples) {
  std::vector<Receiver> receivers;
  for (const LeafBlock& b : blocks) {
    const auto choices = std::span<const std::uint8_t>(digit).subspan(b.first, b.count);
    if (b.private_and()) {
      receivers.emplace_back(std::make_unique<RingCotReceiver>(ctx, Ring(1), choices));
    } else {
      receivers.emplace_back(std::make_unique<OneOfManyReceiver>(ctx, b.m, b.w, choices));
    }
  }
  CarryLeaves out{Bits(digit.size()), Bits(digit.size()), make_and_triples(ctx, triples)};
  for (std::size_t k = 0; k < blocks.size(); ++k) {
    const LeafBlock& b = blocks[k];
    const Words got = std::visit([](auto& r) { return r->finish(); }, receivers[k]);
    receivers[k] = {};  // wiped and freed
    std::uint8_t* lt = out.lt.data() + b.first;
    std::uint8_t* eq = out.eq.data() + b.first;
    for_each_index(ctx, b.count, [&got, lt, eq](std::size_t i) {
      lt[i] = static_cast<std::uint8_t>(got[i] & 1);
      eq[i] = static_cast<std::uint8_t>((got[i] >> 1) & 1);
    });
    if (b.private_and()) share_equal_bits(b, digit, 0, out.eq);
  }
  return out;
}

// What the client with digit v gets: entry v of an element's table, [a < v] and (w = 2) above it [a == v], masked by
// the server's shares (out.lt, out.eq). In one word, entry v is its bits [v w, (v + 1) w).
Words word_tables(Context& ctx, const LeafBlock& b, const Bits& digit, const CarryLeaves& out) {
  const Word all = Ring((1U << b.m) * b.w).mask();
  const Word low = b.w == 2 ? all / 3 : all;  // the entries' lowest bits
  const Word high = all ^ low;
  Words t(b.count);
  for_each_index(
      ctx, b.count,
      [&, a = digit.data() + b.first, lt = out.lt.data() + b.first, eq = out.eq.data() + b.first](std::size_t i) {
        // A shift takes the same time for any count.
        const unsigned at = a[i] * b.w;
        const Word less = low << at << b.w, equal = (Word{2} << at) & high;
        t[i] = ((less & low) | equal) ^ (ct::mask_from_bit(lt[i]) & low) ^ (ct::mask_from_bit(eq[i]) & high);
      });
  return t;
}

// The same, a word an entry.
Words entry_tables(Context& ctx, const LeafBlock& b, const Bits& digit, const CarryLeaves& out) {
  const std::size_t rows = std::size_t{1} << b.m;
  const Word with_eq = b.w == 2 ? 2 : 0;
  Words t(b.count * rows);
  ctx.threads.parallel_for(b.count, 1024, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const Word a = digit[b.first + i];
      const Word share = out.lt[b.first + i] | (Word{out.eq[b.first + i]} << 1 & with_eq);
      Word* row = t.data() + i * rows;
      for (Word v = 0; v < rows; ++v) {
        const Word less = (a - v) >> 63, equal = ((a ^ v) - 1) >> 63;
        row[v] = share ^ less ^ (equal << 1 & with_eq);
      }
    }
  });
  return t;
}

CarryLeaves transfer(Context& ctx, std::span<const LeafBlock> blocks, Bits digit, std::size_t triples) {
  CarryLeaves out{Bits(digit.size()), Bits(digit.size()), {}};
  ctx.prg.fill_bits(out.lt);
  ctx.prg.fill_bits(out.eq);
  for (const LeafBlock& b : blocks) {
    if (!b.private_and()) {
      if (b.w << b.m <= 64) {
        one_of_many_transfer_tables(ctx, b.m, b.w, word_tables(ctx, b, digit, out));
      } else {
        one_of_many_transfer(ctx, b.m, b.w, entry_tables(ctx, b, digit, out));
      }
      continue;
    }
    Words not_a(b.count);
    for_each_index(ctx, b.count, [&](std::size_t i) { not_a[i] = Word{digit[b.first + i]} ^ 1; });
    const Words share = ring_cot_transfer(ctx, Ring(1), not_a);
    for_each_index(ctx, b.count, [&](std::size_t i) { out.lt[b.first + i] = static_cast<std::uint8_t>(share[i]); });
    share_equal_bits(b, digit, 1, out.eq);
  }
  out.triples = make_and_triples(ctx, triples);
  return out;
}

}  // namespace

CarryLeaves compare_leaves(Context& ctx, const CarryPlan& plan, Party receiver, std::span<const Word> x,
                           std::size_t triples) {
  const std::vector<LeafBlock> blocks = leaf_blocks(plan, x.size());
  const bool receives = ctx.party == receiver;
  Bits own = digits(ctx, plan, x, !receives);
  return receives ? receive(ctx, blocks, std::move(own), triples) : transfer(ctx, blocks, std::move(own), triples);
}

void compare_leaves_cost(CostMeter& meter, const CarryPlan& plan, Party receiver, std::uint64_t n,
                         std::uint64_t triples) {
  const std::vector<LeafBlock> blocks = leaf_blocks(plan, n);
  for (const LeafBlock& b : blocks) {
    meter.cots(other(receiver), b.count * b.m);
    meter.send(receiver, b.choice_bytes());
  }
  for (const LeafBlock& b : blocks) meter.send(other(receiver), b.table_bytes());
  and_triples_cost(meter, triples);
}

}  // namespace eqo
