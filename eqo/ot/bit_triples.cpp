#include "eqo/ot/bit_triples.h"

#include <algorithm>

#include "eqo/crypto/hash.h"
#include "eqo/ot/pads.h"

namespace eqo {

// Of its OTs a sender gets bits x0, x1, the receiver r and x_r = x0 ^ r * (x0 ^ x1): shares x0 and x_r of the product
// of the sender's a = x0 ^ x1 and the receiver's b = r. One OT each way gives the two mixed products.
BitTriples make_bit_triples(Context& ctx, std::size_t n) {
  const CotSenderBatch s = ctx.ot.take_sender(n);
  const CotReceiverBatch r = ctx.ot.take_receiver(n);
  BitTriples out{Bits(n), Bits(r.choices.begin(), r.choices.end()), Bits(n)};
  ctx.threads.parallel_for(n, kPadGrain, [&](std::size_t begin, std::size_t end) {
    const std::size_t most = std::min(kPadBatch, end - begin);
    Blocks zero(most), one(most), got(most);
    for (std::size_t at = begin; at < end; at += kPadBatch) {
      const std::size_t m = std::min(kPadBatch, end - at);
      const auto z = std::span(zero).first(m), o = std::span(one).first(m), g = std::span(got).first(m);
      for (std::size_t i = 0; i < m; ++i) o[i] = s.q[at + i] ^ s.delta;
      hash_blocks(s.q.subspan(at, m), kBitTripleDomain, s.first_index + at, z);
      hash_blocks(o, kBitTripleDomain, s.first_index + at, o);
      hash_blocks(r.t.subspan(at, m), kBitTripleDomain, r.first_index + at, g);
      for (std::size_t i = 0; i < m; ++i) {
        const auto x0 = static_cast<unsigned>(z[i].lo & 1), x1 = static_cast<unsigned>(o[i].lo & 1);
        const auto y = static_cast<unsigned>(g[i].lo & 1);
        const unsigned a = x0 ^ x1;
        out.a[at + i] = static_cast<std::uint8_t>(a);
        out.c[at + i] = static_cast<std::uint8_t>((a & out.b[at + i]) ^ x0 ^ y);
      }
    }
  });
  return out;
}

void bit_triples_cost(CostMeter& meter, std::uint64_t n) {
  meter.cots(Party::kServer, n);
  meter.cots(Party::kClient, n);
}

}  // namespace eqo
