#pragma once
#include <sys/types.h>

#include <chrono>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace eqo::e2e {

// How a process ended, and what it said.
struct Ended {
  int code = -1;    // exit code; -N: killed by signal N; -1000: it was still there at the time limit
  std::string out;  // standard output
  std::string err;  // standard error
  double seconds = 0;
};
inline constexpr int kTimedOut = -1000;

// A child process with pipes for its output, in a process group of its own. No terminal. The
// destructor kills the whole group.
class Process {
 public:
  struct Options {
    std::vector<std::string> environment{};  // "NAME=VALUE", beside ours without EQO_*
    bool close_stdout = false, close_stderr = false;
    std::string stdin_file{"/dev/null"};
    std::string stdout_file{};        // instead of a pipe
    long file_blocks = -1;            // ulimit -f, in blocks of 512 bytes; -1: none
    long memory_kib = -1;             // ulimit -v; -1: none
    std::string working_directory{};  // empty: ours
  };
  explicit Process(const std::vector<std::string>& arguments, const Options& options);
  explicit Process(const std::vector<std::string>& arguments) : Process(arguments, Options()) {}
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  void signal(int number) const;
  bool running();
  // What came on standard error so far.
  std::string err() const;
  // Waits until standard error holds `text`; false at the time limit or if the process ends without it.
  bool wait_for(const std::string& text, std::chrono::milliseconds limit);
  // Waits for the end; kills the process at the limit.
  Ended wait(std::chrono::milliseconds limit = std::chrono::seconds(60));
  // A line "NAME: number kB" of /proc/PID/status, in bytes.
  std::uint64_t memory(const std::string& name) const;

 private:
  void read_pipes(int out, int err);
  bool reap(bool block);

  pid_t pid_ = -1;
  int status_ = 0;
  bool reaped_ = false;
  std::chrono::steady_clock::time_point start_;
  mutable std::mutex mutex_;
  std::string out_, err_;
  std::thread reader_;
};

}  // namespace eqo::e2e
