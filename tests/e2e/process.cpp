#include "e2e/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <stdexcept>
#include <string_view>

extern char** environ;

namespace eqo::e2e {
namespace {

using Clock = std::chrono::steady_clock;

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> list;
  for (std::string& s : strings) list.push_back(s.data());
  list.push_back(nullptr);
  return list;
}

void check(int error, const char* what) {
  if (error != 0) throw std::runtime_error(std::string(what) + ": error " + std::to_string(error));
}

struct Pipe {
  int read_end = -1, write_end = -1;
  Pipe() {
    int fds[2];
    check(::pipe2(fds, O_CLOEXEC) == 0 ? 0 : errno, "pipe");
    read_end = fds[0];
    write_end = fds[1];
  }
};

}  // namespace

Process::Process(const std::vector<std::string>& arguments, const Options& options) {
  std::vector<std::string> words = arguments;
  if (options.file_blocks >= 0) {
    const std::string limited = "ulimit -f " + std::to_string(options.file_blocks) + "; exec \"$@\"";
    words.insert(words.begin(), {"/bin/sh", "-c", limited, "sh"});
  }
  if (options.memory_kib >= 0) {
    const std::string limited = "ulimit -v " + std::to_string(options.memory_kib) + "; exec \"$@\"";
    words.insert(words.begin(), {"/bin/sh", "-c", limited, "sh"});
  }
  std::vector<std::string> environment = options.environment;
  for (char** e = environ; *e != nullptr; ++e)
    if (!std::string_view(*e).starts_with("EQO_")) environment.emplace_back(*e);

  const Pipe out, err;
  posix_spawn_file_actions_t actions;
  check(::posix_spawn_file_actions_init(&actions), "actions");
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, options.stdin_file.c_str(), O_RDONLY, 0);
  if (options.close_stdout) {
    ::posix_spawn_file_actions_addclose(&actions, STDOUT_FILENO);
  } else if (!options.stdout_file.empty()) {
    ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, options.stdout_file.c_str(), O_WRONLY | O_CREAT, 0600);
  } else {
    ::posix_spawn_file_actions_adddup2(&actions, out.write_end, STDOUT_FILENO);
  }
  if (options.close_stderr) {
    ::posix_spawn_file_actions_addclose(&actions, STDERR_FILENO);
  } else {
    ::posix_spawn_file_actions_adddup2(&actions, err.write_end, STDERR_FILENO);
  }
  if (!options.working_directory.empty())
    ::posix_spawn_file_actions_addchdir_np(&actions, options.working_directory.c_str());
  posix_spawnattr_t attributes;
  check(::posix_spawnattr_init(&attributes), "attributes");
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);

  start_ = Clock::now();
  const std::vector<char*> argv = pointers(words), envp = pointers(environment);
  const int error = ::posix_spawn(&pid_, argv[0], &actions, &attributes, argv.data(), envp.data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  ::close(out.write_end);
  ::close(err.write_end);
  check(error, "spawn");
  reader_ = std::thread([this, o = out.read_end, e = err.read_end] { read_pipes(o, e); });
}

Process::~Process() {
  if (!reap(false)) {
    ::kill(-pid_, SIGKILL);
    reap(true);
  }
  ::kill(-pid_, SIGKILL);  // what the process left behind
  if (reader_.joinable()) reader_.join();
}

void Process::read_pipes(int out, int err) {
  std::array<pollfd, 2> fds{{{out, POLLIN, 0}, {err, POLLIN, 0}}};
  std::array<char, 4096> buffer;
  for (int open = 2; open > 0;) {
    if (::poll(fds.data(), fds.size(), -1) < 0) continue;
    for (std::size_t i = 0; i < fds.size(); ++i) {
      if (fds[i].fd < 0 || fds[i].revents == 0) continue;
      const ssize_t n = ::read(fds[i].fd, buffer.data(), buffer.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        ::close(fds[i].fd);
        fds[i].fd = -1;
        --open;
        continue;
      }
      const std::lock_guard lock(mutex_);
      (i == 0 ? out_ : err_).append(buffer.data(), static_cast<std::size_t>(n));
    }
  }
}

bool Process::reap(bool block) {
  if (reaped_) return true;
  const pid_t got = ::waitpid(pid_, &status_, block ? 0 : WNOHANG);
  reaped_ = got == pid_;
  return reaped_;
}

void Process::signal(int number) const {
  if (!reaped_) ::kill(pid_, number);
}

bool Process::running() { return !reap(false); }

std::string Process::err() const {
  const std::lock_guard lock(mutex_);
  return err_;
}

bool Process::wait_for(const std::string& text, std::chrono::milliseconds limit) {
  const auto until = Clock::now() + limit;
  for (;;) {
    const bool alive = running();
    if (err().find(text) != std::string::npos) return true;
    if (!alive || Clock::now() >= until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

Ended Process::wait(std::chrono::milliseconds limit) {
  const auto until = Clock::now() + limit;
  while (!reap(false) && Clock::now() < until) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  Ended ended;
  ended.seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  const bool timed_out = !reaped_;
  if (timed_out) ::kill(-pid_, SIGKILL);
  reap(true);
  ::kill(-pid_, SIGKILL);  // so that no grandchild holds the pipes open
  if (reader_.joinable()) reader_.join();
  ended.code = timed_out ? kTimedOut : WIFEXITED(status_) ? WEXITSTATUS(status_) : -WTERMSIG(status_);
  ended.out = out_;
  ended.err = err_;
  return ended;
}

std::uint64_t Process::memory(const std::string& name) const {
  std::ifstream file("/proc/" + std::to_string(pid_) + "/status");
  for (std::string word; file >> word;) {
    if (word != name + ":") continue;
    std::uint64_t kib = 0;
    file >> kib;
    return kib * 1024;
  }
  return 0;
}

}  // namespace eqo::e2e
