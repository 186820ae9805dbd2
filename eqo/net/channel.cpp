#include "eqo/net/channel.h"

#include <algorithm>
#include <array>
#include <utility>

#include "eqo/core/bits.h"
#include "eqo/core/error.h"

namespace eqo {
namespace {

// Frames up to this payload leave in one write together with their header.
constexpr std::size_t kJoinedBytes = 4096;

// Scopes may come from a plan that the peer sent: nothing of them may reach a terminal unprinted.
std::string printable(std::string_view text) {
  constexpr std::size_t kLongest = 120;
  std::string out(text.substr(0, kLongest));
  for (char& c : out)
    if (c < ' ' || c > '~') c = '?';
  return out;
}

std::size_t checked_packed_bytes(std::size_t n, unsigned bits) {
  if (bits < 1 || bits > 64) throw internal_error("channel: element width must be in 1..64");
  if (n > (std::size_t{1} << 56)) throw internal_error("channel: too many elements in one message");
  return packed_bytes(n, bits);
}

}  // namespace

Channel::Channel(Party me, std::unique_ptr<Transport> transport) : me_(me), transport_(std::move(transport)) {
  if (!transport_) throw internal_error("channel: no transport");
}

Channel::~Channel() = default;

// The channel is dead while an operation runs and stays so if it throws.
template <typename F>
void Channel::guarded(F operation) {
  if (dead_) throw connection_error("the channel to the " + std::string(party_name(other(me_))) + " is closed");
  dead_ = true;
  try {
    operation();
  } catch (const Error& e) {
    throw Error(e.category(), std::string(e.what()) + " (in '" + printable(scope_) + "')", e.hint());
  }
  dead_ = false;
}

void Channel::reject(const std::string& what) const {
  throw protocol_error("unexpected message from the " + std::string(party_name(other(me_))) + ": " + what,
                       "both parties must run the same version of this program");
}

void Channel::send(std::span<const std::byte> payload) {
  guarded([&] {
    if (payload.empty()) return;
    if (tracing_) trace_.push_back({me_, payload.size()});
    const std::uint32_t flight = next_number(received_flight_);
    for (std::size_t at = 0; at < payload.size(); at += kMaxFramePayload)
      send_frame(payload.subspan(at, std::min<std::size_t>(kMaxFramePayload, payload.size() - at)), flight);
    sent_flight_ = flight;
    traffic_.sent_bytes += framed_bytes(payload.size());
    traffic_.flights = std::max<std::uint64_t>(traffic_.flights, flight);
  });
}

void Channel::send_frame(std::span<const std::byte> payload, std::uint32_t flight) {
  const std::uint32_t following = next_number(send_sequence_);
  const auto header = encode_header({static_cast<std::uint32_t>(payload.size()), send_sequence_, flight});
  if (payload.size() <= kJoinedBytes) {
    std::array<std::byte, kFrameHeaderBytes + kJoinedBytes> frame;
    std::copy(header.begin(), header.end(), frame.begin());
    std::copy(payload.begin(), payload.end(), frame.begin() + kFrameHeaderBytes);
    transport_->write(std::span(frame).first(kFrameHeaderBytes + payload.size()));
  } else {
    transport_->write(header);
    transport_->write(payload);
  }
  send_sequence_ = following;
}

void Channel::recv(std::span<std::byte> payload) {
  guarded([&] {
    for (std::size_t at = 0; at < payload.size(); at += kMaxFramePayload) {
      const auto part = payload.subspan(at, std::min<std::size_t>(kMaxFramePayload, payload.size() - at));
      const FrameHeader h = recv_header(part.size());
      if (at > 0 && h.flight != received_flight_) reject("its flight number changed within a message");
      received_flight_ = h.flight;
      transport_->read(part);
    }
    if (payload.empty()) return;
    if (tracing_) trace_.push_back({other(me_), payload.size()});
    traffic_.received_bytes += framed_bytes(payload.size());
    traffic_.flights = std::max<std::uint64_t>(traffic_.flights, received_flight_);
  });
}

FrameHeader Channel::recv_header(std::uint64_t length) {
  const std::uint32_t following = next_number(recv_sequence_);
  FrameHeaderBytes raw;
  transport_->read(raw);
  const FrameHeader h = decode_header(raw);
  const auto got = [](std::uint64_t want, std::uint64_t have) {
    return std::to_string(want) + ", got " + std::to_string(have);
  };
  if (h.length != length) reject("expected a length of " + got(length, h.length));
  if (h.sequence != recv_sequence_) reject("expected sequence number " + got(recv_sequence_, h.sequence));
  // It answers nothing that was not sent, and never fewer messages than the one before it did.
  if (h.flight < std::max<std::uint32_t>(received_flight_, 1) || h.flight > std::uint64_t{sent_flight_} + 1)
    reject("flight number " + std::to_string(h.flight) + " is out of order");
  recv_sequence_ = following;
  return h;
}

Bytes Channel::recv(std::uint64_t bytes) {
  Bytes out(bytes);
  recv(std::span<std::byte>(out));
  return out;
}

void Channel::send_words(std::span<const Word> words, unsigned bits) {
  checked_packed_bytes(words.size(), bits);
  send(pack(words, bits));
}

Words Channel::recv_words(std::size_t n, unsigned bits) {
  return unpack(recv(std::uint64_t{checked_packed_bytes(n, bits)}), n, bits);
}

void Channel::send_bits(std::span<const std::uint8_t> bits) { send(pack_bits(bits)); }

Bits Channel::recv_bits(std::size_t n) { return unpack_bits(recv(std::uint64_t{checked_packed_bytes(n, 1)}), n); }

void Channel::finish() {
  guarded([&] { transport_->finish(); });
  dead_ = true;
}

}  // namespace eqo
