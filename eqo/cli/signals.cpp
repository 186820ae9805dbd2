#include "eqo/cli/signals.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdint>

#include "eqo/core/error.h"

namespace eqo::cli {

StopOnSignal::StopOnSignal(std::function<void()> stop) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  const int signals = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  wake_ = ::eventfd(0, EFD_CLOEXEC);
  if (signals < 0 || wake_ < 0) throw resource_error("cannot watch signals", "are too many files open?");
  thread_ = std::thread([signals, wake = wake_, action = std::move(stop)] {
    for (;;) {
      pollfd fds[2] = {{signals, POLLIN, 0}, {wake, POLLIN, 0}};
      if (::poll(fds, 2, -1) < 0) continue;
      if (fds[1].revents != 0) break;
      signalfd_siginfo info;
      while (::read(signals, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) action();
    }
    ::close(signals);
  });
}

StopOnSignal::~StopOnSignal() {
  const std::uint64_t one = 1;
  if (::write(wake_, &one, sizeof one) == static_cast<ssize_t>(sizeof one)) thread_.join();
  ::close(wake_);
}

}  // namespace eqo::cli
