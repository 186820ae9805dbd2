#pragma once
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "eqo/core/error.h"
#include "eqo/net/byte_queue.h"
#include "eqo/net/socket.h"
#include "eqo/net/socket_transport.h"

namespace eqo {

// The state that SocketTransport's owner and its I/O thread share, and the I/O thread itself. Internal to net.
class SocketTransport::Io {
 public:
  Io(std::unique_ptr<SocketStream> connection, const SocketLimits& bounds);
  void start();
  void join();

  // --- everything below is used with the mutex held, except `arrived`, which is the reading thread's own ---

  // Tells the I/O thread to look at the state again.
  void wake();
  // Throws if nothing can be written any more.
  void check_output() const;
  // Moves what came to `arrived`. False if nothing is there yet; throws if nothing will come.
  bool take_input();
  bool input_over() const { return closed || input_ended || input_error.has_value(); }
  Error closed_error() const { return connection_error("the connection is closed"); }

  std::mutex mutex;
  std::condition_variable changed;  // for the owner
  const SocketLimits limits;
  std::chrono::milliseconds deadline{60'000};

  ByteQueue out;                 // written by the owner, not yet taken by the I/O thread
  std::uint64_t queued = 0;      // bytes accepted and not yet given to the socket
  std::uint64_t sent_total = 0;  // bytes given to the socket
  bool writer_waits = false;     // the owner waits in write()
  bool finishing = false, output_ended = false;
  std::optional<Error> output_error;

  ByteQueue in;  // read from the socket, not yet taken by the owner
  bool input_ended = false;
  std::optional<Error> input_error;

  bool closed = false;

  ByteQueue arrived;

 private:
  struct Direction;
  void run();
  void loop();
  void write_step(Direction& d, bool ends);
  void read_step(Direction& d);
  void sleep(Direction& output, Direction& input, bool may_read, bool may_write, int timeout_ms);
  bool read_allowed() const;

  std::unique_ptr<SocketStream> stream_;
  Socket wake_event_;
  bool woken_ = false, asleep_ = false;
  std::thread thread_;
};

}  // namespace eqo
