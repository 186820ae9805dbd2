#pragma once
#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "eqo/data/dataset.h"

namespace eqo::testing {

// Stripes in one of four directions under noise: what a small convolutional network can learn, a linear one hardly.
class Stripes final : public Dataset {
 public:
  Stripes(std::size_t n, std::uint32_t seed) {
    std::mt19937 rng(seed);
    for (std::size_t i = 0; i < n; ++i) {
      const int label = static_cast<int>(rng() % 4), phase = static_cast<int>(rng() % 4);
      Image image{{3, 12, 12}, {}};
      for (int p = 0; p < 3 * 144; ++p) {
        const int y = p % 144 / 12, x = p % 12;
        const int along = label == 0 ? y : label == 1 ? x : label == 2 ? x + y : x + 12 - y;
        const int bright = (along + phase) / 2 % 2 == 0 ? 170 : 80;
        image.pixels.push_back(static_cast<std::uint8_t>(bright + static_cast<int>(rng() % 81) - 40));
      }
      images_.push_back(std::move(image));
      labels_.push_back(label);
    }
    classes_ = 4;
  }
  std::size_t size() const override { return images_.size(); }
  int label(std::size_t i) const override { return labels_[i]; }
  Image image(std::size_t i) const override { return images_[i]; }

 private:
  std::vector<Image> images_;
  std::vector<int> labels_;
};

}  // namespace eqo::testing
