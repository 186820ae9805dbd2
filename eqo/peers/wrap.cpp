#include "eqo/peers/wrap.h"

#include <utility>
#include <vector>

#include "eqo/core/ct.h"
#include "eqo/core/error.h"
#include "eqo/peers/bit_triples.h"
#include "eqo/protocols/local.h"

namespace eqo::peers {
namespace {

constexpr unsigned kDigitBits = 4;

// What both parties derive from the width.
struct Tree {
  std::size_t digits;
  bool equal;  // also at the root

  Tree(unsigned bits, bool with_equal) : digits((bits + kDigitBits - 1) / kDigitBits), equal(with_equal) {
    if (bits < 1 || bits > 64) throw internal_error("wrap of " + std::to_string(bits) + " bits");
  }
  // A single digit is only asked whether it is greater.
  unsigned leaf_bits() const { return digits == 1 && !equal ? 1 : 2; }
  // Calls level(pairs, ands) for each: of n nodes floor(n / 2) are pairs, and the lowest node needs no `equal`.
  template <typename F>
  void for_levels(const F& level) const {
    for (std::size_t nodes = digits; nodes > 1; nodes = (nodes + 1) / 2)
      level(nodes / 2, 2 * (nodes / 2) - (equal ? 0 : 1));
  }
  std::size_t ands() const {
    std::size_t sum = 0;
    for_levels([&](std::size_t, std::size_t ands) { sum += ands; });
    return sum;
  }
};

unsigned width_of(unsigned bits, std::size_t digit) {
  return std::min(kDigitBits, bits - static_cast<unsigned>(digit) * kDigitBits);
}

// [digit][n], of the shares as they are (client) or complemented (server): the client's is greater iff they carry.
Bits digits_of(PeerContext& ctx, const Tree& tree, unsigned bits, std::span<const Word> x) {
  Bits out(tree.digits * x.size());
  const Word flip = ctx.party == Party::kServer ? ~Word{0} : 0;
  for (std::size_t j = 0; j < tree.digits; ++j) {
    const Ring ring(width_of(bits, j));
    for_each_index(ctx, x.size(), [&, to = out.data() + j * x.size()](std::size_t i) {
      to[i] = static_cast<std::uint8_t>(ring.reduce((x[i] ^ flip) >> (j * kDigitBits)));
    });
  }
  return out;
}

struct Leaves {
  Bits greater, equal;  // [digit][n]
  AndTriples triples;
};

Leaves leaves_of_client(PeerContext& ctx, const Tree& tree, const Bits& digits, std::size_t triples) {
  const unsigned w = tree.leaf_bits();
  KkotReceiver leaves(ctx, ctx.kkot, kDigitBits, w, digits);
  TripleReceiver request(ctx, triples);
  const Words got = leaves.finish();
  Leaves out{Bits(got.size()), Bits(w == 2 ? got.size() : 0), request.finish()};
  for_each_index(ctx, got.size(), [&](std::size_t i) {
    out.greater[i] = static_cast<std::uint8_t>(got[i] & 1);
    if (w == 2) out.equal[i] = static_cast<std::uint8_t>(got[i] >> 1 & 1);
  });
  return out;
}

Leaves leaves_of_server(PeerContext& ctx, const Tree& tree, const Bits& digits, std::size_t triples) {
  const unsigned w = tree.leaf_bits();
  Leaves out{Bits(digits.size()), Bits(w == 2 ? digits.size() : 0), {}};
  ctx.prg.fill_bits(out.greater);
  ctx.prg.fill_bits(out.equal);
  const Word lows = w == 2 ? 0x55555555 : 0xffff;  // every message's lowest bit
  Words tables(digits.size());
  for_each_index(ctx, tables.size(), [&](std::size_t i) {
    // Message v of the client's digit v, the server's a: v > a, and v == a. A shift takes the same time for any count.
    const unsigned shift = digits[i] * w;
    Word table = (lows << shift << w & lows) ^ (lows * out.greater[i]);
    if (w == 2) table ^= Word{2} << shift ^ (lows << 1) * out.equal[i];
    tables[i] = table;
  });
  kkot_transfer_tables(ctx, ctx.kkot, kDigitBits, w, tables);
  out.triples = transfer_triples(ctx, triples);
  return out;
}

WrapAndEqual compare(PeerContext& ctx, unsigned bits, std::span<const Word> x, bool with_equal) {
  const Tree tree(bits, with_equal);
  const std::size_t n = x.size();
  if (n == 0) return {};
  const Bits digits = digits_of(ctx, tree, bits, x);
  const std::size_t triples = tree.ands() * n;
  Leaves leaves = ctx.party == Party::kServer ? leaves_of_server(ctx, tree, digits, triples)
                                              : leaves_of_client(ctx, tree, digits, triples);

  std::vector<WrapAndEqual> nodes(tree.digits);
  const auto slice = [n](const Bits& all, std::size_t j) {
    if (all.empty()) return Bits{};
    const auto at = all.begin() + static_cast<std::ptrdiff_t>(j * n);
    return Bits(at, at + static_cast<std::ptrdiff_t>(n));
  };
  for (std::size_t j = 0; j < nodes.size(); ++j) nodes[j] = {slice(leaves.greater, j), slice(leaves.equal, j)};

  std::size_t used = 0;
  tree.for_levels([&](std::size_t pairs, std::size_t ands) {
    std::vector<Bits> equal(pairs);
    std::vector<AndTerm> terms;
    for (std::size_t k = 0; k < pairs; ++k) {
      WrapAndEqual &lo = nodes[2 * k], &hi = nodes[2 * k + 1];
      terms.push_back({hi.equal, lo.wrap, {}, hi.wrap, {}});
      if (k == 0 && !with_equal) continue;
      equal[k].resize(n);
      terms.push_back({hi.equal, lo.equal, {}, equal[k], {}});
    }
    and_round(ctx, terms, leaves.triples, used);
    used += ands * n;
    for (std::size_t k = 0; k < pairs; ++k) nodes[k] = {std::move(nodes[2 * k + 1].wrap), std::move(equal[k])};
    if (nodes.size() % 2 != 0) nodes[pairs] = std::move(nodes.back());
    nodes.resize((nodes.size() + 1) / 2);
  });
  return std::move(nodes.front());
}

void compare_cost(CostMeter& meter, unsigned bits, std::uint64_t n, bool with_equal) {
  const Tree tree(bits, with_equal);
  if (n == 0) return;
  kkot_request_cost(meter, Party::kServer, tree.digits * n);
  triples_request_cost(meter, tree.ands() * n);
  kkot_reply_cost(meter, Party::kServer, kDigitBits, tree.leaf_bits(), tree.digits * n);
  triples_reply_cost(meter, tree.ands() * n);
  tree.for_levels([&](std::size_t, std::size_t ands) { and_round_cost(meter, ands * n, 0); });
}

}  // namespace

Bits wrap(PeerContext& ctx, unsigned bits, std::span<const Word> x) { return compare(ctx, bits, x, false).wrap; }

void wrap_cost(CostMeter& meter, unsigned bits, std::uint64_t n) { compare_cost(meter, bits, n, false); }

WrapAndEqual wrap_and_equal(PeerContext& ctx, unsigned bits, std::span<const Word> x) {
  return compare(ctx, bits, x, true);
}

void wrap_and_equal_cost(CostMeter& meter, unsigned bits, std::uint64_t n) { compare_cost(meter, bits, n, true); }

Bits wrap_of_sign(PeerContext& ctx, Ring ring, std::span<const Word> x, std::span<const std::uint8_t> sign) {
  require_length("wrap", sign.size(), x.size());
  const std::size_t n = x.size();
  Bits out(n);
  if (ctx.party == Party::kClient) {
    Bits choices(n);
    for_each_index(ctx, n,
                   [&](std::size_t i) { choices[i] = static_cast<std::uint8_t>(sign[i] | ring.msb(x[i]) << 1); });
    const Words got = KkotReceiver(ctx, ctx.kkot, 2, 1, choices).finish();
    for_each_index(ctx, n, [&](std::size_t i) { out[i] = static_cast<std::uint8_t>(got[i]); });
    return out;
  }
  ctx.prg.fill_bits(out);
  Words tables(n);
  for_each_index(ctx, n, [&](std::size_t i) {
    const Word top = ring.msb(x[i]);
    for (Word v = 0; v < 4; ++v) {
      const Word theirs = v >> 1, negative = (v & 1) ^ sign[i];
      tables[i] |= ((top | theirs) ^ ((top ^ theirs) & negative) ^ out[i]) << v;
    }
  });
  kkot_transfer_tables(ctx, ctx.kkot, 2, 1, tables);
  return out;
}

void wrap_of_sign_cost(CostMeter& meter, std::uint64_t n) { kkot_cost(meter, Party::kServer, 2, 1, n); }

}  // namespace eqo::peers
