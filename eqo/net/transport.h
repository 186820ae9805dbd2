#pragma once
#include <chrono>
#include <cstddef>
#include <span>

#include "eqo/core/secret.h"

namespace eqo {

// Deadlines are limited to this, so that adding one to a clock never overflows.
inline constexpr std::chrono::milliseconds kLongestDeadline = std::chrono::hours(24 * 365);

// An ordered, reliable, full-duplex byte stream to the other party: a memory pipe, TCP, TLS, or one of them behind a
// simulated link. One owner thread uses it (an implementation may have an I/O thread of its own); only close() may be
// called from any thread.
class Transport {
 public:
  virtual ~Transport() = default;
  // Queues the bytes and returns; sending goes on in the background while the owner computes. It waits only when
  // more than the implementation's bound is queued, and then no longer than the deadline: so both parties may send
  // a message first and receive then. Errors of the background work are thrown by the next call.
  virtual void write(std::span<const std::byte> data) = 0;
  // Fills `data` exactly, or throws connection_error: closed by the peer, reset, or nothing came for the deadline.
  virtual void read(std::span<std::byte> data) = 0;
  // Waits until all queued bytes have left, at most for the deadline.
  virtual void flush() = 0;
  // Orderly end, called by both parties after the last message: sends what is queued, says that nothing follows and
  // waits for the peer to say so too. Bytes that come instead throw protocol_error. Only close() may follow.
  virtual void finish() = 0;
  // Wakes a peer blocked in read(), and this end's own blocked thread, at once. Bytes already queued still leave in the
  // background, for a second at most; the destructor waits for that. Idempotent.
  virtual void close() noexcept = 0;
  // The longest time without progress in read, write, flush and finish. Default 60 s. On a socket, progress is 64 KiB
  // or what is left of the call, whichever is less: a peer that lets bytes trickle can't hold a call for long.
  virtual void set_deadline(std::chrono::milliseconds deadline) = 0;
  // Bytes that only the two ends of this very connection know, equal at both ends, to bind a session to it
  // (TLS exporter, RFC 5705). Empty if the transport isn't authenticated.
  virtual Bytes channel_binding() { return {}; }
};

}  // namespace eqo
