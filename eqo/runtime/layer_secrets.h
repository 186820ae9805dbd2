#pragma once
#include <algorithm>
#include <cstdint>
#include <span>

#include "eqo/core/secret.h"
#include "eqo/model/graph.h"

namespace eqo {

// A layer's weights and bias as the products want them.
struct LayerSecrets {
  WipedVector<std::uint16_t> codes;
  Words bias;
};
inline LayerSecrets layer_secrets(const Node& node, const NodeSecrets& secrets) {
  LayerSecrets out{{secrets.weights.begin(), secrets.weights.end()}, Words(secrets.bias.size())};
  std::transform(secrets.bias.begin(), secrets.bias.end(), out.bias.begin(),
                 [&](std::int64_t b) { return node.type.ring().from_signed(b); });
  return out;
}

// [batch][k] -> [k][batch]: what argmax wants.
inline Words values_by_position(std::span<const Word> x, std::size_t batch, std::size_t k) {
  Words out(x.size());
  for (std::size_t b = 0; b < batch; ++b)
    for (std::size_t j = 0; j < k; ++j) out[j * batch + b] = x[b * k + j];
  return out;
}

}  // namespace eqo
