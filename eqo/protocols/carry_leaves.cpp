#include "eqo/protocols/carry_leaves.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "eqo/core/bits.h"
#include "eqo/ot/bit_products.h"
#include "eqo/ot/one_of_many.h"
#include "eqo/protocols/local.h"

namespace eqo {
namespace {

constexpr std::uint64_t kBlockWords = std::uint64_t{1} << 18;  // of tables in memory at once

// Leaves by what they need, in the order in which their products and tables are made.
struct Kinds {
  std::vector<std::size_t> one, two, table;  // all but leaf 0; `table`: of three bits and more
  bool low_product = false;                  // leaf 0 is of one bit
  std::size_t cots = 0, pairs = 0;           // of bit products, per element

  explicit Kinds(const CarryPlan& plan) : low_product(plan.leaves[0].bits == 1) {
    for (std::size_t j = 1; j < plan.leaves.size(); ++j) {
      const unsigned m = plan.leaves[j].bits;
      (m == 1 ? one : m == 2 ? two : table).push_back(j);
    }
    pairs = two.size();
    cots = 2 * two.size() + (low_product ? 1 : 0) + table.size();
  }
  bool any_table() const { return !low_product || !table.empty(); }
  // Bit products, in vectors of n: B1 A1 of the leaves of two bits, then their B0 A1, that of leaf 0, B0 p of the
  // leaves with a table; last, as the second products of the first ones, B1 A0.
  std::size_t high(std::size_t k) const { return k; }
  std::size_t cross(std::size_t k) const { return two.size() + k; }
  std::size_t low() const { return 2 * two.size(); }
  std::size_t of_table(std::size_t k) const { return 2 * two.size() + (low_product ? 1 : 0) + k; }
  std::size_t second(std::size_t k) const { return cots + k; }
};

// OTs of some elements of one leaf.
struct TableBlock {
  std::size_t leaf = 0, k = 0;  // k: the leaf's place in Kinds::table
  std::uint64_t first = 0, count = 0;
  unsigned m = 1, w = 1;  // of the OT
  bool lowest() const { return leaf == 0; }
  bool one_word() const { return w << m <= 64; }
};

std::vector<TableBlock> table_blocks(const CarryPlan& plan, const Kinds& kinds, std::uint64_t n) {
  std::vector<TableBlock> out;
  const auto add = [&](TableBlock b) {
    const std::uint64_t step = b.one_word() ? kBlockWords : kBlockWords >> b.m;
    for (b.first = 0; b.first < n; b.first += step) {
      b.count = std::min(step, n - b.first);
      out.push_back(b);
    }
  };
  if (!kinds.low_product) add({0, 0, 0, 0, plan.leaves[0].bits, 1});
  for (std::size_t k = 0; k < kinds.table.size(); ++k)
    add({kinds.table[k], k, 0, 0, plan.leaves[kinds.table[k]].bits - 1, 3});
  return out;
}

class Leaves {
 public:
  Leaves(Context& ctx, const CarryPlan& plan, std::span<const Word> x)
      : ctx_(ctx),
        plan_(plan),
        kinds_(plan),
        n_(x.size()),
        blocks_(table_blocks(plan, kinds_, n_)),
        digits_(plan.leaves.size() * n_) {
    out_.carry.resize(digits_.size());
    out_.propagate.resize(digits_.size());
    ctx.threads.parallel_for(n_, kLoopGrain, [&](std::size_t begin, std::size_t end) {
      for (std::size_t leaf = 0; leaf < plan.leaves.size(); ++leaf) {
        const unsigned offset = plan.leaves[leaf].offset;
        const Word mask = Ring(plan.leaves[leaf].bits).mask();
        std::uint8_t* digit = at(digits_, leaf);
        for (std::size_t i = begin; i < end; ++i) digit[i] = static_cast<std::uint8_t>((x[i] >> offset) & mask);
      }
    });
  }

  CarryLeaves receive(std::size_t triples) {
    Bits choices(kinds_.cots * n_);
    const auto set = [&](std::size_t vector, std::size_t leaf, unsigned bit) {
      for_each_index(ctx_, n_, [out = at(choices, vector), d = at(digits_, leaf), bit](std::size_t i) {
        out[i] = static_cast<std::uint8_t>((d[i] >> bit) & 1);
      });
    };
    for (std::size_t k = 0; k < kinds_.two.size(); ++k) {
      set(kinds_.high(k), kinds_.two[k], 1);
      set(kinds_.cross(k), kinds_.two[k], 0);
    }
    if (kinds_.low_product) set(kinds_.low(), 0, 0);
    for (std::size_t k = 0; k < kinds_.table.size(); ++k) set(kinds_.of_table(k), kinds_.table[k], 0);
    BitProductReceiver products(ctx_, choices, kinds_.pairs * n_);

    std::vector<std::unique_ptr<OneOfManyReceiver>> tables;
    for (const TableBlock& b : blocks_) {
      Bits own(b.count);
      const std::uint8_t* digit = at(digits_, b.leaf) + b.first;
      const unsigned skip = b.lowest() ? 0 : 1;
      for (std::size_t i = 0; i < b.count; ++i) own[i] = static_cast<std::uint8_t>(digit[i] >> skip);
      tables.push_back(std::make_unique<OneOfManyReceiver>(ctx_, b.m, b.w, own));
    }
    out_.triples = make_and_triples(ctx_, triples);
    Bits p(kinds_.table.size() * n_);
    for (std::size_t j = 0; j < blocks_.size(); ++j) {
      take_shares(blocks_[j], tables[j]->finish_shares(), at(p, blocks_[j].k));
      tables[j].reset();  // wiped and freed
    }
    const Bits product = products.finish();
    combine(product, true);
    for (std::size_t k = 0; k < kinds_.table.size(); ++k)
      add_low(kinds_.table[k], [b0 = at(choices, kinds_.of_table(k)), p = at(p, k)](std::size_t i) {
        return static_cast<std::uint8_t>(b0[i] & p[i]);
      });
    return std::move(out_);
  }

  CarryLeaves transfer(std::size_t triples) {
    BitProductSender products(ctx_, kinds_.cots * n_, kinds_.pairs * n_);
    if (kinds_.any_table()) products.receive();
    Bits u((kinds_.cots + kinds_.pairs) * n_);
    for (const TableBlock& b : blocks_) {
      const Words share = b.one_word() ? one_of_many_shares_of_tables(ctx_, b.m, b.w, word_tables(b))
                                       : one_of_many_shares(ctx_, b.m, b.w, entry_tables(b));
      take_shares(b, share, b.lowest() ? nullptr : at(u, kinds_.of_table(b.k)));
    }
    const auto set = [&](std::size_t vector, std::size_t leaf, unsigned bit) {
      for_each_index(ctx_, n_, [out = at(u, vector), d = at(digits_, leaf), bit](std::size_t i) {
        out[i] = static_cast<std::uint8_t>((d[i] >> bit) & 1);
      });
    };
    for (std::size_t k = 0; k < kinds_.two.size(); ++k) {
      set(kinds_.high(k), kinds_.two[k], 1);
      set(kinds_.cross(k), kinds_.two[k], 1);
      set(kinds_.second(k), kinds_.two[k], 0);
    }
    if (kinds_.low_product) set(kinds_.low(), 0, 0);
    products.send(u);
    out_.triples = make_and_triples(ctx_, triples);
    if (!kinds_.any_table()) products.receive();
    combine(products.finish(), false);
    return std::move(out_);
  }

 private:
  std::uint8_t* at(Bits& v, std::size_t vector) const { return v.data() + vector * n_; }
  const std::uint8_t* at(const Bits& v, std::size_t vector) const { return v.data() + vector * n_; }

  // The shares from the tables: c, and p A0 as the beginning of `propagate`; p is kept apart.
  void take_shares(const TableBlock& b, const Words& share, std::uint8_t* p) {
    std::uint8_t* carry = at(out_.carry, b.leaf) + b.first;
    if (b.lowest()) {
      for_each_index(ctx_, b.count, [&](std::size_t i) { carry[i] = static_cast<std::uint8_t>(share[i]); });
      return;
    }
    std::uint8_t* propagate = at(out_.propagate, b.leaf) + b.first;
    for_each_index(ctx_, b.count, [&, to = p + b.first](std::size_t i) {
      carry[i] = static_cast<std::uint8_t>(share[i] & 1);
      to[i] = static_cast<std::uint8_t>((share[i] >> 1) & 1);
      propagate[i] = static_cast<std::uint8_t>((share[i] >> 2) & 1);
    });
  }

  // carry ^= f(i), propagate ^= f(i): of p B0.
  template <typename F>
  void add_low(std::size_t leaf, F f) {
    for_each_index(ctx_, n_, [carry = at(out_.carry, leaf), propagate = at(out_.propagate, leaf), f](std::size_t i) {
      carry[i] = static_cast<std::uint8_t>(carry[i] ^ f(i));
      propagate[i] = static_cast<std::uint8_t>(propagate[i] ^ f(i));
    });
  }

  // What the products and the own digits give.
  void combine(const Bits& product, bool receiver) {
    for (const std::size_t leaf : kinds_.one) {
      std::copy_n(at(digits_, leaf), n_, at(out_.propagate, leaf));
      if (receiver) std::copy_n(at(digits_, leaf), n_, at(out_.carry, leaf));
    }
    if (kinds_.low_product) std::copy_n(at(product, kinds_.low()), n_, at(out_.carry, 0));
    for (std::size_t k = 0; k < kinds_.two.size(); ++k) {
      const std::size_t leaf = kinds_.two[k];
      // Own products: the receiver's B1 B0 belongs to both, the sender's A1 A0 to `propagate` alone.
      const std::uint8_t in_carry = receiver ? 1 : 0;
      for_each_index(ctx_, n_,
                     [=, d = at(digits_, leaf), high = at(product, kinds_.high(k)),
                      cross = at(product, kinds_.cross(k)), low = at(product, kinds_.second(k)),
                      carry = at(out_.carry, leaf), propagate = at(out_.propagate, leaf)](std::size_t i) {
                       const unsigned own = (d[i] >> 1) & d[i] & 1U;
                       carry[i] = static_cast<std::uint8_t>(high[i] ^ cross[i] ^ (own & in_carry));
                       propagate[i] = static_cast<std::uint8_t>(low[i] ^ cross[i] ^ own);
                     });
    }
    for (std::size_t k = 0; k < kinds_.table.size(); ++k)
      add_low(kinds_.table[k], [b = at(product, kinds_.of_table(k))](std::size_t i) { return b[i]; });
  }

  // What the receiver with the digit v gets; a carry iff v is greater than the own digit's complement `a`, a propagate
  // iff they are equal. Entry v of a table is its bits [v w, (v + 1) w): the carry, above it p and p A0.
  Words word_tables(const TableBlock& b) const {
    const unsigned w = b.w, skip = b.lowest() ? 0 : 1;
    const auto top = static_cast<unsigned>(Ring(b.m).mask());
    Word carries = 0;  // the entries' lowest bits
    for (unsigned v = 0; v <= top; ++v) carries |= Word{1} << (v * w);
    const Word with_p = b.lowest() ? 0 : 1;
    Words t(b.count);
    for_each_index(ctx_, b.count, [=, &t, d = at(digits_, b.leaf) + b.first](std::size_t i) {
      // A shift takes the same time for any count.
      const unsigned shift = (top ^ (d[i] >> skip)) * w;
      const Word equal = with_p << 1 | (with_p & d[i]) << 2;
      t[i] = (carries << shift << w & carries) | equal << shift;
    });
    return t;
  }

  // The same, a word an entry.
  Words entry_tables(const TableBlock& b) const {
    const std::size_t rows = std::size_t{1} << b.m;
    const unsigned skip = b.lowest() ? 0 : 1;
    const Word with_p = b.lowest() ? 0 : 1;
    Words t(b.count * rows);
    ctx_.threads.parallel_for(b.count, 1024, [&](std::size_t begin, std::size_t end) {
      const std::uint8_t* d = at(digits_, b.leaf) + b.first;
      for (std::size_t i = begin; i < end; ++i) {
        const Word a = (rows - 1) ^ Word { d[i] } >> skip;
        const Word when_equal = with_p << 1 | (with_p & d[i]) << 2;
        for (Word v = 0; v < rows; ++v) {
          const Word less = (a - v) >> 63, equal = ((a ^ v) - 1) >> 63;
          t[i * rows + v] = less | ((Word{0} - equal) & when_equal);
        }
      }
    });
    return t;
  }

  Context& ctx_;
  const CarryPlan& plan_;
  Kinds kinds_;
  std::size_t n_;
  std::vector<TableBlock> blocks_;
  Bits digits_;
  CarryLeaves out_;
};

}  // namespace

CarryLeaves compare_leaves(Context& ctx, const CarryPlan& plan, Party receiver, std::span<const Word> x,
                           std::size_t triples) {
  Leaves leaves(ctx, plan, x);
  return ctx.party == receiver ? leaves.receive(triples) : leaves.transfer(triples);
}

void compare_leaves_cost(CostMeter& meter, const CarryPlan& plan, Party receiver, std::uint64_t n,
                         std::uint64_t triples) {
  const Kinds kinds(plan);
  const Party sender = other(receiver);
  const std::vector<TableBlock> blocks = table_blocks(plan, kinds, n);
  meter.cots(sender, kinds.cots * n);
  const std::uint64_t opened = packed_bytes(kinds.cots * n, 1),
                      masked = packed_bytes((kinds.cots + kinds.pairs) * n, 1);
  if (!kinds.any_table()) {
    if (sender == Party::kServer) {
      meter.exchange(masked, opened);
    } else {
      meter.exchange(opened, masked);
    }
  } else {
    meter.send(receiver, opened);
    for (const TableBlock& b : blocks) {
      meter.cots(sender, b.count * b.m);
      meter.send(receiver, packed_bytes(b.count * b.m, 1));
    }
    for (const TableBlock& b : blocks) meter.send(sender, packed_bytes(b.count * ((std::uint64_t{1} << b.m) - 1), b.w));
    meter.send(sender, masked);
  }
  and_triples_cost(meter, triples);
}

}  // namespace eqo
