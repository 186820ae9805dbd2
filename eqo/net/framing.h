#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "eqo/core/error.h"

namespace eqo {

// The wire format of a message: frames of at most kMaxFramePayload bytes, each behind a header of three little-endian
// 32-bit words: payload length, sequence number in this direction, flight number. The receiver knows each length and
// sequence number beforehand and only compares; an empty message sends nothing.
inline constexpr std::uint64_t kFrameHeaderBytes = 12;
inline constexpr std::uint64_t kMaxFramePayload = std::uint64_t{1} << 20;

constexpr std::uint64_t frame_count(std::uint64_t payload) {
  return (payload + kMaxFramePayload - 1) / kMaxFramePayload;
}
constexpr std::uint64_t framed_bytes(std::uint64_t payload) {
  return payload + kFrameHeaderBytes * frame_count(payload);
}

struct FrameHeader {
  std::uint32_t length = 0;
  std::uint32_t sequence = 0;
  std::uint32_t flight = 0;
  friend bool operator==(const FrameHeader&, const FrameHeader&) = default;
};
using FrameHeaderBytes = std::array<std::byte, kFrameHeaderBytes>;

constexpr FrameHeaderBytes encode_header(const FrameHeader& h) {
  FrameHeaderBytes out{};
  const std::array<std::uint32_t, 3> words{h.length, h.sequence, h.flight};
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::byte>(words[i / 4] >> (8 * (i % 4)));
  return out;
}

constexpr FrameHeader decode_header(const FrameHeaderBytes& in) {
  std::array<std::uint32_t, 3> words{};
  for (std::size_t i = 0; i < in.size(); ++i) words[i / 4] |= static_cast<std::uint32_t>(in[i]) << (8 * (i % 4));
  return {words[0], words[1], words[2]};
}

// The sequence or flight number after n. Throws resource_error instead of wrapping: a number is never used twice.
constexpr std::uint32_t next_number(std::uint32_t n) {
  if (n == UINT32_MAX) throw resource_error("the session is out of message numbers", "start a new session");
  return n + 1;
}

}  // namespace eqo
