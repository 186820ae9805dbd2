#include "eqo/net/memory_transport.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <string>

#include "eqo/core/error.h"
#include "eqo/net/byte_queue.h"

namespace eqo {
namespace {

// One direction.
struct Pipe {
  std::mutex mutex;
  std::condition_variable arrived;
  ByteQueue queue;
  bool writer_done = false;  // nothing will follow
  bool reader_gone = false;  // nobody will read
};

class MemoryTransport final : public Transport {
 public:
  MemoryTransport(std::shared_ptr<Pipe> out, std::shared_ptr<Pipe> in) : out_(std::move(out)), in_(std::move(in)) {}
  ~MemoryTransport() override { close(); }

  void write(std::span<const std::byte> data) override {
    if (data.empty()) return;
    constexpr std::size_t kCopyUnderLock = 4096;
    ByteQueue filled;
    if (data.size() > kCopyUnderLock) filled.append(data);
    {
      const std::lock_guard lock(out_->mutex);
      if (out_->writer_done) throw connection_error("the connection is closed");
      if (out_->reader_gone) throw connection_error("the peer closed the connection");
      if (filled.empty()) {
        out_->queue.append(data);
      } else {
        out_->queue.append(std::move(filled));
      }
    }
    out_->arrived.notify_one();
  }

  void read(std::span<std::byte> data) override {
    for (;;) {
      data = data.subspan(arrived_.take(data));
      if (data.empty()) return;
      if (!wait()) throw connection_error("the peer closed the connection");
    }
  }

  void flush() override {}

  void finish() override {
    {
      const std::lock_guard lock(out_->mutex);
      out_->writer_done = true;
    }
    out_->arrived.notify_all();
    if (!arrived_.empty() || wait()) throw protocol_error("the peer sent bytes after the end of the session");
  }

  void close() noexcept override {
    {
      const std::lock_guard lock(out_->mutex);
      out_->writer_done = true;
    }
    out_->arrived.notify_all();
    {
      const std::lock_guard lock(in_->mutex);
      in_->reader_gone = true;
    }
    in_->arrived.notify_all();
  }

  void set_deadline(std::chrono::milliseconds deadline) override { deadline_ = std::min(deadline, kLongestDeadline); }

 private:
  // Waits for bytes and takes all there are, so that most reads need no lock. False at the end of the stream.
  bool wait() {
    std::unique_lock lock(in_->mutex);
    const bool woke = in_->arrived.wait_for(
        lock, deadline_, [&] { return !in_->queue.empty() || in_->writer_done || in_->reader_gone; });
    if (in_->reader_gone) throw connection_error("the connection is closed");
    if (!woke) throw timed_out(deadline_);
    arrived_.append(std::move(in_->queue));
    return !arrived_.empty();
  }

  static Error timed_out(std::chrono::milliseconds deadline) {
    return connection_error("nothing came from the peer for " + std::to_string(deadline.count()) + " ms",
                            "check that the other party is running and reachable, or raise the timeout");
  }

  std::shared_ptr<Pipe> out_, in_;
  ByteQueue arrived_;
  std::chrono::milliseconds deadline_{60'000};
};

}  // namespace

std::pair<std::unique_ptr<Transport>, std::unique_ptr<Transport>> make_memory_transports() {
  const auto there = std::make_shared<Pipe>(), back = std::make_shared<Pipe>();
  return {std::make_unique<MemoryTransport>(there, back), std::make_unique<MemoryTransport>(back, there)};
}

}  // namespace eqo
