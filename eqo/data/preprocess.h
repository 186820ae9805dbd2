#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "eqo/core/shape.h"
#include "eqo/data/image.h"

namespace eqo {

inline constexpr std::int64_t kMaxInputChannels = 4096;

// How pixels become the model's input: x = (pixel / 255 - mean) / std for each channel. A plain value, so that a model
// file can carry it. A model of one channel uses the first mean and deviation.
struct Preprocess {
  // The model's input. With other than 1 or 3 channels it takes no pictures, only float32 data sets.
  Shape shape;
  int resize_shorter = 0;  // scale the shorter side to this before the centre crop; 0: the smallest scale that covers
  std::array<double, 3> mean{0.485, 0.456, 0.406};
  std::array<double, 3> std{0.229, 0.224, 0.225};

  // Throws usage_error: shape out of range, resize_shorter smaller than the crop, a deviation that is not positive.
  void check() const;

  // The image scaled (triangle filter, antialiased: each output pixel is the weighted mean of the pixels under it) and
  // cropped to `shape`, still 8 bits. An image that already has the model's height and width is not scaled. Grey is
  // replicated for a model of three channels; for a model of one channel RGB becomes its luma (ITU-R BT.601).
  Image fit(const Image& image) const;

  // fit + to_float: shape.size() values.
  std::vector<float> apply(const Image& image) const;

  // Throws data_error unless shape has 1 or 3 channels; so do fit, apply and to_float.
  void check_takes_pictures() const;

  // Normalizes pixels that already have `shape`. Arithmetic only, no table: pixels are secrets.
  void to_float(const std::uint8_t* pixels, float* out) const;

  friend bool operator==(const Preprocess&, const Preprocess&) = default;
};

}  // namespace eqo
