#include "eqo/protocols/b2a.h"

#include <optional>

#include "eqo/core/bits.h"
#include "eqo/ot/ring_cot.h"
#include "eqo/protocols/local.h"

namespace eqo {
namespace {

// b_s ^ b_c = b_s + b_c - 2^1 b_s b_c;  b_s | b_c = b_s + b_c - 2^0 b_s b_c.
unsigned product_shift(BitTerm::Kind kind) { return kind == BitTerm::Kind::kXor ? 1 : 0; }

// The ring in which the product b_s b_c is needed, if at all.
std::optional<Ring> product_ring(BitTerm::Kind kind, Ring ring) {
  const unsigned shift = product_shift(kind);
  if (ring.bits() <= shift) return std::nullopt;
  return Ring(ring.bits() - shift);
}

}  // namespace

std::vector<Words> bits_to_ring(Context& ctx, std::span<const BitTerm> terms, Party receiver) {
  std::vector<Words> products(terms.size());
  std::vector<std::optional<RingCotReceiver>> receivers(terms.size());
  const auto needed = [&](std::size_t k) {
    return terms[k].bits.empty() ? std::nullopt : product_ring(terms[k].kind, terms[k].ring);
  };
  if (ctx.party == receiver) {
    for (std::size_t k = 0; k < terms.size(); ++k)
      if (const auto ring = needed(k)) receivers[k].emplace(ctx, *ring, terms[k].bits);
    for (std::size_t k = 0; k < terms.size(); ++k)
      if (receivers[k]) products[k] = receivers[k]->finish();
  } else {
    for (std::size_t k = 0; k < terms.size(); ++k)
      if (const auto ring = needed(k))
        products[k] = ring_cot_transfer(ctx, *ring, Words(terms[k].bits.begin(), terms[k].bits.end()));
  }
  for (std::size_t k = 0; k < terms.size(); ++k) {
    const BitTerm& t = terms[k];
    const unsigned shift = product_shift(t.kind);
    products[k].resize(t.bits.size());
    for_each_index(ctx, t.bits.size(), [&t, shift, p = products[k].data()](std::size_t i) {
      p[i] = t.ring.reduce(Word{t.bits[i]} - (p[i] << shift));
    });
  }
  return products;
}

void bits_to_ring_cost(CostMeter& meter, std::span<const BitTermShape> terms, Party receiver) {
  const auto needed = [](const BitTermShape& t) { return t.n == 0 ? std::nullopt : product_ring(t.kind, t.ring); };
  for (const BitTermShape& t : terms) {
    if (!needed(t)) continue;
    meter.cots(other(receiver), t.n);
    meter.send(receiver, packed_bytes(t.n, 1));
  }
  for (const BitTermShape& t : terms)
    if (const auto ring = needed(t)) meter.send(other(receiver), packed_bytes(t.n, ring->bits()));
}

Words b2a(Context& ctx, Ring ring, std::span<const std::uint8_t> bits, Party receiver) {
  const BitTerm term{BitTerm::Kind::kXor, ring, bits};
  return std::move(bits_to_ring(ctx, std::span(&term, 1), receiver).front());
}

void b2a_cost(CostMeter& meter, Ring ring, std::uint64_t n, Party receiver) {
  const BitTermShape term{BitTerm::Kind::kXor, ring, n};
  bits_to_ring_cost(meter, std::span(&term, 1), receiver);
}

Words private_or(Context& ctx, Ring ring, std::span<const std::uint8_t> mine, Party receiver) {
  const BitTerm term{BitTerm::Kind::kOr, ring, mine};
  return std::move(bits_to_ring(ctx, std::span(&term, 1), receiver).front());
}

void private_or_cost(CostMeter& meter, Ring ring, std::uint64_t n, Party receiver) {
  const BitTermShape term{BitTerm::Kind::kOr, ring, n};
  bits_to_ring_cost(meter, std::span(&term, 1), receiver);
}

}  // namespace eqo
