#pragma once
#include <memory>
#include <span>

#include "eqo/net/socket.h"
#include "eqo/net/transport.h"

namespace eqo {

// What SocketTransport needs of a connection: non-blocking steps, all from its I/O thread. Every function may throw
// connection_error or tls_error, after which that direction is not used again.
class SocketStream {
 public:
  enum class Status {
    kDone,       // some bytes went through
    kWantRead,   // try again when the socket is readable
    kWantWrite,  // try again when the socket is writable
    kEnd         // the peer ended its direction in order
  };
  struct Outcome {
    Status status = Status::kDone;
    std::size_t bytes = 0;
  };
  virtual ~SocketStream() = default;
  virtual int fd() const = 0;
  virtual Outcome read_some(std::span<std::byte> out) = 0;
  // After kWant..., the next call is given the same bytes, perhaps with more behind them.
  virtual Outcome write_some(std::span<const std::byte> data) = 0;
  // Says that nothing follows. kDone once that has been said.
  virtual Outcome end_writing() = 0;
};

// Bounds, in bytes, of what is queued in this process. Reading ahead of the owner goes on to the larger bound while the
// owner itself waits in write(): so two parties can send each other that much before they receive.
struct SocketLimits {
  std::size_t write_queue = std::size_t{64} << 20;
  std::size_t read_ahead = std::size_t{16} << 20;
  std::size_t read_ahead_in_write = std::size_t{256} << 20;
};

// A Transport over a stream, with one I/O thread. write() accepts bytes whenever less than the bound is queued. read()
// and write() may be called by two different threads (one each).
class SocketTransport : public Transport {
 public:
  explicit SocketTransport(std::unique_ptr<SocketStream> stream, const SocketLimits& limits = {});
  ~SocketTransport() override;
  void write(std::span<const std::byte> data) final;
  void read(std::span<std::byte> data) final;
  void flush() final;
  void finish() final;
  void close() noexcept final;
  void set_deadline(std::chrono::milliseconds deadline) final;

 private:
  class Io;
  std::unique_ptr<Io> io_;
};

}  // namespace eqo
