#include "eqo/ot/bit_products.h"

#include <algorithm>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/crypto/hash.h"
#include "eqo/ot/pads.h"

namespace eqo {
namespace {

std::uint8_t bit(const Block& b, unsigned i) { return static_cast<std::uint8_t>((b.lo >> i) & 1); }

}  // namespace

BitProductReceiver::BitProductReceiver(Context& ctx, std::span<const std::uint8_t> choices, std::size_t pairs)
    : ctx_(ctx), shares_(choices.size() + pairs) {
  const std::size_t n = choices.size();
  if (pairs > n) throw internal_error("bit products: the number of pairs");
  if (n == 0) return;
  const CotReceiverBatch cots = ctx.ot.take_receiver(n);
  random_.assign(cots.choices.begin(), cots.choices.end());
  Bits opened(n);
  for (std::size_t i = 0; i < n; ++i) opened[i] = static_cast<std::uint8_t>((choices[i] ^ random_[i]) & 1U);
  ctx.channel.send_bits(opened);
  ctx.threads.parallel_for(n, kPadGrain, [&](std::size_t begin, std::size_t end) {
    Blocks pad(std::min(kPadBatch, end - begin));
    for (std::size_t at = begin; at < end; at += kPadBatch) {
      const std::size_t m = std::min(kPadBatch, end - at);
      hash_blocks(cots.t.subspan(at, m), kBitProductDomain, cots.first_index + at, std::span(pad).first(m));
      for (std::size_t i = 0; i < m; ++i) shares_[at + i] = bit(pad[i], 0);
      for (std::size_t i = 0; i < m && at + i < pairs; ++i) shares_[n + at + i] = bit(pad[i], 1);
    }
  });
}

Bits BitProductReceiver::finish() {
  const std::size_t n = random_.size();
  if (n > 0) {
    const Bits opened = ctx_.channel.recv_bits(shares_.size());
    for (std::size_t i = 0; i < n; ++i) shares_[i] = static_cast<std::uint8_t>(shares_[i] ^ (random_[i] & opened[i]));
    for (std::size_t i = n; i < shares_.size(); ++i)
      shares_[i] = static_cast<std::uint8_t>(shares_[i] ^ (random_[i - n] & opened[i]));
  }
  return std::move(shares_);
}

BitProductSender::BitProductSender(Context& ctx, std::size_t n, std::size_t pairs)
    : ctx_(ctx), n_(n), difference_(n + pairs), shares_(n + pairs) {
  if (pairs > n) throw internal_error("bit products: the number of pairs");
  if (n == 0) return;
  const CotSenderBatch cots = ctx.ot.take_sender(n);
  ctx.threads.parallel_for(n, kPadGrain, [&](std::size_t begin, std::size_t end) {
    const std::size_t most = std::min(kPadBatch, end - begin);
    Blocks zero(most), one(most);
    for (std::size_t at = begin; at < end; at += kPadBatch) {
      const std::size_t m = std::min(kPadBatch, end - at);
      const auto z = std::span(zero).first(m), o = std::span(one).first(m);
      for (std::size_t i = 0; i < m; ++i) o[i] = cots.q[at + i] ^ cots.delta;
      hash_blocks(cots.q.subspan(at, m), kBitProductDomain, cots.first_index + at, z);
      hash_blocks(o, kBitProductDomain, cots.first_index + at, o);
      for (std::size_t i = 0; i < m; ++i) {
        shares_[at + i] = bit(z[i], 0);
        difference_[at + i] = bit(z[i] ^ o[i], 0);
      }
      for (std::size_t i = 0; i < m && at + i < pairs; ++i) {
        shares_[n + at + i] = bit(z[i], 1);
        difference_[n + at + i] = bit(z[i] ^ o[i], 1);
      }
    }
  });
}

void BitProductSender::send(std::span<const std::uint8_t> u) {
  if (u.size() != difference_.size()) throw internal_error("bit products: the number of bits");
  u_.assign(u.begin(), u.end());
  if (u.empty()) return;
  for (std::size_t i = 0; i < u.size(); ++i) difference_[i] = static_cast<std::uint8_t>(difference_[i] ^ u[i]);
  ctx_.channel.send_bits(difference_);
}

void BitProductSender::receive() {
  if (n_ > 0) opened_ = ctx_.channel.recv_bits(n_);
}

Bits BitProductSender::finish() {
  if (opened_.size() != n_ || u_.size() != shares_.size()) throw internal_error("bit products: not both messages");
  for (std::size_t i = 0; i < n_; ++i) shares_[i] = static_cast<std::uint8_t>(shares_[i] ^ (opened_[i] & u_[i]));
  for (std::size_t i = n_; i < shares_.size(); ++i)
    shares_[i] = static_cast<std::uint8_t>(shares_[i] ^ (opened_[i - n_] & u_[i]));
  return std::move(shares_);
}

}  // namespace eqo
