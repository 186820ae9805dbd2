#include "eqo/data/jpeg_markers.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace eqo {
namespace {

using Bytes = std::span<const std::uint8_t>;

std::uint32_t be16(Bytes b, std::size_t i) { return static_cast<std::uint32_t>(b[i]) << 8 | b[i + 1]; }

// EXIF: "Exif\0\0", then a TIFF file: byte order, 42, offset of the first directory; entries of 12 bytes.
int exif_orientation(Bytes segment) {
  static constexpr std::array<std::uint8_t, 6> kTag = {'E', 'x', 'i', 'f', 0, 0};
  if (segment.size() < kTag.size() + 8 || !std::equal(kTag.begin(), kTag.end(), segment.begin())) return 1;
  const Bytes tiff = segment.subspan(kTag.size());
  const bool little = tiff[0] == 'I' && tiff[1] == 'I';
  if (!little && !(tiff[0] == 'M' && tiff[1] == 'M')) return 1;
  const auto u16 = [&](std::size_t i) {
    return little ? static_cast<std::uint32_t>(tiff[i + 1]) << 8 | tiff[i] : be16(tiff, i);
  };
  const auto u32 = [&](std::size_t i) { return little ? u16(i + 2) << 16 | u16(i) : u16(i) << 16 | u16(i + 2); };
  if (u16(2) != 42) return 1;
  const std::size_t directory = u32(4);
  if (directory > tiff.size() - 2) return 1;
  const std::size_t available = (tiff.size() - directory - 2) / 12;
  const std::size_t entries = std::min<std::size_t>(u16(directory), available);
  for (std::size_t e = 0; e < entries; ++e) {
    const std::size_t at = directory + 2 + 12 * e;
    if (u16(at) != 0x0112) continue;
    const std::uint32_t value = u16(at + 8);
    const bool is_one_short = u16(at + 2) == 3 && u32(at + 4) == 1;
    return is_one_short && value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

bool is_frame_header(std::uint8_t m) { return m >= 0xC0 && m <= 0xCF && m != 0xC4 && m != 0xC8 && m != 0xCC; }

// A DHT segment: tables of a class and number byte, 16 counts and as many symbols as they add up to. The codes of each
// length must exist: n bits have room for 2^n codes, less those that shorter codes begin.
bool huffman_tables_are_sound(Bytes body) {
  while (!body.empty()) {
    if (body.size() < 17) return false;
    std::uint32_t symbols = 0, room = 1;
    for (std::size_t i = 1; i <= 16; ++i) {
      room *= 2;
      if (body[i] > room) return false;
      room -= body[i];
      symbols += body[i];
    }
    if (symbols > 256 || body.size() < 17 + symbols) return false;
    body = body.subspan(17 + symbols);
  }
  return true;
}

// The first marker at or after `i` inside entropy-coded data: stuffed zeros, fill bytes and restarts are skipped.
std::size_t skip_scan(Bytes file, std::size_t i) {
  for (; i + 1 < file.size(); ++i) {
    if (file[i] != 0xFF) continue;
    const std::uint8_t next = file[i + 1];
    if (next != 0 && next != 0xFF && !(next >= 0xD0 && next <= 0xD7)) return i;
  }
  return file.size();
}

}  // namespace

JpegMarkers scan_jpeg(Bytes file) {
  JpegMarkers found;
  std::size_t i = 2;  // after the start-of-image marker
  bool have_exif = false;
  while (i + 1 < file.size() && file[i] == 0xFF) {
    const std::uint8_t marker = file[i + 1];
    if (marker == 0xFF) {
      ++i;
      continue;
    }
    if (marker == 0xD9) {
      found.complete = true;
      break;
    }
    if (i + 4 > file.size()) break;
    const std::size_t length = be16(file, i + 2);
    if (length < 2 || length > file.size() - i - 2) break;
    const Bytes body = file.subspan(i + 4, length - 2);
    if (is_frame_header(marker)) {
      found.sound = found.sound && found.components == 0 && body.size() >= 6 && body[5] != 0;
      if (body.size() >= 6) found.components = body[5];
    }
    if (marker == 0xC4) found.sound = found.sound && huffman_tables_are_sound(body);
    if (marker == 0xE1 && !have_exif && body.size() >= 4 && body[0] == 'E' && body[1] == 'x') {
      found.orientation = exif_orientation(body);
      have_exif = true;
    }
    i += 2 + length;
    if (marker == 0xDA) i = skip_scan(file, i);
  }
  return found;
}

}  // namespace eqo
