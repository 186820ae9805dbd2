#include "eqo/model/testing/random_weights.h"

#include <algorithm>

#include "eqo/model/types.h"

namespace eqo::testing {

WeightCode random_code(RandomSource& random) {
  const unsigned bits = random.width(1, random.one_in(3) ? 8 : 4);
  WeightCode code = WeightCode::twos_complement(bits);
  if (random.one_in(3)) {  // {-(2^b - 1), ..., -1, 1, ..., 2^b - 1}
    for (unsigned i = 0; i < bits; ++i) {
      code.exponents[i] = static_cast<std::uint8_t>(i + 1);
      code.signs[i] = 1;
    }
    code.offset = -((std::int64_t{1} << bits) - 1);
  } else if (random.one_in(2)) {
    const unsigned largest = random.one_in(8) ? 20 : bits + 2;
    for (unsigned i = 0; i < bits; ++i) {
      code.exponents[i] = static_cast<std::uint8_t>(random.in(0, largest));
      code.signs[i] = random.one_in(2) ? std::int8_t{1} : std::int8_t{-1};
    }
    std::sort(code.exponents.begin(), code.exponents.end());
    code.offset = random.in(-20, 20);
  }
  if (random.one_in(4)) code.shift = static_cast<std::uint8_t>(random.in(1, 4));
  return code;
}

NodeSecrets random_secrets(const Node& node, const Shape* input, RandomSource& random) {
  NodeSecrets secrets;
  secrets.scale = 1.0 / 64;
  if (node.op != Op::kConv) return secrets;
  const std::size_t count = weight_count(node, *input);
  const std::size_t part = count / node.codes.size();
  const bool extreme = random.one_in(8);
  for (std::size_t i = 0; i < count; ++i) {
    const unsigned bits = node.codes[i / part].bits();
    const std::uint64_t any = extreme ? (random.one_in(2) ? 0 : 255) : random.bits();
    secrets.weights.push_back(static_cast<std::uint8_t>(any & ((1U << bits) - 1)));
  }
  const unsigned bias_bits = std::min(node.type.ring_bits, random.one_in(4) ? 60U : 8U);
  for (std::int64_t k = 0; k < node.type.shape.c; ++k)
    secrets.bias.push_back(random.in(ring_lo(bias_bits), ring_hi(bias_bits)));
  return secrets;
}

}  // namespace eqo::testing
