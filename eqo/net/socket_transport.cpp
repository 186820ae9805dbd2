#include "eqo/net/socket_transport.h"

#include <algorithm>
#include <utility>

#include "eqo/net/socket_io.h"

namespace eqo {
namespace {

using Clock = std::chrono::steady_clock;

// Less than this much, or than what is left of the call, is no progress.
constexpr std::uint64_t kProgressBytes = std::uint64_t{1} << 16;

// Measures one call against the deadline.
class Patience {
 public:
  Patience(std::chrono::milliseconds deadline, std::uint64_t done)
      : deadline_(deadline), mark_(done), until_(Clock::now() + deadline) {}
  // `done` counts the bytes that have gone through.
  void progress(std::uint64_t done) {
    if (done - mark_ < kProgressBytes) return;
    mark_ = done;
    until_ = Clock::now() + deadline_;
  }
  Clock::time_point until() const { return until_; }
  Error timed_out(const char* what) const {
    return connection_error(std::string(what) + " for " + std::to_string(deadline_.count()) + " ms",
                            "check that the other party is running and reachable, or raise the timeout");
  }

 private:
  std::chrono::milliseconds deadline_;
  std::uint64_t mark_;
  Clock::time_point until_;
};

constexpr const char* kSilent = "nothing came from the peer";
constexpr const char* kStuck = "the peer took no bytes";

}  // namespace

SocketTransport::SocketTransport(std::unique_ptr<SocketStream> stream, const SocketLimits& limits)
    : io_(std::make_unique<Io>(std::move(stream), limits)) {
  io_->start();
}

SocketTransport::~SocketTransport() {
  close();
  io_->join();
}

void SocketTransport::write(std::span<const std::byte> data) {
  if (data.empty()) return;
  constexpr std::size_t kCopyUnderLock = 4096;
  ByteQueue filled;
  if (data.size() > kCopyUnderLock) filled.append(data);
  std::unique_lock lock(io_->mutex);
  Patience patience(io_->deadline, io_->sent_total);
  const auto may_write = [&] {
    io_->check_output();
    return io_->queued < io_->limits.write_queue;
  };
  while (!may_write()) {
    io_->writer_waits = true;
    io_->wake();
    const bool woken = io_->changed.wait_until(lock, patience.until()) == std::cv_status::no_timeout;
    io_->writer_waits = false;
    patience.progress(io_->sent_total);
    if (!woken && Clock::now() >= patience.until() && !may_write()) throw patience.timed_out(kStuck);
  }
  io_->queued += data.size();
  if (filled.empty()) {
    io_->out.append(data);
  } else {
    io_->out.append(std::move(filled));
  }
  io_->wake();
}

void SocketTransport::read(std::span<std::byte> data) {
  std::uint64_t done = io_->arrived.take(data);
  if (done == data.size()) return;
  std::unique_lock lock(io_->mutex);
  Patience patience(io_->deadline, done);
  while (done < data.size()) {
    if (!io_->take_input()) {
      const bool woken = io_->changed.wait_until(lock, patience.until()) == std::cv_status::no_timeout;
      if (!woken && Clock::now() >= patience.until() && io_->in.empty() && !io_->input_over())
        throw patience.timed_out(kSilent);
      continue;
    }
    lock.unlock();
    done += io_->arrived.take(data.subspan(done));
    lock.lock();
    patience.progress(done);
    // Trickling bytes must not keep the call alive.
    if (done < data.size() && Clock::now() >= patience.until())
      throw patience.timed_out("too little came from the peer");
  }
}

void SocketTransport::flush() {
  std::unique_lock lock(io_->mutex);
  Patience patience(io_->deadline, io_->sent_total);
  const auto flushed = [&] {
    io_->check_output();
    return io_->queued == 0;
  };
  while (!flushed()) {
    const bool woken = io_->changed.wait_until(lock, patience.until()) == std::cv_status::no_timeout;
    patience.progress(io_->sent_total);
    if (!woken && Clock::now() >= patience.until() && !flushed()) throw patience.timed_out(kStuck);
  }
}

void SocketTransport::finish() {
  flush();
  std::unique_lock lock(io_->mutex);
  io_->check_output();
  io_->finishing = true;
  io_->wake();
  const Patience patience(io_->deadline, 0);
  const auto extra = [&] { return !io_->arrived.empty() || !io_->in.empty(); };
  const auto over = [&] {
    if (io_->closed) throw io_->closed_error();
    if (extra()) throw protocol_error("the peer sent bytes after the end of the session");
    if (io_->output_error) throw *io_->output_error;
    if (io_->input_error) throw *io_->input_error;
    return io_->output_ended && io_->input_ended;
  };
  while (!over())
    if (io_->changed.wait_until(lock, patience.until()) == std::cv_status::timeout && !over())
      throw patience.timed_out("the peer did not end the session");
}

void SocketTransport::close() noexcept {
  const std::lock_guard lock(io_->mutex);
  io_->closed = true;
  io_->wake();
  io_->changed.notify_all();
}

void SocketTransport::set_deadline(std::chrono::milliseconds deadline) {
  const std::lock_guard lock(io_->mutex);
  io_->deadline = std::min(deadline, kLongestDeadline);
}

}  // namespace eqo
