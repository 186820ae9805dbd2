#pragma once
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace eqo::cli {

// A progress line with the time left on stderr: only when stderr is a terminal, only after two seconds. Thread-safe.
class Progress {
 public:
  explicit Progress(std::string what, bool enabled = true);
  ~Progress();  // clears the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void update(std::uint64_t done, std::uint64_t total, const std::string& note = {});

 private:
  using Clock = std::chrono::steady_clock;
  std::mutex mutex_;
  std::string what_;
  bool enabled_;
  bool shown_ = false;
  Clock::time_point start_ = Clock::now(), last_{};
};

}  // namespace eqo::cli
