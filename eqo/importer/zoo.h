#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "eqo/importer/float_graph.h"

namespace eqo {

struct ZooOptions {
  std::int64_t classes = 0;  // 0: the network's own number
  std::int64_t image = 0;    // rows and columns of the image; 0: the network's own size
  std::uint64_t seed = 1;
};

// minionn resnet20 resnet32 resnet18 resnet50 squeezenet
std::vector<std::string> zoo_names();

// A standard network with random weights (uniform of He's variance; the same on every machine for the same seed).
//   minionn           CIFAR-10 network of MiniONN (Liu et al., CCS 2017): 32 x 32, 10 classes
//   resnet20/32       CIFAR ResNets (He et al., 2016), shortcuts without parameters (option A): 32 x 32, 10 classes
//   resnet18          64 x 64 and 200 classes by default; up to 64 x 64 it starts with one 3x3 convolution, above with
//                     ImageNet's 7x7 / 2 and max pooling; 1x1 convolutions as shortcuts
//   resnet50          224 x 224, 1,000 classes; bottleneck blocks with the stride in the 3x3 convolution
//   squeezenet        SqueezeNet 1.1: 224 x 224, 1,000 classes; no batch norm
// Batch norm of the ResNets is kept as kBatchNorm (scale 1, shift 0, mean 0, variance 1), so the graph can be trained.
// Throws usage_error for an unknown name, or classes or image out of range.
FloatGraph make_zoo(std::string_view name, const ZooOptions& options = {});

}  // namespace eqo
