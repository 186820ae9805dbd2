#include "eqo/net/byte_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "eqo/core/error.h"

namespace eqo {
namespace {

std::vector<std::byte> counting(std::size_t n, std::size_t from) {
  std::vector<std::byte> v(n);
  for (std::size_t i = 0; i < n; ++i) v[i] = static_cast<std::byte>((from + i) * 2654435761U >> 13);
  return v;
}

TEST(ByteQueue, KeepsTheOrderThroughRandomAppendsSplicesAndTakes) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 rng(seed);
  std::uniform_int_distribution<std::size_t> length(0, 3 * ByteQueue::kChunkBytes);
  ByteQueue q;
  std::size_t in = 0, out = 0;
  for (int step = 0; step < 400; ++step) {
    const std::size_t n = length(rng);
    if (step % 3 == 0) {
      q.append(counting(n, in));
      in += n;
    } else if (step % 3 == 1) {
      ByteQueue more;
      more.append(counting(n, in));
      q.append(std::move(more));
      in += n;
      EXPECT_EQ(more.size(), 0U);
    } else {
      std::vector<std::byte> got(n);
      const std::size_t taken = q.take(got);
      EXPECT_EQ(taken, std::min(n, in - out));
      got.resize(taken);
      ASSERT_EQ(got, counting(taken, out));
      out += taken;
    }
    ASSERT_EQ(q.size(), in - out);
    ASSERT_EQ(q.front().empty(), q.empty());
  }
}

TEST(ByteQueue, RefusesToPopMoreThanItHolds) {
  ByteQueue q;
  q.append(counting(3, 0));
  EXPECT_THROW(q.pop(4), Error);
  q.pop(3);
  EXPECT_TRUE(q.empty());
}

}  // namespace
}  // namespace eqo
