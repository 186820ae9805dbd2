#pragma once
#include <cstdint>
#include <span>

namespace eqo {

// What the segments of a JPEG file say, without decoding it.
struct JpegMarkers {
  bool complete = false;  // the markers lead to an end-of-image marker
  bool sound = true;    // one frame header, no Huffman table of more than the 256 symbols that the decoder has room for
  int components = 0;   // of the frame header; 4 is CMYK
  int orientation = 1;  // EXIF tag 0x0112 (1..8); 1 if absent or malformed
};

// Walks the markers with every offset checked; never throws and never reads outside `file`.
JpegMarkers scan_jpeg(std::span<const std::uint8_t> file);

}  // namespace eqo
