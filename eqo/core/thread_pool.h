#pragma once
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace eqo {

// A fixed set of worker threads for data-parallel loops. With one thread everything runs in the caller.
// One loop at a time: parallel_for must not be called from two threads at once or from inside a loop body.
class ThreadPool {
 public:
  // threads >= 1, counting the caller; throws usage_error for 0 or more than 1024.
  explicit ThreadPool(unsigned threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  unsigned size() const { return static_cast<unsigned>(workers_.size()) + 1; }

  // Calls body(begin, end) on disjoint ranges that cover [0, n), each at least `grain` long (but the last). Returns
  // when all are done; the first exception of a body is rethrown here.
  void parallel_for(std::size_t n, std::size_t grain, const std::function<void(std::size_t, std::size_t)>& body);

 private:
  void worker();
  bool run_one(std::unique_lock<std::mutex>& lock);

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable work_, done_;
  const std::function<void(std::size_t, std::size_t)>* body_ = nullptr;
  std::size_t next_ = 0, n_ = 0, step_ = 1, running_ = 0;
  std::exception_ptr error_;
  bool stop_ = false;
};

}  // namespace eqo
