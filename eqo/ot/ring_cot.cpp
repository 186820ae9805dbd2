#include "eqo/ot/ring_cot.h"

#include <algorithm>

#include "eqo/core/bits.h"
#include "eqo/core/ct.h"
#include "eqo/crypto/hash.h"
#include "eqo/ot/pads.h"

namespace eqo {

RingCotReceiver::RingCotReceiver(Context& ctx, Ring ring, std::span<const std::uint8_t> choices)
    : ctx_(ctx), ring_(ring), choices_(choices.begin(), choices.end()), pads_(choices.size()) {
  const std::size_t n = choices.size();
  const CotReceiverBatch cots = ctx.ot.take_receiver(n);
  Bits corrections(n);
  for (std::size_t i = 0; i < n; ++i) corrections[i] = static_cast<std::uint8_t>((choices[i] ^ cots.choices[i]) & 1U);
  ctx.channel.send_bits(corrections);
  ctx.threads.parallel_for(n, kPadGrain, [&](std::size_t begin, std::size_t end) {
    Blocks pad(std::min(kPadBatch, end - begin));
    for (std::size_t at = begin; at < end; at += kPadBatch) {
      const std::size_t m = std::min(kPadBatch, end - at);
      hash_blocks(cots.t.subspan(at, m), kRingCotDomain, cots.first_index + at, std::span(pad).first(m));
      for (std::size_t i = 0; i < m; ++i) pads_[at + i] = ring.reduce(pad[i].lo);
    }
  });
}

Words RingCotReceiver::finish() {
  const Words masked_sums = ctx_.channel.recv_words(pads_.size(), ring_.bits());
  for (std::size_t i = 0; i < pads_.size(); ++i)
    pads_[i] = ring_.add(pads_[i], ct::mask_from_bit(choices_[i]) & masked_sums[i]);
  choices_.clear();
  return std::move(pads_);
}

Words ring_cot_transfer(Context& ctx, Ring ring, std::span<const Word> d) {
  const std::size_t n = d.size();
  const CotSenderBatch cots = ctx.ot.take_sender(n);
  const Bits corrections = ctx.channel.recv_bits(n);
  Words shares(n), message(n);
  ctx.threads.parallel_for(n, kPadGrain, [&](std::size_t begin, std::size_t end) {
    const std::size_t most = std::min(kPadBatch, end - begin);
    Blocks zero(most), one(most);
    for (std::size_t at = begin; at < end; at += kPadBatch) {
      const std::size_t m = std::min(kPadBatch, end - at);
      const auto z = std::span(zero).first(m), o = std::span(one).first(m);
      corrected_keys(cots, at, std::span(corrections).subspan(at, m), z, o);
      hash_blocks(z, kRingCotDomain, cots.first_index + at, z);
      hash_blocks(o, kRingCotDomain, cots.first_index + at, o);
      for (std::size_t i = 0; i < m; ++i) {
        shares[at + i] = ring.neg(z[i].lo);
        message[at + i] = ring.reduce(z[i].lo + d[at + i] - o[i].lo);
      }
    }
  });
  ctx.channel.send_words(message, ring.bits());
  return shares;
}

void ring_cot_cost(CostMeter& meter, Party sender, Ring ring, std::uint64_t n) {
  meter.cots(sender, n);
  meter.send(other(sender), packed_bytes(n, 1));
  meter.send(sender, packed_bytes(n, ring.bits()));
}

}  // namespace eqo
