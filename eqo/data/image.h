#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "eqo/core/shape.h"

namespace eqo {

// 8-bit pixels in planes: c * h * w + y * w + x. Photographs are RGB, c = 3.
struct Image {
  Shape shape;
  std::vector<std::uint8_t> pixels;
};

inline constexpr std::size_t kMaxImageFileBytes = std::size_t{64} << 20;
inline constexpr std::int64_t kMaxImageSide = 16384;
inline constexpr std::int64_t kMaxImagePixels = std::int64_t{64} << 20;

// Decodes PNG, JPEG (baseline and progressive) or uncompressed BMP to RGB. Grey is replicated, palettes are looked up,
// 16 bits are cut to 8, alpha is dropped (not blended), the EXIF orientation of a JPEG is applied. The size that the
// header claims is checked before anything is allocated for it. `name` is for the messages only.
// Throws data_error: not one of these formats, truncated, malformed, CMYK, larger than the limits above.
Image decode_image(std::span<const std::uint8_t> file, const std::string& name);

// read_file + decode_image.
Image load_image(const std::string& path);

}  // namespace eqo
