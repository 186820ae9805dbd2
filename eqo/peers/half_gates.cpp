#include "eqo/peers/half_gates.h"

#include <cstring>

#include "eqo/core/error.h"
#include "eqo/crypto/hash.h"
#include "eqo/ot/pads.h"

namespace eqo::peers {
namespace {

Blocks combined(const Blocks& a, const Blocks& b) {
  Blocks out(a.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = a[i] ^ b[i];
  return out;
}

Blocks shifted(const Blocks& a, Block by) {
  Blocks out(a.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = a[i] ^ by;
  return out;
}

Blocks hashed(const Blocks& labels, std::uint64_t tweak) {
  Blocks out(labels.size());
  hash_blocks(labels, kGarblingDomain, tweak, out);
  return out;
}

}  // namespace

// Rejected masks are never seen and their number does not depend on Delta, unless that is zero.
Garbling garbling_setup(Context& ctx) {
  Garbling out;
  if (ctx.party == Party::kServer) {
    const Block delta = ctx.ot.take_sender(0).delta;
    do ctx.prg.fill(std::as_writable_bytes(std::span(&out.mask, 1)));
    while (color_of(delta, out.mask) == 0);
    ctx.channel.send(std::as_bytes(std::span(&out.mask, 1)));
  } else {
    ctx.channel.recv(std::as_writable_bytes(std::span(&out.mask, 1)));
  }
  return out;
}

void garbling_setup_cost(CostMeter& meter) { meter.send(Party::kServer, sizeof(Block)); }

HalfGateGarbler::HalfGateGarbler(Block delta, Block mask, std::uint64_t first_tweak, std::size_t n)
    : delta_(delta), mask_(mask), tweak_(first_tweak), n_(n) {}

HalfGateGarbler::~HalfGateGarbler() { explicit_bzero(static_cast<void*>(&delta_), sizeof delta_); }

Blocks HalfGateGarbler::exclusive_or(const Wire& a, const Wire& b) const { return combined(a, b); }

Blocks HalfGateGarbler::flip(const Wire& a, const Known& bits) const {
  Blocks out(n_);
  for (std::size_t i = 0; i < n_; ++i) out[i] = a[i] ^ masked(bits[i], delta_);
  return out;
}

Blocks HalfGateGarbler::complement(const Wire& a) const { return shifted(a, delta_); }

// The garbler's half: a and the color of b's label of 0; the evaluator's half: b and what that color hides.
Blocks HalfGateGarbler::conjunction(const Wire& a, const Wire& b) {
  const Blocks a0 = hashed(a, tweak_), a1 = hashed(shifted(a, delta_), tweak_);
  const Blocks b0 = hashed(b, tweak_ + n_), b1 = hashed(shifted(b, delta_), tweak_ + n_);
  tweak_ += 2 * n_;
  const std::size_t at = tables_.size();
  tables_.resize(at + 2 * n_);
  Blocks out(n_);
  for (std::size_t i = 0; i < n_; ++i) {
    const unsigned ca = color_of(a[i], mask_), cb = color_of(b[i], mask_);
    const Block g = a0[i] ^ a1[i] ^ masked(cb, delta_), e = b0[i] ^ b1[i] ^ a[i];
    tables_[at + i] = g;
    tables_[at + n_ + i] = e;
    out[i] = a0[i] ^ masked(ca, g) ^ b0[i] ^ masked(cb, e ^ a[i]);
  }
  return out;
}

Blocks HalfGateGarbler::conjunction(const Wire& a, const Known& bits) {
  const Blocks a0 = hashed(a, tweak_), a1 = hashed(shifted(a, delta_), tweak_);
  tweak_ += n_;
  const std::size_t at = tables_.size();
  tables_.resize(at + n_);
  Blocks out(n_);
  for (std::size_t i = 0; i < n_; ++i) {
    const Block g = a0[i] ^ a1[i] ^ masked(bits[i], delta_);
    tables_[at + i] = g;
    out[i] = a0[i] ^ masked(color_of(a[i], mask_), g);
  }
  return out;
}

HalfGateEvaluator::HalfGateEvaluator(std::span<const Block> tables, Block mask, std::uint64_t first_tweak,
                                     std::size_t n)
    : tables_(tables), mask_(mask), tweak_(first_tweak), n_(n) {}

std::span<const Block> HalfGateEvaluator::take() {
  if (tables_.size() < n_) throw internal_error("garbled circuit: more gates than tables");
  const std::span<const Block> out = tables_.first(n_);
  tables_ = tables_.subspan(n_);
  return out;
}

Blocks HalfGateEvaluator::exclusive_or(const Wire& a, const Wire& b) const { return combined(a, b); }

Blocks HalfGateEvaluator::conjunction(const Wire& a, const Wire& b) {
  const std::span<const Block> g = take(), e = take();
  const Blocks ha = hashed(a, tweak_), hb = hashed(b, tweak_ + n_);
  tweak_ += 2 * n_;
  Blocks out(n_);
  for (std::size_t i = 0; i < n_; ++i)
    out[i] = ha[i] ^ masked(color_of(a[i], mask_), g[i]) ^ hb[i] ^ masked(color_of(b[i], mask_), e[i] ^ a[i]);
  return out;
}

Blocks HalfGateEvaluator::conjunction(const Wire& a, Known) {
  const std::span<const Block> g = take();
  const Blocks ha = hashed(a, tweak_);
  tweak_ += n_;
  Blocks out(n_);
  for (std::size_t i = 0; i < n_; ++i) out[i] = ha[i] ^ masked(color_of(a[i], mask_), g[i]);
  return out;
}

}  // namespace eqo::peers
