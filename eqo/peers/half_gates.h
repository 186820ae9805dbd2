#pragma once
#include <bit>
#include <cstdint>
#include <span>

#include "eqo/crypto/block.h"
#include "eqo/net/cost_meter.h"
#include "eqo/ot/context.h"

namespace eqo::peers {

// Garbled gates: free XOR and half gates, two blocks an AND. A wire holds a label for each of n independent instances
// of one circuit: the garbler its label of 0 (that of 1 is Delta away), the evaluator the label of its value, whatever
// that is. Numbers that the garbler knows need no wire and cost nothing to bring in: it flips its labels.
// Source: Zahur, Rosulek, Evans, "Two Halves Make a Whole", EUROCRYPT 2015; hash: crypto/hash.h, which is circular
// correlation robust, under a domain of its own. Delta is that of the session's OTs, so that a COT is an input of the
// evaluator's: its labels are the COT itself, one bit of choice correction each.
// A label's color tells the evaluator which row it is to use. It is the parity of the label's bits under `mask`, public
// and drawn so that Delta's is odd: that reveals of Delta what fixing its lowest bit would.
// Constant time.
struct Garbling {
  Block mask;
  std::uint64_t next_tweak = 0;  // a tweak of the hash is used once a session
};
// Once a session: the server draws the mask and sends it. 16 bytes, one flight.
Garbling garbling_setup(Context& ctx);
void garbling_setup_cost(CostMeter& meter);

inline std::uint8_t color_of(Block label, Block mask) {
  const Block m = label & mask;
  return static_cast<std::uint8_t>(std::popcount(m.lo ^ m.hi) & 1);
}

// The three sides of a circuit have one interface. Known: n bits of the garbler's, nothing for the others.
class HalfGateGarbler {
 public:
  using Wire = Blocks;
  using Known = Bits;
  HalfGateGarbler(Block delta, Block mask, std::uint64_t first_tweak, std::size_t n);
  ~HalfGateGarbler();
  HalfGateGarbler(const HalfGateGarbler&) = delete;
  HalfGateGarbler& operator=(const HalfGateGarbler&) = delete;

  Wire exclusive_or(const Wire& a, const Wire& b) const;
  Wire flip(const Wire& a, const Known& bits) const;  // a ^ bits
  Wire complement(const Wire& a) const;
  Wire conjunction(const Wire& a, const Wire& b);
  Wire conjunction(const Wire& a, const Known& bits);  // one block
  const Blocks& tables() const { return tables_; }

 private:
  Block delta_, mask_;
  std::uint64_t tweak_;
  std::size_t n_;
  Blocks tables_;
};

class HalfGateEvaluator {
 public:
  using Wire = Blocks;
  struct Known {};
  HalfGateEvaluator(std::span<const Block> tables, Block mask, std::uint64_t first_tweak, std::size_t n);

  Wire exclusive_or(const Wire& a, const Wire& b) const;
  static Wire flip(const Wire& a, Known) { return a; }
  static Wire complement(const Wire& a) { return a; }
  Wire conjunction(const Wire& a, const Wire& b);
  Wire conjunction(const Wire& a, Known);

 private:
  std::span<const Block> take();

  std::span<const Block> tables_;
  Block mask_;
  std::uint64_t tweak_;
  std::size_t n_;
};

// Counts the blocks that one instance takes: as many as tweaks.
class HalfGateCounter {
 public:
  struct Wire {};
  struct Known {};
  static Wire exclusive_or(Wire, Wire) { return {}; }
  static Wire flip(Wire, Known) { return {}; }
  static Wire complement(Wire) { return {}; }
  Wire conjunction(Wire, Wire) {
    blocks_ += 2;
    return {};
  }
  Wire conjunction(Wire, Known) {
    blocks_ += 1;
    return {};
  }
  std::uint64_t blocks() const { return blocks_; }

 private:
  std::uint64_t blocks_ = 0;
};

}  // namespace eqo::peers
