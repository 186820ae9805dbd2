#pragma once
#include <functional>
#include <thread>

namespace eqo::cli {

// Calls `stop` in a thread of its own at SIGTERM or SIGINT, as often as they come, until destroyed. The signals are
// blocked in the constructing thread and in every thread it starts afterwards.
class StopOnSignal {
 public:
  explicit StopOnSignal(std::function<void()> stop);
  ~StopOnSignal();
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;

 private:
  int wake_ = -1;
  std::thread thread_;
};

}  // namespace eqo::cli
