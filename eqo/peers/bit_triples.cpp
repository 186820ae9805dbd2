#include "eqo/peers/bit_triples.h"

#include <utility>

#include "eqo/protocols/local.h"

namespace eqo::peers {
namespace {

constexpr unsigned kChoiceBits = 4, kMessageBits = 2;

std::size_t pairs_of(std::size_t n) { return (n + 1) / 2; }

// Uniform bits for both triples of every pair.
Bits uniform(PeerContext& ctx, std::size_t n) {
  Bits out(2 * pairs_of(n));
  ctx.prg.fill_bits(out);
  return out;
}

// a of the first triple, b of it, a of the second, b of it.
Bits choices_of(const AndTriples& t) {
  Bits out(t.a.size() / 2);
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<std::uint8_t>(t.a[2 * i] | t.b[2 * i] << 1 | t.a[2 * i + 1] << 2 | t.b[2 * i + 1] << 3);
  return out;
}

void trim(AndTriples& t, std::size_t n) {
  t.a.resize(n);
  t.b.resize(n);
  t.ab.resize(n);
}

}  // namespace

TripleReceiver::TripleReceiver(PeerContext& ctx, std::size_t n)
    : triples_{uniform(ctx, n), uniform(ctx, n), {}, {}, {}},
      n_(n),
      receiver_(ctx, ctx.kkot, kChoiceBits, kMessageBits, choices_of(triples_)) {}

AndTriples TripleReceiver::finish() {
  const Words got = receiver_.finish();
  triples_.ab.resize(triples_.a.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    triples_.ab[2 * i] = static_cast<std::uint8_t>(got[i] & 1);
    triples_.ab[2 * i + 1] = static_cast<std::uint8_t>(got[i] >> 1 & 1);
  }
  trim(triples_, n_);
  return std::move(triples_);
}

AndTriples transfer_triples(PeerContext& ctx, std::size_t n) {
  AndTriples t{uniform(ctx, n), uniform(ctx, n), {}, uniform(ctx, n), {}};
  Words tables(pairs_of(n));
  for_each_index(ctx, tables.size(), [&](std::size_t i) {
    const auto product = [&](std::size_t k, unsigned a, unsigned b) {
      return Word{((t.a[k] ^ a) & (t.b[k] ^ b)) ^ t.ab[k]};
    };
    for (unsigned v = 0; v < 16; ++v)
      tables[i] |= (product(2 * i, v & 1, v >> 1 & 1) | product(2 * i + 1, v >> 2 & 1, v >> 3) << 1) << (2 * v);
  });
  kkot_transfer_tables(ctx, ctx.kkot, kChoiceBits, kMessageBits, tables);
  trim(t, n);
  return t;
}

void triples_request_cost(CostMeter& meter, std::uint64_t n) { kkot_request_cost(meter, Party::kServer, pairs_of(n)); }

void triples_reply_cost(CostMeter& meter, std::uint64_t n) {
  kkot_reply_cost(meter, Party::kServer, kChoiceBits, kMessageBits, pairs_of(n));
}

Bits bit_and(PeerContext& ctx, std::span<const std::uint8_t> x, std::span<const std::uint8_t> y) {
  require_length("AND", y.size(), x.size());
  const AndTriples triples =
      ctx.party == Party::kServer ? transfer_triples(ctx, x.size()) : TripleReceiver(ctx, x.size()).finish();
  Bits xy(x.size());
  const AndTerm term{x, y, {}, xy, {}};
  and_round(ctx, std::span(&term, 1), triples, 0);
  return xy;
}

void bit_and_cost(CostMeter& meter, std::uint64_t n) {
  triples_request_cost(meter, n);
  triples_reply_cost(meter, n);
  and_round_cost(meter, n, 0);
}

}  // namespace eqo::peers
