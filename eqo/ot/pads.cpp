#include "eqo/ot/pads.h"

namespace eqo {

void corrected_keys(const CotSenderBatch& cots, std::size_t begin, std::span<const std::uint8_t> corrections,
                    std::span<Block> zero, std::span<Block> one) {
  const Block* q = cots.q.data() + begin;
  for (std::size_t i = 0; i < zero.size(); ++i) {
    zero[i] = q[i] ^ masked(corrections[i], cots.delta);
    one[i] = zero[i] ^ cots.delta;
  }
}

}  // namespace eqo
