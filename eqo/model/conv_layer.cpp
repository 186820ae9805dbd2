#include "eqo/model/conv_layer.h"

namespace eqo {

ConvShape conv_shape(const Node& node, const Shape& input) {
  return {input, node.type.shape.c, node.groups, node.window, node.domain};
}

ConvWeights conv_weights(const Node& node, const NodeSecrets& secrets) {
  ConvWeights weights;
  weights.codes.assign(secrets.weights.begin(), secrets.weights.end());
  weights.formats = node.codes;
  return weights;
}

}  // namespace eqo
