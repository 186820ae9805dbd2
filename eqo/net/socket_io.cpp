#include "eqo/net/socket_io.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <tuple>
#include <utility>

namespace eqo {
namespace {

using Clock = std::chrono::steady_clock;
using Status = SocketStream::Status;

constexpr std::uint64_t kStepBytes = std::uint64_t{1} << 18;  // per direction, before the other one gets its turn
constexpr auto kLinger = std::chrono::seconds(1);

short events_for(Status s) {
  if (s == Status::kEnd) throw connection_error("the peer closed the connection");
  return s == Status::kWantRead ? POLLIN : POLLOUT;
}

}  // namespace

struct SocketTransport::Io::Direction {
  ByteQueue bytes;
  short waits = 0;  // poll events that the next step needs; 0: it may be tried now
  bool over = false;
};

SocketTransport::Io::Io(std::unique_ptr<SocketStream> connection, const SocketLimits& bounds)
    : limits(bounds), stream_(std::move(connection)), wake_event_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (wake_event_.fd() < 0)
    throw resource_error("cannot create an event descriptor: " + std::generic_category().message(errno),
                         "allow this process more open files");
}

// The I/O thread takes no signals: they are the program's main thread's.
void SocketTransport::Io::start() {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error&) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw resource_error("cannot start a thread for the connection", "allow this process more threads");
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void SocketTransport::Io::join() {
  if (thread_.joinable()) thread_.join();
}

void SocketTransport::Io::wake() {
  woken_ = true;
  if (!asleep_) return;
  asleep_ = false;
  const std::uint64_t one = 1;
  std::ignore = ::write(wake_event_.fd(), &one, sizeof one);  // can fail only if it is signalled already
}

void SocketTransport::Io::check_output() const {
  if (closed || finishing) throw closed_error();
  if (!output_error) return;
  // The reason that the peer gave says more than the broken pipe that followed.
  throw input_error && input_error->category() == Category::kTls ? *input_error : *output_error;
}

bool SocketTransport::Io::read_allowed() const {
  return !closed && in.size() < (writer_waits ? limits.read_ahead_in_write : limits.read_ahead);
}

bool SocketTransport::Io::take_input() {
  if (closed) throw closed_error();
  if (in.empty()) {
    if (input_error) throw *input_error;
    if (input_ended) throw connection_error("the peer closed the connection", "see the other party's messages");
    return false;
  }
  const bool was_full = !read_allowed();
  arrived.append(std::move(in));
  if (was_full) wake();
  return true;
}

void SocketTransport::Io::run() {
  try {
    loop();
  } catch (const std::exception&) {
    const std::lock_guard lock(mutex);
    input_error = output_error = resource_error("out of memory while receiving or sending");
    changed.notify_all();
  }
  ::shutdown(stream_->fd(), SHUT_RDWR);
}

void SocketTransport::Io::loop() {
  Direction output, input;
  std::optional<Clock::time_point> linger;
  for (;;) {
    bool ends, closing, may_read;
    {
      const std::lock_guard lock(mutex);
      woken_ = asleep_ = false;
      output.bytes.append(std::move(out));
      ends = finishing || closed;
      closing = closed;
      may_read = read_allowed() && !input.over;
    }
    const bool may_write = !output.over && (ends || !output.bytes.empty());
    int timeout_ms = -1;
    if (closing) {
      if (!linger) linger = Clock::now() + kLinger;
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*linger - Clock::now()).count();
      if (output.over || left <= 0) return;
      timeout_ms = static_cast<int>(left);
    }
    const bool write_now = may_write && output.waits == 0, read_now = may_read && input.waits == 0;
    if (write_now) write_step(output, ends);
    if (read_now) read_step(input);
    if (!write_now && !read_now) sleep(output, input, may_read, may_write, timeout_ms);
  }
}

void SocketTransport::Io::write_step(Direction& d, bool ends) {
  std::uint64_t sent = 0;
  std::optional<Error> error;
  bool ended = false;
  try {
    while (!d.bytes.empty() && sent < kStepBytes && d.waits == 0) {
      const auto o = stream_->write_some(d.bytes.front());
      if (o.status == Status::kDone) {
        d.bytes.pop(o.bytes);
        sent += o.bytes;
      } else {
        d.waits = events_for(o.status);
      }
    }
    if (ends && d.bytes.empty() && d.waits == 0) {
      const auto o = stream_->end_writing();
      if (o.status == Status::kDone) {
        ended = true;
      } else {
        d.waits = events_for(o.status);
      }
    }
  } catch (const Error& e) {
    error = e;
    d.bytes = {};
  }
  d.over = ended || error;
  const std::lock_guard lock(mutex);
  queued -= sent;
  sent_total += sent;
  output_ended = ended;
  if (error) output_error = error;
  changed.notify_all();
}

void SocketTransport::Io::read_step(Direction& d) {
  std::optional<Error> error;
  bool ended = false;
  try {
    while (d.bytes.size() < kStepBytes && d.waits == 0 && !ended) {
      const std::span<std::byte> room = d.bytes.prepare();
      SocketStream::Outcome o;
      try {
        o = stream_->read_some(room);
      } catch (...) {
        d.bytes.commit(0);
        throw;
      }
      d.bytes.commit(o.status == Status::kDone ? o.bytes : 0);
      ended = o.status == Status::kEnd;
      if (o.status == Status::kWantRead || o.status == Status::kWantWrite) d.waits = events_for(o.status);
    }
  } catch (const Error& e) {
    error = e;
  }
  d.over = ended || error;
  if (d.bytes.empty() && !d.over) return;
  const std::lock_guard lock(mutex);
  in.append(std::move(d.bytes));
  input_ended = ended;
  if (error) input_error = error;
  changed.notify_all();
}

void SocketTransport::Io::sleep(Direction& output, Direction& input, bool may_read, bool may_write, int timeout_ms) {
  {
    const std::lock_guard lock(mutex);
    if (woken_) return;
    asleep_ = true;
  }
  const auto events = static_cast<short>((may_write ? output.waits : 0) | (may_read ? input.waits : 0));
  // With nothing to wait for, the socket is left out: a hang-up would be reported again and again.
  std::array<pollfd, 2> fds{pollfd{events != 0 ? stream_->fd() : -1, events, 0}, pollfd{wake_event_.fd(), POLLIN, 0}};
  if (::poll(fds.data(), fds.size(), timeout_ms) <= 0) return;
  if (fds[1].revents != 0) {
    std::uint64_t count;
    std::ignore = ::read(wake_event_.fd(), &count, sizeof count);
  }
  const int ready = fds[0].revents;
  for (Direction* d : {&output, &input})
    if ((ready & (d->waits | POLLERR | POLLHUP | POLLNVAL)) != 0) d->waits = 0;
}

}  // namespace eqo
