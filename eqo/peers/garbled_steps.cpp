#include "eqo/peers/garbled_steps.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "eqo/core/bits.h"
#include "eqo/core/error.h"
#include "eqo/protocols/local.h"

namespace eqo::peers {
namespace {

constexpr std::size_t kInstances = 1024;  // garbled at once by a thread, and sent in one message

template <typename G>
using Wires = std::vector<typename G::Wire>;
template <typename G>
using Knowns = std::vector<typename G::Known>;

// b + a modulo 2^(size of a); b has at least one wire, those that are missing are 0. The carry of the last place is
// not needed.
template <typename G>
Wires<G> sum(G& g, const Wires<G>& b, const Knowns<G>& a) {
  Wires<G> out;
  typename G::Wire carry{};
  for (std::size_t i = 0; i < a.size(); ++i) {
    const bool last = i + 1 == a.size();
    if (i == 0) {
      out.push_back(g.flip(b[0], a[0]));
      if (!last) carry = g.conjunction(b[0], a[0]);
    } else if (i < b.size()) {
      const typename G::Wire half = g.exclusive_or(b[i], carry);
      out.push_back(g.flip(half, a[i]));
      if (!last) carry = g.exclusive_or(carry, g.conjunction(half, g.flip(carry, a[i])));
    } else {
      out.push_back(g.flip(carry, a[i]));
      if (!last) carry = g.conjunction(carry, a[i]);
    }
  }
  return out;
}

struct RequantizeCircuit {
  RequantizeSpec spec;
  unsigned outputs() const { return spec.to.bits(); }
  template <typename G>
  Wires<G> operator()(G& g, const Wires<G>& b, const Knowns<G>& a, const Knowns<G>& mask) const {
    Wires<G> t = sum(g, b, a);
    t.erase(t.begin(), t.begin() + static_cast<std::ptrdiff_t>(spec.shift));
    if (spec.relu) {
      const typename G::Wire positive = g.complement(t.back());
      t.pop_back();
      t.resize(std::min<std::size_t>(t.size(), outputs()));
      for (typename G::Wire& w : t) w = g.conjunction(w, positive);
    } else {
      const typename G::Wire sign = t.back();
      t.resize(outputs(), sign);
    }
    return sum(g, t, mask);
  }
};

struct SignCircuit {
  static unsigned outputs() { return 1; }
  template <typename G>
  Wires<G> operator()(G& g, const Wires<G>& b, const Knowns<G>& a, const Knowns<G>&) const {
    return {sum(g, b, a).back()};
  }
};

template <typename Circuit>
std::uint64_t blocks_of(const Circuit& circuit, Ring ring, unsigned mask_bits) {
  HalfGateCounter counter;
  circuit(counter, Wires<HalfGateCounter>(ring.bits()), Knowns<HalfGateCounter>(ring.bits()),
          Knowns<HalfGateCounter>(mask_bits));
  return counter.blocks();
}

// Elements [first, first + size) of a step.
struct Piece {
  std::size_t first = 0, size = 0;
};

// Bits of the garbler's numbers, place by place.
Knowns<HalfGateGarbler> known_bits(std::span<const Word> numbers, const Piece& piece, unsigned bits) {
  Knowns<HalfGateGarbler> out(bits, Bits(piece.size));
  for (unsigned i = 0; i < bits; ++i)
    for (std::size_t e = 0; e < piece.size; ++e)
      out[i][e] = static_cast<std::uint8_t>(numbers[piece.first + e] >> i & 1);
  return out;
}

// One circuit for every element; returns the colors of this party's output labels, [outputs][n]. COTs are in the order
// of the client's bits, [place][n].
template <typename Circuit>
class Run {
 public:
  Run(Context& ctx, Garbling& garbling, const Circuit& circuit, Ring ring, std::size_t n, unsigned mask_bits)
      : ctx_(ctx),
        garbling_(garbling),
        circuit_(circuit),
        ring_(ring),
        n_(n),
        mask_bits_(mask_bits),
        blocks_(blocks_of(circuit, ring, mask_bits)),
        colors_(n * circuit.outputs()) {}

  // The server. `mask` are n numbers of mask_bits, or none.
  Bits garble(std::span<const Word> y, std::span<const Word> mask) {
    const CotSenderBatch cots = ctx_.ot.take_sender(n_ * ring_.bits());
    const Bits corrections = ctx_.channel.recv_bits(n_ * ring_.bits());
    std::vector<Blocks> tables(ctx_.threads.size());
    for_each_group([&](std::span<const Piece> group) {
      parallel(group, [&](std::size_t k, const Piece& piece) {
        HalfGateGarbler g(cots.delta, garbling_.mask, tweak(piece), piece.size);
        const Wires<HalfGateGarbler> inputs =
            wires(piece, [&](std::size_t at) { return cots.q[at] ^ masked(corrections[at], cots.delta); });
        set_colors(piece, circuit_(g, inputs, known_bits(y, piece, ring_.bits()), known_bits(mask, piece, mask_bits_)));
        tables[k] = g.tables();
      });
      for (std::size_t k = 0; k < group.size(); ++k) ctx_.channel.send(std::as_bytes(std::span(tables[k])));
    });
    return finish();
  }

  // The client.
  Bits evaluate(std::span<const Word> y) {
    const CotReceiverBatch cots = ctx_.ot.take_receiver(n_ * ring_.bits());
    Bits corrections(n_ * ring_.bits());
    for (unsigned i = 0; i < ring_.bits(); ++i)
      for (std::size_t e = 0; e < n_; ++e)
        corrections[i * n_ + e] = static_cast<std::uint8_t>(cots.choices[i * n_ + e] ^ (y[e] >> i & 1));
    ctx_.channel.send_bits(corrections);
    std::vector<Blocks> tables(ctx_.threads.size());
    for_each_group([&](std::span<const Piece> group) {
      for (std::size_t k = 0; k < group.size(); ++k) {
        tables[k].resize(blocks_ * group[k].size);
        ctx_.channel.recv(std::as_writable_bytes(std::span(tables[k])));
      }
      parallel(group, [&](std::size_t k, const Piece& piece) {
        HalfGateEvaluator g(tables[k], garbling_.mask, tweak(piece), piece.size);
        set_colors(piece, circuit_(g, wires(piece, [&](std::size_t at) { return cots.t[at]; }),
                                   Knowns<HalfGateEvaluator>(ring_.bits()), Knowns<HalfGateEvaluator>(mask_bits_)));
      });
    });
    return finish();
  }

 private:
  std::uint64_t tweak(const Piece& piece) const { return garbling_.next_tweak + blocks_ * piece.first; }

  template <typename F>
  void for_each_group(const F& body) {
    std::vector<Piece> group;
    for (std::size_t at = 0; at < n_; at += kInstances) {
      group.push_back({at, std::min(kInstances, n_ - at)});
      if (group.size() < ctx_.threads.size() && at + kInstances < n_) continue;
      body(group);
      group.clear();
    }
  }

  template <typename F>
  void parallel(std::span<const Piece> group, const F& body) {
    ctx_.threads.parallel_for(group.size(), 1, [&](std::size_t begin, std::size_t end) {
      for (std::size_t k = begin; k < end; ++k) body(k, group[k]);
    });
  }

  template <typename F>
  std::vector<Blocks> wires(const Piece& piece, const F& label) const {
    std::vector<Blocks> out(ring_.bits(), Blocks(piece.size));
    for (unsigned i = 0; i < ring_.bits(); ++i)
      for (std::size_t e = 0; e < piece.size; ++e) out[i][e] = label(i * n_ + piece.first + e);
    return out;
  }

  void set_colors(const Piece& piece, const std::vector<Blocks>& outputs) {
    for (std::size_t i = 0; i < outputs.size(); ++i)
      for (std::size_t e = 0; e < piece.size; ++e)
        colors_[i * n_ + piece.first + e] = color_of(outputs[i][e], garbling_.mask);
  }

  Bits finish() {
    garbling_.next_tweak += blocks_ * n_;
    return std::move(colors_);
  }

  Context& ctx_;
  Garbling& garbling_;
  const Circuit& circuit_;
  Ring ring_;
  std::size_t n_;
  unsigned mask_bits_;
  std::uint64_t blocks_;
  Bits colors_;
};

void run_cost(CostMeter& meter, Ring ring, std::uint64_t n, std::uint64_t blocks) {
  meter.cots(Party::kServer, n * ring.bits());
  meter.send(Party::kClient, packed_bytes(n * ring.bits(), 1));
  for (std::uint64_t at = 0; at < n; at += kInstances)
    meter.send(Party::kServer, sizeof(Block) * blocks * std::min<std::uint64_t>(kInstances, n - at));
}

void check(const RequantizeSpec& spec) {
  if (spec.shift >= spec.from.bits()) throw usage_error("garbled step: the shift is not below the ring's width");
}

bool is_local(const RequantizeSpec& spec) {
  return !spec.relu && spec.shift == 0 && spec.to.bits() <= spec.from.bits();
}
// Of a ReLU that leaves nothing but the sign.
bool is_zero(const RequantizeSpec& spec) { return spec.relu && spec.shift + 1 == spec.from.bits(); }

}  // namespace

Words garbled_requantize(Context& ctx, Garbling& garbling, const RequantizeSpec& spec, std::span<const Word> y) {
  check(spec);
  const std::size_t n = y.size();
  Words out(n);
  if (n == 0 || is_zero(spec)) return out;
  if (is_local(spec)) {
    for (std::size_t i = 0; i < n; ++i) out[i] = spec.to.reduce(y[i]);
    return out;
  }
  const unsigned bits = spec.to.bits();
  const RequantizeCircuit circuit{spec};
  Run run(ctx, garbling, circuit, spec.from, n, bits);
  if (ctx.party == Party::kServer) {
    ctx.prg.fill(std::as_writable_bytes(std::span(out)));
    for (Word& w : out) w = spec.to.reduce(w);
    const Bits colors = run.garble(y, out);
    ctx.channel.send_bits(colors);
    for (Word& w : out) w = spec.to.neg(w);
    return out;
  }
  const Bits mine = run.evaluate(y);
  const Bits zero = ctx.channel.recv_bits(n * bits);
  for (unsigned i = 0; i < bits; ++i)
    for (std::size_t e = 0; e < n; ++e) out[e] |= Word{static_cast<unsigned>(mine[i * n + e] ^ zero[i * n + e])} << i;
  return out;
}

void garbled_requantize_cost(CostMeter& meter, const RequantizeSpec& spec, std::uint64_t n) {
  check(spec);
  if (n == 0 || is_zero(spec) || is_local(spec)) return;
  run_cost(meter, spec.from, n, blocks_of(RequantizeCircuit{spec}, spec.from, spec.to.bits()));
  meter.send(Party::kServer, packed_bytes(n * spec.to.bits(), 1));
}

Bits garbled_sign(Context& ctx, Garbling& garbling, Ring ring, std::span<const Word> x) {
  if (ring.bits() == 1 || x.empty()) {
    Bits out(x.size());
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::uint8_t>(x[i] & 1);
    return out;
  }
  const SignCircuit circuit;
  Run run(ctx, garbling, circuit, ring, x.size(), 0);
  return ctx.party == Party::kServer ? run.garble(x, {}) : run.evaluate(x);
}

void garbled_sign_cost(CostMeter& meter, Ring ring, std::uint64_t n) {
  if (ring.bits() == 1 || n == 0) return;
  run_cost(meter, ring, n, blocks_of(SignCircuit{}, ring, 0));
}

// Tables, and the wires of the sum, the shifted number and the result.
std::uint64_t garbled_memory(const RequantizeSpec& spec) {
  check(spec);
  const std::uint64_t wires = 3 * spec.from.bits() + 2 * spec.to.bits() + 8;
  return kInstances * sizeof(Block) * (2 * blocks_of(RequantizeCircuit{spec}, spec.from, spec.to.bits()) + wires);
}

}  // namespace eqo::peers
