#include "eqo/data/image.h"

#include <algorithm>
#include <array>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/data/file.h"
#include "eqo/data/jpeg_markers.h"
#include "eqo/data/stb_decoder.h"

namespace eqo {
namespace {

using Bytes = std::span<const std::uint8_t>;
enum class Format { kUnknown, kPng, kJpeg, kBmp };

Format format_of(Bytes file) {
  static constexpr std::array<std::uint8_t, 8> kPng = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  if (file.size() >= kPng.size() && std::equal(kPng.begin(), kPng.end(), file.begin())) return Format::kPng;
  if (file.size() >= 3 && file[0] == 0xFF && file[1] == 0xD8 && file[2] == 0xFF) return Format::kJpeg;
  if (file.size() >= 2 && file[0] == 'B' && file[1] == 'M') return Format::kBmp;
  return Format::kUnknown;
}

std::uint64_t little_endian(Bytes file, std::size_t at, std::size_t bytes) {
  std::uint64_t v = 0;
  for (std::size_t i = bytes; i-- > 0;) v = v << 8 | file[at + i];
  return v;
}

// The decoder reads zeros past the end of a BMP; so the pixels must be there.
bool bmp_is_complete(Bytes file, const stb::Header& header) {
  if (file.size() < 30) return false;
  const std::uint64_t offset = little_endian(file, 10, 4);
  const bool core_header = little_endian(file, 14, 4) == 12;
  const std::uint64_t bits = little_endian(file, core_header ? 24 : 28, 2);
  if (bits == 0 || bits > 32) return false;
  const std::uint64_t row = (static_cast<std::uint64_t>(header.w) * bits + 31) / 32 * 4;
  return offset + row * static_cast<std::uint64_t>(header.h) <= file.size();
}

// Interleaved RGB to planes, turned so that the picture stands upright. Orientation o is what EXIF calls it: the
// stored rows and columns are (o = 1) top/left, 2 top/right, 3 bottom/right, 4 bottom/left, 5..8 the same transposed.
Image to_planes(const std::vector<std::uint8_t>& rgb, std::int64_t w, std::int64_t h, int orientation) {
  const bool transpose = orientation >= 5;
  const bool flip_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool flip_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  Image out{{3, transpose ? w : h, transpose ? h : w}, {}};
  out.pixels.resize(rgb.size());
  const std::int64_t plane = w * h;
  for (std::int64_t y = 0; y < out.shape.h; ++y) {
    for (std::int64_t x = 0; x < out.shape.w; ++x) {
      std::int64_t source_x = transpose ? y : x, source_y = transpose ? x : y;
      if (flip_x) source_x = w - 1 - source_x;
      if (flip_y) source_y = h - 1 - source_y;
      const std::int64_t from = 3 * (source_y * w + source_x), to = y * out.shape.w + x;
      for (std::int64_t c = 0; c < 3; ++c) {
        out.pixels[static_cast<std::size_t>(c * plane + to)] = rgb[static_cast<std::size_t>(from + c)];
      }
    }
  }
  return out;
}

}  // namespace

Image decode_image(Bytes file, const std::string& name) {
  const char* hint = "give a PNG, JPEG or BMP file that an image viewer opens";
  if (file.empty()) throw data_error(name + ": the file is empty", hint);
  if (file.size() > kMaxImageFileBytes) throw data_error(name + ": the file is too large for an image", hint);
  const Format format = format_of(file);
  if (format == Format::kUnknown) throw data_error(name + ": not a PNG, JPEG or BMP file", hint);
  JpegMarkers jpeg;
  if (format == Format::kJpeg) {
    jpeg = scan_jpeg(file);
    if (!jpeg.complete) throw data_error(name + ": the JPEG file is truncated", hint);
    if (!jpeg.sound) throw data_error(name + ": malformed JPEG file", hint);
    if (jpeg.components == 4) throw data_error(name + ": CMYK JPEG is not supported", "convert the image to RGB");
  }
  stb::Header header;
  if (!stb::read_header(file, header) || header.w <= 0 || header.h <= 0) {
    throw data_error(name + ": malformed image header", hint);
  }
  if (header.w > kMaxImageSide || header.h > kMaxImageSide || header.w * header.h > kMaxImagePixels) {
    throw data_error(name + ": an image of " + std::to_string(header.w) + "x" + std::to_string(header.h) +
                         " pixels is over the limit",
                     "scale it down before use");
  }
  if (format == Format::kBmp && !bmp_is_complete(file, header)) {
    throw data_error(name + ": the BMP file is truncated", hint);
  }
  std::string error;
  const std::vector<std::uint8_t> rgb = stb::decode_rgb(file, error);
  if (rgb.size() != static_cast<std::size_t>(3 * header.w * header.h)) {
    throw data_error(name + ": cannot be decoded (" + error + ")", hint);
  }
  return to_planes(rgb, header.w, header.h, jpeg.orientation);
}

Image load_image(const std::string& path) { return decode_image(read_file(path, kMaxImageFileBytes), path); }

}  // namespace eqo
