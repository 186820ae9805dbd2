#include "eqo/runtime/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <exception>
#include <new>

#include "eqo/core/error.h"

namespace eqo {
namespace {

constexpr std::uint32_t kErrorMark = 0xffffffff;

bool write_all(int fd, std::span<const std::byte> data) {
  while (!data.empty()) {
    const ssize_t n = ::write(fd, data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    data = data.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

bool read_all(int fd, std::span<std::byte> data) {
  while (!data.empty()) {
    const ssize_t n = ::read(fd, data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    data = data.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

bool write_u32(int fd, std::uint32_t v) { return write_all(fd, std::as_bytes(std::span(&v, 1))); }
bool read_u32(int fd, std::uint32_t& v) { return read_all(fd, std::as_writable_bytes(std::span(&v, 1))); }

void write_text(int fd, const std::string& text) {
  if (write_u32(fd, static_cast<std::uint32_t>(text.size()))) write_all(fd, std::as_bytes(std::span(text)));
}

std::string read_text(int fd) {
  std::uint32_t n = 0;
  if (!read_u32(fd, n) || n > (1U << 20)) return {};
  std::string text(n, ' ');
  return read_all(fd, std::as_writable_bytes(std::span(text))) ? text : std::string();
}

void report(int fd, Category category, const std::string& message, const std::string& hint) {
  if (!write_u32(fd, kErrorMark) || !write_u32(fd, static_cast<std::uint32_t>(category))) return;
  write_text(fd, message);
  write_text(fd, hint);
}

// The exit status of a child, which is reaped; signals to this process don't end the wait.
int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return 0;
  return status;
}

}  // namespace

void Child::Pipe::write(std::span<const std::byte> data) const {
  constexpr std::size_t kStep = std::size_t{1} << 20;
  while (!data.empty()) {
    const auto step = data.first(std::min(kStep, data.size()));
    if (!write_u32(fd_, static_cast<std::uint32_t>(step.size())) || !write_all(fd_, step))
      throw connection_error("the parent process is gone");
    data = data.subspan(step.size());
  }
}

Child::Child(const std::function<void(const Pipe&)>& body) {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) throw resource_error("cannot make a pipe", "are too many files open?");
  pid_ = ::fork();
  if (pid_ < 0) {
    ::close(fds[0]);
    ::close(fds[1]);
    throw resource_error("cannot start a second process");
  }
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // no party outlives the command
    ::close(fds[0]);
    try {
      body(Pipe(fds[1]));
    } catch (const Error& e) {
      report(fds[1], e.category(), e.what(), e.hint());
    } catch (const std::bad_alloc&) {
      report(fds[1], Category::kResource, "out of memory", "use a smaller batch");
    } catch (const std::exception& e) {
      report(fds[1], Category::kInternal, e.what(), "please report this");
    }
    ::_exit(0);
  }
  ::close(fds[1]);
  fd_ = fds[0];
}

Child::~Child() {
  if (fd_ >= 0) ::close(fd_);
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    wait_for(pid_);
  }
}

bool Child::next_frame() {
  if (ended_) return false;
  std::uint32_t length = 0;
  if (!read_u32(fd_, length)) {
    ended_ = true;
    return false;
  }
  if (length == kErrorMark) {
    std::uint32_t category = 0;
    read_u32(fd_, category);
    const std::string message = read_text(fd_);
    failure_ = Failure{static_cast<int>(category), message, read_text(fd_)};
    ended_ = true;
    return false;
  }
  frame_.resize(length);
  used_ = 0;
  if (!read_all(fd_, frame_)) ended_ = true;
  return !ended_;
}

bool Child::read(std::span<std::byte> data) {
  while (!data.empty()) {
    if (used_ == frame_.size() && !next_frame()) return false;
    const std::size_t n = std::min(data.size(), frame_.size() - used_);
    std::memcpy(data.data(), frame_.data() + used_, n);
    used_ += n;
    data = data.subspan(n);
  }
  return true;
}

void Child::finish() {
  while (next_frame()) {
  }
  int status = 0;
  const pid_t pid = pid_;
  pid_ = -1;
  if (pid > 0) status = wait_for(pid);
  if (failure_) throw Error(static_cast<Category>(failure_->category), failure_->message, failure_->hint);
  if (WIFSIGNALED(status))
    throw internal_error("a party's process was ended by signal " + std::to_string(WTERMSIG(status)));
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) throw internal_error("a party's process failed");
}

}  // namespace eqo
