#include "eqo/data/stb_decoder.h"

#include <cstdlib>
#include <memory>

namespace {

// 16-bit RGBA at the largest accepted size is 512 MiB.
constexpr std::size_t kMaxAllocation = std::size_t{640} << 20;
void* bounded_malloc(std::size_t n) { return n > kMaxAllocation ? nullptr : std::malloc(n); }
void* bounded_realloc(void* p, std::size_t n) { return n > kMaxAllocation ? nullptr : std::realloc(p, n); }

}  // namespace

#define STBI_MALLOC(n) bounded_malloc(n)
#define STBI_REALLOC(p, n) bounded_realloc(p, n)
#define STBI_FREE(p) std::free(p)
#define STBI_MAX_DIMENSIONS 16384
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_ONLY_BMP
#define STBI_ASSERT(x) ((void)0)
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#include <stb_image.h>

namespace eqo::stb {

bool read_header(std::span<const std::uint8_t> file, Header& header) {
  int w = 0, h = 0, channels = 0;
  if (stbi_info_from_memory(file.data(), static_cast<int>(file.size()), &w, &h, &channels) == 0) return false;
  // A top-down BMP has a negative height.
  header = {w, h < 0 ? -std::int64_t{h} : std::int64_t{h}};
  return true;
}

std::vector<std::uint8_t> decode_rgb(std::span<const std::uint8_t> file, std::string& error) {
  int w = 0, h = 0, channels = 0;
  const std::unique_ptr<stbi_uc, decltype(&std::free)> pixels(
      stbi_load_from_memory(file.data(), static_cast<int>(file.size()), &w, &h, &channels, 3), &std::free);
  if (pixels == nullptr) {
    const char* reason = stbi_failure_reason();
    error = reason != nullptr ? reason : "unknown";
    return {};
  }
  return {pixels.get(), pixels.get() + std::size_t{3} * static_cast<std::size_t>(w) * static_cast<std::size_t>(h)};
}

}  // namespace eqo::stb
