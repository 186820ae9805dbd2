#include "eqo/protocols/requantize.h"

#include <optional>
#include <string>
#include <vector>

#include "eqo/core/bits.h"
#include "eqo/core/ct.h"
#include "eqo/ot/ring_cot.h"
#include "eqo/protocols/b2a.h"
#include "eqo/protocols/carry.h"
#include "eqo/protocols/extend.h"
#include "eqo/protocols/local.h"

namespace eqo {
namespace {

// The steps that a specification needs.
struct Steps {
  unsigned m = 0;           // l - s: the bits that are left
  bool select = false;      // times [y >= 0]
  unsigned carry_bits = 0;  // of the comparison
  bool low_carry = false;   // c, the carry out of the low s bits
  bool wrap = false;        // w, as an OR of private bits or (full_carry) the comparison's result
  bool full_carry = false;
  Word offset = 0;  // makes y non-negative, a multiple of 2^s
  Ring ring;        // of the sum; spec.to, or narrower and extended in the end

  std::vector<unsigned> cuts(unsigned s) const {
    return low_carry && carry_bits > s ? std::vector<unsigned>{s} : std::vector<unsigned>{};
  }
};

void check(const RequantizeSpec& spec) {
  const unsigned l = spec.from.bits();
  if (spec.shift >= l)
    throw usage_error("requantization by " + std::to_string(spec.shift) + " in a ring of " + std::to_string(l) +
                      " bits");
  if (spec.knowledge == Knowledge::kUnsigned) throw usage_error("requantization of unsigned numbers");
  if (spec.knowledge == Knowledge::kGuarded && l < 2) throw usage_error("requantization: no guard bit in 1 bit");
}

Steps steps_of(const RequantizeSpec& spec) {
  check(spec);
  const unsigned l = spec.from.bits(), s = spec.shift;
  Steps steps{.m = l - s, .low_carry = s > 0, .ring = spec.to};
  const bool wider = spec.to.bits() > steps.m;
  steps.wrap = wider;
  if (spec.relu && spec.knowledge != Knowledge::kNonNegative) {
    steps.select = true;
    steps.carry_bits = l - 1;
    if (wider && spec.staged) {
      steps.wrap = false;
      steps.ring = Ring(steps.m);
    }
    return steps;
  }
  steps.carry_bits = s;
  if (!wider || spec.knowledge == Knowledge::kNonNegative) return steps;
  if (spec.knowledge == Knowledge::kGuarded && s + 2 <= l) {
    steps.offset = Word{1} << (l - 2);
    return steps;
  }
  steps.full_carry = true;
  steps.carry_bits = l;
  steps.offset = Word{1} << (l - 1);
  return steps;
}

Bits msbs(Context& ctx, Ring ring, std::span<const Word> x) {
  Bits out(x.size());
  for_each_index(ctx, x.size(), [&](std::size_t i) { out[i] = static_cast<std::uint8_t>(ring.msb(x[i])); });
  return out;
}

// The comparison's root, and its inner node c (empty if there is none).
struct CarryBits {
  Bits top, low;
};

CarryBits compare(Context& ctx, const Steps& steps, unsigned s, std::span<const Word> y,
                  const CompareOptions& options) {
  Carries carries = carry_with_cuts(ctx, steps.carry_bits, steps.cuts(s), y, options);
  CarryBits out{std::move(carries.top), {}};
  if (!carries.at_cuts.empty()) {
    out.low = std::move(carries.at_cuts.front());
  } else if (steps.low_carry) {
    out.low = out.top;  // s is all of it
  }
  return out;
}

void compare_cost(CostMeter& meter, const Steps& steps, unsigned s, std::uint64_t n, const CompareOptions& options) {
  carry_with_cuts_cost(meter, steps.carry_bits, steps.cuts(s), n, options);
}

// z = d * (x + c - 2^m w) in `ring`; d, c shared by XOR, x additively, w the OR of private bits; c and w may be empty.
//   c = c_s + c_c - 2 c_s c_c,  w = w_s + w_c - w_s w_c,  d x = d_s x_s + d_c (1 - 2 d_s) x_s + the same of x_c:
// each a product of one party's bit and the other's number, by a COT. The party that is `first` receives in those of
// c and w. Then its peer, as their sender, knows its share of the sum at once, and the same message holds its
// numbers for d's COT: three messages in turn.
struct Select {
  Ring ring;
  unsigned m = 0;
  Party first = Party::kClient;
  std::span<const std::uint8_t> d, c, w;

  std::optional<Ring> carry_ring() const {
    return c.empty() || ring.bits() < 2 ? std::nullopt : std::optional(Ring(ring.bits() - 1));
  }
  std::optional<Ring> wrap_ring() const { return w.empty() ? std::nullopt : std::optional(Ring(ring.bits() - m)); }
};

// x + c - 2^m w in place: own bits, and shares of the products (empty where there is none).
void add_carries(Context& ctx, const Select& in, const Words& carry_product, const Words& wrap_product, Words& x) {
  if (!in.c.empty())
    for_each_index(ctx, x.size(),
                   [&](std::size_t i) { x[i] += in.c[i] - (carry_product.empty() ? Word{0} : carry_product[i] << 1); });
  if (!in.w.empty()) for_each_index(ctx, x.size(), [&](std::size_t i) { x[i] -= (in.w[i] - wrap_product[i]) << in.m; });
  for_each_index(ctx, x.size(), [&](std::size_t i) { x[i] = in.ring.reduce(x[i]); });
}

Words words_of(std::span<const std::uint8_t> bits) { return Words(bits.begin(), bits.end()); }

// This party's numbers for the COT that the peer's share of d is the choice of; returns its own share.
Words transfer_selected(Context& ctx, const Select& in, const Words& x) {
  Words numbers(x.size());
  for_each_index(ctx, x.size(), [&](std::size_t i) { numbers[i] = ct::select(in.d[i], in.ring.neg(x[i]), x[i]); });
  return ring_cot_transfer(ctx, in.ring, numbers);
}

Words select_sum(Context& ctx, const Select& in, Words x) {
  const auto carry_ring = in.carry_ring(), wrap_ring = in.wrap_ring();
  Words carry_product, wrap_product, got, own;
  if (ctx.party == in.first) {
    std::optional<RingCotReceiver> carry_receiver, wrap_receiver;
    if (carry_ring) carry_receiver.emplace(ctx, *carry_ring, in.c);
    if (wrap_ring) wrap_receiver.emplace(ctx, *wrap_ring, in.w);
    RingCotReceiver receiver(ctx, in.ring, in.d);
    if (carry_receiver) carry_product = carry_receiver->finish();
    if (wrap_receiver) wrap_product = wrap_receiver->finish();
    add_carries(ctx, in, carry_product, wrap_product, x);
    got = receiver.finish();
    own = transfer_selected(ctx, in, x);
  } else {
    if (carry_ring) carry_product = ring_cot_transfer(ctx, *carry_ring, words_of(in.c));
    if (wrap_ring) wrap_product = ring_cot_transfer(ctx, *wrap_ring, words_of(in.w));
    add_carries(ctx, in, carry_product, wrap_product, x);
    own = transfer_selected(ctx, in, x);
    got = RingCotReceiver(ctx, in.ring, in.d).finish();
  }
  for_each_index(ctx, x.size(),
                 [&](std::size_t i) { x[i] = in.ring.reduce(own[i] + got[i] + (x[i] & ct::mask_from_bit(in.d[i]))); });
  return x;
}

void select_sum_cost(CostMeter& meter, const Steps& steps, Party first, std::uint64_t n) {
  const unsigned r = steps.ring.bits();
  const bool carry = steps.low_carry && r > 1;
  const Party second = other(first);
  meter.cots(second, n * (1U + carry + steps.wrap));
  meter.cots(first, n);
  const std::uint64_t bits = packed_bytes(n, 1);
  if (carry) meter.send(first, bits);
  if (steps.wrap) meter.send(first, bits);
  meter.send(first, bits);
  if (carry) meter.send(second, packed_bytes(n, r - 1));
  if (steps.wrap) meter.send(second, packed_bytes(n, r - steps.m));
  meter.send(second, packed_bytes(n, r));
  meter.send(second, bits);
  meter.send(first, packed_bytes(n, r));
}

// Who begins the selection: the party that knows its share of the comparison's result first, from the plan alone. Its
// next message adds no flight, the other's would.
Party selects_first(const Steps& steps, unsigned s, const CompareOptions& options) {
  CostMeter server, client;
  compare_cost(server, steps, s, 1, options);
  compare_cost(client, steps, s, 1, options);
  server.send(Party::kServer, 1);
  client.send(Party::kClient, 1);
  return server.cost().flights < client.cost().flights ? Party::kServer : Party::kClient;
}

Words shifted(Context& ctx, std::span<const Word> y, unsigned s) {
  Words t(y.size());
  for_each_index(ctx, y.size(), [&](std::size_t i) { t[i] = y[i] >> s; });
  return t;
}

Words rectified(Context& ctx, const RequantizeSpec& spec, const Steps& steps, std::span<const Word> y,
                const CompareOptions& options) {
  CarryBits carries = compare(ctx, steps, spec.shift, y, options);
  const Bits signs = msbs(ctx, spec.from, y);
  Bits& d = carries.top;
  const std::uint8_t flip = ctx.party == Party::kServer ? 1 : 0;
  for_each_index(ctx, y.size(), [&](std::size_t i) { d[i] = static_cast<std::uint8_t>(d[i] ^ signs[i] ^ flip); });
  Select in{.ring = steps.ring,
            .m = steps.m,
            .first = selects_first(steps, spec.shift, options),
            .d = d,
            .c = carries.low,
            .w = {}};
  if (steps.wrap) in.w = signs;
  const Words z = select_sum(ctx, in, shifted(ctx, y, spec.shift));
  return extend(ctx, steps.ring, spec.to, z, Knowledge::kNonNegative, options, spec.last_receiver);
}

std::vector<BitTermShape> term_shapes(const RequantizeSpec& spec, const Steps& steps, std::uint64_t n) {
  std::vector<BitTermShape> terms;
  if (steps.low_carry) terms.push_back({BitTerm::Kind::kXor, spec.to, n});
  if (steps.wrap)
    terms.push_back({steps.full_carry ? BitTerm::Kind::kXor : BitTerm::Kind::kOr, Ring(spec.to.bits() - steps.m), n});
  return terms;
}

Words signed_shift(Context& ctx, const RequantizeSpec& spec, const Steps& steps, std::span<const Word> y,
                   const CompareOptions& options) {
  const std::size_t n = y.size();
  const Word offset = ctx.party == Party::kServer ? steps.offset : 0;
  Words x(n);
  for_each_index(ctx, n, [&](std::size_t i) { x[i] = spec.from.add(y[i], offset); });

  const CarryBits carries = compare(ctx, steps, spec.shift, x, options);
  Bits signs;
  if (steps.wrap && !steps.full_carry) signs = msbs(ctx, spec.from, x);
  std::vector<BitTerm> terms;
  for (const BitTermShape& t : term_shapes(spec, steps, n)) terms.push_back({t.kind, t.ring, {}});
  if (steps.low_carry) terms.front().bits = carries.low;
  if (steps.wrap) terms.back().bits = steps.full_carry ? carries.top : signs;
  const std::vector<Words> added = bits_to_ring(ctx, terms, spec.last_receiver);

  for_each_index(ctx, n, [&](std::size_t i) { x[i] = (x[i] >> spec.shift) - (offset >> spec.shift); });
  if (steps.low_carry) for_each_index(ctx, n, [&](std::size_t i) { x[i] += added.front()[i]; });
  if (steps.wrap) for_each_index(ctx, n, [&](std::size_t i) { x[i] -= added.back()[i] << steps.m; });
  for_each_index(ctx, n, [&](std::size_t i) { x[i] = spec.to.reduce(x[i]); });
  return x;
}

}  // namespace

Words requantize(Context& ctx, const RequantizeSpec& spec, std::span<const Word> y, const CompareOptions& options) {
  const Steps steps = steps_of(spec);
  if (y.empty()) return {};
  return steps.select ? rectified(ctx, spec, steps, y, options) : signed_shift(ctx, spec, steps, y, options);
}

void requantize_cost(CostMeter& meter, const RequantizeSpec& spec, std::uint64_t n, const CompareOptions& options) {
  const Steps steps = steps_of(spec);
  if (n == 0) return;
  compare_cost(meter, steps, spec.shift, n, options);
  if (!steps.select) {
    bits_to_ring_cost(meter, term_shapes(spec, steps, n), spec.last_receiver);
    return;
  }
  select_sum_cost(meter, steps, selects_first(steps, spec.shift, options), n);
  extend_cost(meter, steps.ring, spec.to, n, Knowledge::kNonNegative, options, spec.last_receiver);
}

}  // namespace eqo
