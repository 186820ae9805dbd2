#include "eqo/protocols/and_round.h"

#include <algorithm>

#include "eqo/core/bits.h"
#include "eqo/crypto/hash.h"
#include "eqo/protocols/local.h"

namespace eqo {
namespace {

// The hash's domain, apart from those in ot/pads.h.
constexpr std::uint64_t kAndTripleDomain = 0x100;
constexpr std::size_t kHashBlock = 256;

std::uint8_t bit_of(const Block& b, unsigned i) { return static_cast<std::uint8_t>((b.lo >> i) & 1); }

// The sender's side of n random OTs of 2-bit messages m0, m1: p = m0 and d = m0 ^ m1, bit by bit.
struct SentBits {
  Bits p0, p1, d0, d1;
};

SentBits sent_bits(Context& ctx, const CotSenderBatch& cot) {
  const std::size_t n = cot.q.size();
  SentBits s{Bits(n), Bits(n), Bits(n), Bits(n)};
  ctx.threads.parallel_for(n, 2048, [&](std::size_t begin, std::size_t end) {
    Blocks zero(kHashBlock), one(kHashBlock);
    for (std::size_t at = begin; at < end; at += kHashBlock) {
      const std::size_t m = std::min(kHashBlock, end - at);
      for (std::size_t i = 0; i < m; ++i) one[i] = cot.q[at + i] ^ cot.delta;
      hash_blocks(cot.q.subspan(at, m), kAndTripleDomain, cot.first_index + at, std::span(zero).first(m));
      hash_blocks(std::span(one).first(m), kAndTripleDomain, cot.first_index + at, std::span(one).first(m));
      for (std::size_t i = 0; i < m; ++i) {
        const Block d = zero[i] ^ one[i];
        s.p0[at + i] = bit_of(zero[i], 0);
        s.p1[at + i] = bit_of(zero[i], 1);
        s.d0[at + i] = bit_of(d, 0);
        s.d1[at + i] = bit_of(d, 1);
      }
    }
  });
  return s;
}

struct ReceivedBits {
  Bits p0, p1;
};

ReceivedBits received_bits(Context& ctx, const CotReceiverBatch& cot) {
  const std::size_t n = cot.t.size();
  ReceivedBits r{Bits(n), Bits(n)};
  ctx.threads.parallel_for(n, 2048, [&](std::size_t begin, std::size_t end) {
    Blocks h(kHashBlock);
    for (std::size_t at = begin; at < end; at += kHashBlock) {
      const std::size_t m = std::min(kHashBlock, end - at);
      hash_blocks(cot.t.subspan(at, m), kAndTripleDomain, cot.first_index + at, std::span(h).first(m));
      for (std::size_t i = 0; i < m; ++i) {
        r.p0[at + i] = bit_of(h[i], 0);
        r.p1[at + i] = bit_of(h[i], 1);
      }
    }
  });
  return r;
}

void check(std::span<const AndTerm> terms, const AndTriples& triples, std::size_t first) {
  std::size_t total = 0;
  for (const AndTerm& t : terms) {
    require_length("AND", t.y.size(), t.x.size());
    require_length("AND", t.xy.size(), t.x.size());
    if (!t.z.empty()) require_length("AND", t.z.size(), t.x.size());
    require_length("AND", t.xz.size(), t.z.size());
    total += t.x.size();
  }
  if (first > triples.a.size() || total > triples.a.size() - first) throw internal_error("AND: too few triples");
}

}  // namespace

AndTriples make_and_triples(Context& ctx, std::size_t n) {
  if (n == 0) return {};
  const SentBits s = sent_bits(ctx, ctx.ot.take_sender(n));
  const CotReceiverBatch cot = ctx.ot.take_receiver(n);
  const ReceivedBits r = received_bits(ctx, cot);
  AndTriples t{Bits(cot.choices.begin(), cot.choices.end()), s.d0, s.d1, Bits(n), Bits(n)};
  // (a_s ^ a_c) & (b_s ^ b_c): own product, plus a share of each cross product. In the OT that I receive, my share
  // and the peer's differ by my choice times its message difference: a of mine times b of its.
  for_each_index(ctx, n, [&](std::size_t i) {
    t.ab[i] = static_cast<std::uint8_t>((t.a[i] & t.b[i]) ^ s.p0[i] ^ r.p0[i]);
    t.ac[i] = static_cast<std::uint8_t>((t.a[i] & t.c[i]) ^ s.p1[i] ^ r.p1[i]);
  });
  return t;
}

void and_triples_cost(CostMeter& meter, std::uint64_t n) {
  meter.cots(Party::kServer, n);
  meter.cots(Party::kClient, n);
}

void and_round(Context& ctx, std::span<const AndTerm> terms, const AndTriples& triples, std::size_t first) {
  check(terms, triples, first);
  std::size_t bits = 0;
  for (const AndTerm& t : terms) bits += 2 * t.x.size() + t.z.size();
  if (bits == 0) return;

  Bits opened(bits);
  std::size_t at = 0, triple = first;
  const auto mask = [&](std::span<const std::uint8_t> v, const Bits& by) {
    if (v.empty()) return;  // the triples may then have no such operand
    for_each_index(ctx, v.size(), [out = opened.data() + at, in = v.data(), m = by.data() + triple](std::size_t i) {
      out[i] = static_cast<std::uint8_t>(in[i] ^ m[i]);
    });
    at += v.size();
  };
  for (const AndTerm& t : terms) {
    mask(t.x, triples.a);
    mask(t.y, triples.b);
    mask(t.z, triples.c);
    triple += t.x.size();
  }
  ctx.channel.send_bits(opened);
  const Bits theirs = ctx.channel.recv_bits(bits);
  for_each_index(ctx, bits, [&](std::size_t i) { opened[i] = static_cast<std::uint8_t>(opened[i] ^ theirs[i]); });

  // x & y = (a ^ D) & (b ^ E) = ab ^ E & a ^ D & b ^ D & E, the last term in the server's share alone.
  const std::uint8_t server = ctx.party == Party::kServer ? 1 : 0;
  at = 0;
  triple = first;
  for (const AndTerm& t : terms) {
    const std::size_t n = t.x.size();
    const auto product = [&](const std::uint8_t* d, const std::uint8_t* e, const Bits& b, const Bits& ab, auto store) {
      for_each_index(
          ctx, n, [=, a = triples.a.data() + triple, pb = b.data() + triple, pab = ab.data() + triple](std::size_t i) {
            store(i, static_cast<std::uint8_t>(pab[i] ^ (e[i] & a[i]) ^ (d[i] & (pb[i] ^ (e[i] & server)))));
          });
    };
    const std::uint8_t* d = opened.data() + at;
    product(d, d + n, triples.b, triples.ab,
            [out = t.xy.data()](std::size_t i, std::uint8_t v) { out[i] = static_cast<std::uint8_t>(out[i] ^ v); });
    if (!t.z.empty())
      product(d, d + 2 * n, triples.c, triples.ac, [out = t.xz.data()](std::size_t i, std::uint8_t v) { out[i] = v; });
    at += 2 * n + t.z.size();
    triple += n;
  }
}

void and_round_cost(CostMeter& meter, std::uint64_t singles, std::uint64_t pairs) {
  const std::uint64_t bytes = packed_bytes(2 * singles + 3 * pairs, 1);
  meter.exchange(bytes, bytes);
}

}  // namespace eqo
