#include "eqo/core/thread_pool.h"

#include <algorithm>
#include <string>

#include "eqo/core/error.h"

namespace eqo {

ThreadPool::ThreadPool(unsigned threads) {
  if (threads < 1 || threads > 1024) throw usage_error("threads must be in 1..1024, got " + std::to_string(threads));
  workers_.reserve(threads - 1);
  for (unsigned i = 1; i < threads; ++i) workers_.emplace_back([this] { worker(); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  work_.notify_all();
  for (std::thread& t : workers_) t.join();
}

// Takes one range and runs it with the lock released. Returns false if none is left.
bool ThreadPool::run_one(std::unique_lock<std::mutex>& lock) {
  if (body_ == nullptr || next_ >= n_) return false;
  const std::size_t begin = next_;
  const std::size_t end = std::min(n_, begin + step_);
  next_ = end;
  ++running_;
  const auto* body = body_;
  lock.unlock();
  std::exception_ptr error;
  try {
    (*body)(begin, end);
  } catch (...) {
    error = std::current_exception();
  }
  lock.lock();
  --running_;
  if (error && !error_) {
    error_ = error;
    next_ = n_;
  }
  if (next_ >= n_ && running_ == 0) done_.notify_all();
  return true;
}

void ThreadPool::worker() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    if (!run_one(lock)) work_.wait(lock);
  }
}

void ThreadPool::parallel_for(std::size_t n, std::size_t grain,
                              const std::function<void(std::size_t, std::size_t)>& body) {
  if (n == 0) return;
  grain = std::max<std::size_t>(grain, 1);
  if (workers_.empty() || n <= grain) {
    body(0, n);
    return;
  }
  std::unique_lock lock(mutex_);
  if (body_ != nullptr) throw internal_error("ThreadPool: nested or concurrent parallel_for");
  body_ = &body;
  next_ = 0;
  n_ = n;
  // A few ranges a thread, so that an unlucky one does not hold up the rest.
  step_ = std::max(grain, (n + 4 * size() - 1) / (4 * size()));
  error_ = nullptr;
  work_.notify_all();
  while (run_one(lock)) {
  }
  done_.wait(lock, [this] { return running_ == 0; });
  body_ = nullptr;
  const std::exception_ptr error = error_;
  error_ = nullptr;
  lock.unlock();
  if (error) std::rethrow_exception(error);
}

}  // namespace eqo
