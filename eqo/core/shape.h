#pragma once
#include <cstdint>
#include <string>

namespace eqo {

// The shape of one image's tensor, without the batch. Layout everywhere: c * h * w + y * w + x. Vectors are (n, 1, 1).
struct Shape {
  std::int64_t c = 0, h = 1, w = 1;
  constexpr std::int64_t size() const { return c * h * w; }
  std::string to_string() const { return std::to_string(c) + "x" + std::to_string(h) + "x" + std::to_string(w); }
  friend constexpr bool operator==(const Shape&, const Shape&) = default;
};

// A sliding window: convolution or pooling.
struct Window {
  std::int64_t kernel_h = 1, kernel_w = 1;
  std::int64_t stride_h = 1, stride_w = 1;
  std::int64_t pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
  std::int64_t dilation_h = 1, dilation_w = 1;
  // Output positions along each axis; the caller has checked that the window fits.
  constexpr std::int64_t out_h(std::int64_t h) const {
    return (h + pad_top + pad_bottom - dilation_h * (kernel_h - 1) - 1) / stride_h + 1;
  }
  constexpr std::int64_t out_w(std::int64_t w) const {
    return (w + pad_left + pad_right - dilation_w * (kernel_w - 1) - 1) / stride_w + 1;
  }
  friend constexpr bool operator==(const Window&, const Window&) = default;
};

}  // namespace eqo
