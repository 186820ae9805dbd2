#include "eqo/protocols/prepared_convolution.h"

#include <utility>

#include "eqo/core/bits.h"
#include "eqo/core/error.h"

namespace eqo {

PreparedConvolution::PreparedConvolution(Context& ctx, const ConvSpec& spec, SecretConvolution& product,
                                         std::uint64_t counter, std::uint64_t batch)
    : spec_(&spec), product_(&product), batch_(batch), r_(batch * static_cast<std::size_t>(spec.shape.in.size())) {
  if (ctx.party == Party::kClient) ctx.prg.fill(r_, spec.ring);
  product.begin(ctx, counter, batch, r_);
  if (ctx.party == Party::kServer) Words().swap(r_);  // it was zero
}

PreparedConvolution::PreparedConvolution(PreparedConvolution&& other) noexcept
    : spec_(other.spec_),
      product_(other.product_),
      batch_(other.batch_),
      state_(std::exchange(other.state_, State::kUsed)),
      r_(std::move(other.r_)),
      y_(std::move(other.y_)) {}

void PreparedConvolution::finish(Context& ctx) {
  if (state_ != State::kBegun) throw internal_error("prepared convolution: finished twice");
  y_ = product_->finish(ctx);
  state_ = State::kReady;
}

Words PreparedConvolution::answer(Context& ctx, std::span<const std::uint16_t> codes, std::span<const Word> x) {
  const Ring ring = spec_->ring;
  if (state_ != State::kReady) throw internal_error("prepared convolution: material is used once");
  if (x.size() != batch_ * static_cast<std::size_t>(spec_->shape.in.size()))
    throw internal_error("prepared convolution: the input does not fit the material");
  state_ = State::kUsed;
  if (ctx.party == Party::kClient) {
    Words e(std::move(r_));
    for (std::size_t i = 0; i < e.size(); ++i) e[i] = ring.sub(x[i], e[i]);
    ctx.channel.send_words(e, ring.bits());
    return std::move(y_);
  }
  const DecodedWeights weights = decode_weights(spec_->shape, spec_->formats, codes, ring);
  Words v = ctx.channel.recv_words(x.size(), ring.bits());
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = ring.add(v[i], x[i]);
  Words y = conv_plain(spec_->shape, ring, batch_, weights, {}, v, ctx.threads);
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = ring.add(y[i], y_[i]);
  Words().swap(y_);
  return y;
}

void prepared_answer_cost(CostMeter& meter, const ConvSpec& spec, std::uint64_t batch) {
  meter.send(Party::kClient, packed_bytes(batch * static_cast<std::uint64_t>(spec.shape.in.size()), spec.ring.bits()));
}

std::uint64_t prepared_bytes(const ConvSpec& spec) {
  return sizeof(Word) * static_cast<std::uint64_t>(spec.shape.in.size() + spec.shape.out().size());
}

}  // namespace eqo
