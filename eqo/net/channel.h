#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eqo/core/party.h"
#include "eqo/core/secret.h"
#include "eqo/net/framing.h"
#include "eqo/net/transport.h"

namespace eqo {

// What one endpoint saw. Bytes include the frame headers (net/framing.h), not TCP's or TLS's.
struct Traffic {
  std::uint64_t sent_bytes = 0;
  std::uint64_t received_bytes = 0;
  // One-way messages that had to wait for one another, over both parties: a message's flight number is one more than
  // the highest number received before it was sent. Both endpoints count the same value.
  std::uint64_t flights = 0;
  friend bool operator==(const Traffic&, const Traffic&) = default;
};

// One message of a trace: who sent it and how many payload bytes. For a fixed plan the trace is the same for any
// weights and any image.
struct Message {
  Party from = Party::kServer;
  std::uint64_t bytes = 0;
  friend bool operator==(const Message&, const Message&) = default;
};

// Messages of known sizes to the other party, with exact accounting. One owner thread. After an error the channel is
// dead: every later call throws connection_error.
class Channel {
 public:
  Channel(Party me, std::unique_ptr<Transport> transport);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  Party party() const { return me_; }
  Transport& transport() { return *transport_; }

  // Sends one message. Never waits for the peer's answer (see Transport::write).
  void send(std::span<const std::byte> payload);
  // Receives one message of exactly payload.size() bytes. A frame of another length or sequence number throws
  // protocol_error that names the scope; nothing is allocated or read by a length from the wire.
  void recv(std::span<std::byte> payload);
  Bytes recv(std::uint64_t bytes);

  // Packed ring elements and bits, at their exact width.
  void send_words(std::span<const Word> words, unsigned bits);
  Words recv_words(std::size_t n, unsigned bits);
  void send_bits(std::span<const std::uint8_t> bits);
  Bits recv_bits(std::size_t n);

  // Orderly end after the last message; the other party does the same. Throws protocol_error if the peer sent more
  // than was received. No message may follow.
  void finish();
  void close() noexcept { transport_->close(); }

  const Traffic& traffic() const { return traffic_; }

  // Names what is going on (a layer, a protocol step) in errors.
  void set_scope(std::string_view scope) { scope_ = scope; }
  const std::string& scope() const { return scope_; }

  // From now on every message is recorded, own and received ones in the order of this endpoint's calls.
  void record_trace() { tracing_ = true; }
  const std::vector<Message>& trace() const { return trace_; }

 private:
  template <typename F>
  void guarded(F operation);
  void send_frame(std::span<const std::byte> payload, std::uint32_t flight);
  FrameHeader recv_header(std::uint64_t length);
  [[noreturn]] void reject(const std::string& what) const;

  Party me_;
  std::unique_ptr<Transport> transport_;
  Traffic traffic_;
  std::uint32_t send_sequence_ = 0, recv_sequence_ = 0;
  std::uint32_t received_flight_ = 0, sent_flight_ = 0;
  std::string scope_ = "handshake";
  bool tracing_ = false, dead_ = false;
  std::vector<Message> trace_;
};

}  // namespace eqo
