#pragma once
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "eqo/data/dataset.h"
#include "eqo/data/preprocess.h"

namespace eqo {

struct Augmentation {
  int pad = 4;       // random crop out of the image with this many zero pixels around it; 0: none
  bool flip = true;  // mirror left to right with probability 1/2
};

// A data set in memory in the model's shape, served as normalized batches in a seeded random order.
class Sampler {
 public:
  // Throws data_error if an image cannot be brought to the model's shape or a label is not below `classes`,
  // resource_error above max_bytes.
  Sampler(const Dataset& data, const Preprocess& preprocess, int classes, std::size_t max_bytes = std::size_t{8} << 30);

  std::size_t size() const { return labels_.size(); }

  // The order of an epoch: a function of seed and epoch alone.
  std::vector<std::uint32_t> order(std::uint64_t seed, int epoch) const;
  // The generator of an epoch's augmentation, likewise.
  static std::mt19937_64 generator(std::uint64_t seed, int epoch);

  // Images `indices`, in that order: images indices.size() x shape.size(), labels indices.size().
  void batch(std::span<const std::uint32_t> indices, std::vector<float>& images,
             std::vector<std::int32_t>& labels) const;
  // The same, each moved and mirrored at random.
  void augmented_batch(std::span<const std::uint32_t> indices, const Augmentation& how, std::mt19937_64& generator,
                       std::vector<float>& images, std::vector<std::int32_t>& labels) const;

 private:
  void normalized(std::uint32_t index, float* out) const;

  Preprocess preprocess_;
  std::vector<std::uint8_t> pixels_;  // one of these two is empty
  std::vector<float> floats_;
  std::vector<std::int32_t> labels_;
};

}  // namespace eqo
