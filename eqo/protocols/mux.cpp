#include "eqo/protocols/mux.h"

#include "eqo/core/bits.h"
#include "eqo/core/ct.h"
#include "eqo/ot/ring_cot.h"
#include "eqo/protocols/local.h"

namespace eqo {

Words mux(Context& ctx, Ring ring, std::span<const std::uint8_t> bits, std::span<const Word> x) {
  require_length("mux", bits.size(), x.size());
  const std::size_t n = x.size();
  if (n == 0) return {};
  RingCotReceiver receiver(ctx, ring, bits);
  Words d(n);
  for_each_index(ctx, n, [&](std::size_t i) { d[i] = ct::select(bits[i], ring.neg(x[i]), x[i]); });
  Words y = ring_cot_transfer(ctx, ring, d);
  const Words got = receiver.finish();
  for_each_index(ctx, n,
                 [&](std::size_t i) { y[i] = ring.reduce(y[i] + got[i] + (x[i] & ct::mask_from_bit(bits[i]))); });
  return y;
}

void mux_cost(CostMeter& meter, Ring ring, std::uint64_t n) {
  meter.cots(Party::kServer, n);
  meter.cots(Party::kClient, n);
  meter.exchange(packed_bytes(n, 1), packed_bytes(n, 1));
  meter.exchange(packed_bytes(n, ring.bits()), packed_bytes(n, ring.bits()));
}

}  // namespace eqo
