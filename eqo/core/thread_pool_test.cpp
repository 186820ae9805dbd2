#include "eqo/core/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

#include "eqo/core/error.h"

namespace eqo {
namespace {

TEST(ThreadPool, EveryIndexIsVisitedOnce) {
  for (const unsigned threads : {1U, 2U, 3U, 8U}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.size(), threads);
    for (const std::size_t n : {0U, 1U, 2U, 17U, 1000U})
      for (const std::size_t grain : {0U, 1U, 7U, 5000U}) {
        std::vector<std::atomic<int>> seen(n);
        pool.parallel_for(n, grain, [&](std::size_t b, std::size_t e) {
          for (std::size_t i = b; i < e; ++i) ++seen[i];
        });
        for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(seen[i], 1);
      }
  }
}

TEST(ThreadPool, ExceptionsReachTheCallerAndThePoolGoesOn) {
  ThreadPool pool(4);
  for (int round = 0; round < 50; ++round) {
    EXPECT_THROW(pool.parallel_for(100, 1,
                                   [](std::size_t b, std::size_t) {
                                     if (b >= 40) throw std::runtime_error("planned");
                                   }),
                 std::runtime_error);
    std::atomic<int> sum = 0;
    pool.parallel_for(100, 1, [&](std::size_t b, std::size_t e) { sum += static_cast<int>(e - b); });
    EXPECT_EQ(sum, 100);
  }
}

TEST(ThreadPool, RefusesAbsurdSizes) {
  EXPECT_THROW(ThreadPool(0), Error);
  EXPECT_THROW(ThreadPool(1025), Error);
}

}  // namespace
}  // namespace eqo
