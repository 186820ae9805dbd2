#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "eqo/core/secret.h"

namespace eqo {

// The binary encoding of plans and model files: little-endian integers of fixed width, doubles as their bits, strings
// and records behind a u32 length. Nothing is padded and nothing is optional, so equal values give equal bytes.
//
// To add a field: write it at the end of its record, give it a default, read it only where the file's minor version
// has it (`if (minor >= 1)`), and raise kPlanMinor or kModelMinor. A reader that is older skips the rest of a record,
// so only fields that don't change a result may come that way; anything else raises the major version.
class ByteWriter {
 public:
  void u8(std::uint8_t v) { put(v, 1); }
  void u16(std::uint16_t v) { put(v, 2); }
  void u32(std::uint32_t v) { put(v, 4); }
  void u64(std::uint64_t v) { put(v, 8); }
  void i64(std::int64_t v) { put(static_cast<std::uint64_t>(v), 8); }
  void f64(double v);
  void bytes(std::span<const std::byte> v) { out_.insert(out_.end(), v.begin(), v.end()); }
  void string(std::string_view v);
  // What `body` writes, behind its length.
  template <typename Body>
  void record(const Body& body) {
    const std::size_t at = out_.size();
    u32(0);
    body();
    patch_length(at);
  }
  std::size_t size() const { return out_.size(); }
  std::span<const std::byte> view() const { return out_; }

 private:
  void put(std::uint64_t v, unsigned n);
  void patch_length(std::size_t at);
  Bytes out_;
};

// Reads what ByteWriter wrote from bytes that may be hostile: every read is checked against the bytes that are left,
// before anything is allocated. Throws model_error that starts with `what` and says where.
class ByteReader {
 public:
  ByteReader(std::span<const std::byte> in, std::string what) : in_(in), what_(std::move(what)) {}

  std::uint8_t u8() { return static_cast<std::uint8_t>(get(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(get(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(get(4)); }
  std::uint64_t u64() { return get(8); }
  std::int64_t i64() { return static_cast<std::int64_t>(get(8)); }
  double f64();  // finite, else model_error
  std::span<const std::byte> bytes(std::uint64_t n);
  // At most max_bytes long, clean_text().
  std::string string(std::size_t max_bytes);
  // A u32 count of things that take at least min_bytes (>= 1) each, at most max_count.
  std::size_t count(std::size_t max_count, std::size_t min_bytes);
  // The next record; the caller reads it with the reader returned.
  ByteReader record();

  std::size_t left() const { return in_.size() - at_; }
  void expect_end() const;
  [[noreturn]] void fail(const std::string& reason) const;

 private:
  std::uint64_t get(unsigned n);
  std::span<const std::byte> in_;
  std::string what_;
  std::size_t at_ = 0;
};

// Valid UTF-8 without control characters (C0, DEL, C1), surrogates, overlong forms or the Unicode line separators and
// directional overrides that could make a terminal show something else: what a name in a plan may hold.
bool clean_text(std::string_view text);

}  // namespace eqo
