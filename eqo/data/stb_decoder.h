#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace eqo::stb {

// The third-party decoder (stb_image) behind an interface without its types: interleaved RGB, w * h * 3 bytes.
// Its allocations are capped, so a bomb fails instead of filling the memory.
struct Header {
  std::int64_t w = 0, h = 0;
};
bool read_header(std::span<const std::uint8_t> file, Header& header);
// Empty, with the decoder's reason in `error`, if the file cannot be decoded.
std::vector<std::uint8_t> decode_rgb(std::span<const std::uint8_t> file, std::string& error);

}  // namespace eqo::stb
