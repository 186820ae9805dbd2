#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "eqo/importer/float_graph.h"

namespace eqo {

// Internal to the layer: the only header that shows libtorch. Parameters of one node; undefined where it has none.
struct TorchNode {
  at::Tensor weight, bias;    // of batch norm: scale and shift
  at::Tensor mean, variance;  // running statistics; updated in place by a forward pass in training mode
  bool relu_in_place = false;
  at::Tensor taps;  // of a 3x3 convolution's weight in Winograd's domain [16][K * C]: used instead; not for training
  bool taps_by_kernels =
      false;  // by what they amount to (tap_convolution.h), which is differentiable as often as wanted
};

// The graph on a batch N x C x H x W (channels-last memory): logits N x output size. nodes[i] belongs to
// graph.nodes[i].
at::Tensor torch_forward(const FloatGraph& graph, const std::vector<TorchNode>& nodes, const at::Tensor& images,
                         bool training);

}  // namespace eqo
