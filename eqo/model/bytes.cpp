#include "eqo/model/bytes.h"

#include <bit>
#include <cmath>
#include <limits>

#include "eqo/core/error.h"

namespace eqo {

void ByteWriter::put(std::uint64_t v, unsigned n) {
  for (unsigned i = 0; i < n; ++i) out_.push_back(static_cast<std::byte>(v >> (8 * i)));
}

void ByteWriter::f64(double v) { put(std::bit_cast<std::uint64_t>(v), 8); }

void ByteWriter::string(std::string_view v) {
  if (v.size() > std::numeric_limits<std::uint32_t>::max()) throw model_error("a text is too long to be stored");
  u32(static_cast<std::uint32_t>(v.size()));
  bytes(std::as_bytes(std::span(v)));
}

void ByteWriter::patch_length(std::size_t at) {
  const std::size_t length = out_.size() - at - 4;
  if (length > std::numeric_limits<std::uint32_t>::max()) throw model_error("a record is too long to be stored");
  for (unsigned i = 0; i < 4; ++i) out_[at + i] = static_cast<std::byte>(length >> (8 * i));
}

void ByteReader::fail(const std::string& reason) const {
  throw model_error(what_ + ": " + reason + " at byte " + std::to_string(at_) + " of " + std::to_string(in_.size()),
                    "the file or message is damaged, or not one of ours: get it again");
}

std::uint64_t ByteReader::get(unsigned n) {
  const auto b = bytes(n);
  std::uint64_t v = 0;
  for (unsigned i = 0; i < n; ++i) v |= static_cast<std::uint64_t>(b[i]) << (8 * i);
  return v;
}

double ByteReader::f64() {
  const double v = std::bit_cast<double>(get(8));
  if (!std::isfinite(v)) fail("a number that is not finite");
  return v;
}

std::span<const std::byte> ByteReader::bytes(std::uint64_t n) {
  if (n > left()) fail("it ends too early (" + std::to_string(n) + " more bytes expected)");
  const auto part = in_.subspan(at_, static_cast<std::size_t>(n));
  at_ += part.size();
  return part;
}

std::string ByteReader::string(std::size_t max_bytes) {
  const std::uint32_t n = u32();
  if (n > max_bytes) fail("a text of " + std::to_string(n) + " bytes, more than " + std::to_string(max_bytes) + ",");
  const auto b = bytes(n);
  std::string text(reinterpret_cast<const char*>(b.data()), b.size());
  if (!clean_text(text)) fail("a text that is not clean UTF-8");
  return text;
}

std::size_t ByteReader::count(std::size_t max_count, std::size_t min_bytes) {
  const std::uint32_t n = u32();
  if (n > max_count || n > left() / min_bytes) fail("an impossible count (" + std::to_string(n) + ")");
  return n;
}

ByteReader ByteReader::record() { return {bytes(u32()), what_}; }

void ByteReader::expect_end() const {
  if (left() != 0) fail(std::to_string(left()) + " bytes too many");
}

bool clean_text(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = lead < 0x80         ? 1
                               : (lead >> 5) == 6  ? 2
                               : (lead >> 4) == 14 ? 3
                               : (lead >> 3) == 30 ? 4
                                                   : 0;
    if (length == 0 || length > text.size() - i) return false;
    char32_t point = length == 1 ? lead : lead & (0x7FU >> length);
    for (std::size_t j = 1; j < length; ++j) {
      const auto next = static_cast<unsigned char>(text[i + j]);
      if ((next & 0xC0) != 0x80) return false;
      point = (point << 6) | (next & 0x3FU);
    }
    constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (point < kSmallest[length] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return false;
    const bool control = point < 0x20 || (point >= 0x7F && point < 0xA0);
    const bool layout = (point >= 0x2028 && point <= 0x202E) || (point >= 0x2066 && point <= 0x2069);
    if (control || layout) return false;
    i += length;
  }
  return true;
}

}  // namespace eqo
