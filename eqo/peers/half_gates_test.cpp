#include "eqo/peers/half_gates.h"

#include "eqo/core/error.h"
#include "eqo/peers/peers_testing.h"

namespace eqo::peers {
namespace {

using namespace testing;

constexpr std::size_t kN = 64;

// Both sides of one circuit without a channel: the labels of known values.
struct Wires {
  explicit Wires(unsigned seed) : rng(seed) {
    delta = {rng(), rng()};
    do mask = {rng(), rng()};
    while (color_of(delta, mask) == 0);
  }
  Blocks zeros() {
    Blocks out(kN);
    for (Block& b : out) b = {rng(), rng()};
    return out;
  }
  Bits bits() {
    Bits out(kN);
    for (auto& b : out) b = static_cast<std::uint8_t>(rng() & 1);
    return out;
  }
  Blocks active(const Blocks& zero, const Bits& value) const {
    Blocks out(kN);
    for (std::size_t i = 0; i < kN; ++i) out[i] = zero[i] ^ masked(value[i], delta);
    return out;
  }
  std::mt19937_64 rng;
  Block delta, mask;
};

TEST(HalfGates, EveryGateGivesTheLabelOfItsValue) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Wires w(seed);
  const Blocks a0 = w.zeros(), b0 = w.zeros();
  const Bits a = w.bits(), b = w.bits(), known = w.bits();
  HalfGateGarbler g(w.delta, w.mask, 5, kN);
  const Blocks both = g.conjunction(a0, b0);
  const Blocks one = g.conjunction(both, known);
  const Blocks last = g.complement(g.flip(g.exclusive_or(one, a0), known));
  EXPECT_EQ(g.tables().size(), 3 * kN);

  HalfGateEvaluator e(g.tables(), w.mask, 5, kN);
  const Blocks a1 = w.active(a0, a), b1 = w.active(b0, b);
  const Blocks both1 = e.conjunction(a1, b1), one1 = e.conjunction(both1, HalfGateEvaluator::Known{});
  const Blocks last1 = e.complement(e.flip(e.exclusive_or(one1, a1), {}));
  Bits ab(kN), abk(kN), x(kN);
  for (std::size_t i = 0; i < kN; ++i) {
    ab[i] = a[i] & b[i];
    abk[i] = ab[i] & known[i];
    x[i] = static_cast<std::uint8_t>(abk[i] ^ a[i] ^ known[i] ^ 1);
  }
  EXPECT_EQ(both1, w.active(both, ab));
  EXPECT_EQ(one1, w.active(one, abk));
  EXPECT_EQ(last1, w.active(last, x));
  EXPECT_THROW(e.conjunction(a1, b1), Error);  // no tables are left
}

// A gate is garbled under tweaks of its own: the same gate again has other tables and labels.
TEST(HalfGates, TweaksGoOn) {
  Wires w(3);
  const Blocks a = w.zeros(), b = w.zeros();
  HalfGateGarbler g(w.delta, w.mask, 0, kN), later(w.delta, w.mask, 2 * kN, kN);
  const Blocks first = g.conjunction(a, b), second = g.conjunction(a, b);
  EXPECT_NE(first, second);
  EXPECT_EQ(later.conjunction(a, b), second);
}

TEST(HalfGates, ACounterCountsTables) {
  HalfGateCounter c;
  c.conjunction(HalfGateCounter::Wire{}, HalfGateCounter::Wire{});
  c.conjunction(HalfGateCounter::Wire{}, HalfGateCounter::Known{});
  EXPECT_EQ(c.blocks(), 3U);
}

// The mask makes Delta's color odd, and with that the two labels of every wire differ in color.
TEST(HalfGates, ColorsOfAWiresLabelsDiffer) {
  std::mt19937_64 rng(7);
  const auto setup = [](CostMeter& m) { garbling_setup_cost(m); };
  const auto party = [](Context& ctx) {
    const Garbling g = garbling_setup(ctx);
    const Block delta = ctx.party == Party::kServer ? ctx.ot.take_sender(0).delta : Block{};
    return std::pair(g.mask, delta);
  };
  for (int k = 0; k < 8; ++k) {
    const auto [server, client] = run_protocol(setup, party, party, 1, iknp());
    EXPECT_EQ(server.result.first, client.result.first);
    EXPECT_EQ(color_of(server.result.second, server.result.first), 1);
    const Block label{rng(), rng()};
    EXPECT_NE(color_of(label, server.result.first), color_of(label ^ server.result.second, server.result.first));
  }
}

}  // namespace
}  // namespace eqo::peers
