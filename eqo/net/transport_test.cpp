#include "eqo/net/transport.h"

#include <gtest/gtest.h>

#include <future>
#include <random>
#include <thread>
#include <vector>

#include "eqo/net/testing/expect_error.h"
#include "eqo/net/testing/transports.h"

namespace eqo {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Buffer = std::vector<std::byte>;

Buffer random_bytes(std::size_t n, unsigned seed) {
  std::mt19937_64 rng(seed);
  Buffer v(n);
  for (std::size_t i = 0; i < n; i += 8) {
    const std::uint64_t x = rng();
    for (std::size_t j = i; j < std::min(n, i + 8); ++j) v[j] = static_cast<std::byte>(x >> (8 * (j - i)));
  }
  return v;
}

// What every Transport promises.
class AnyTransport : public ::testing::TestWithParam<std::string> {
 protected:
  testing::TransportPair ends_ = testing::connected_transports(GetParam());
  Transport& a_ = *ends_.first;
  Transport& b_ = *ends_.second;
};

INSTANTIATE_TEST_SUITE_P(Each, AnyTransport, ::testing::Values("memory", "tcp", "tls", "link"),
                         [](const auto& kind) { return kind.param; });

TEST_P(AnyTransport, CarriesRandomPiecesBothWaysAtOnce) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  const auto party = [seed](Transport& t, unsigned mine, unsigned theirs) {
    std::mt19937 cuts(seed ^ mine);
    std::uniform_int_distribution<std::size_t> cut(1, 200'000);
    const auto out = random_bytes(3'000'000, seed + mine), want = random_bytes(3'000'000, seed + theirs);
    Buffer in(want.size());
    for (std::size_t at = 0; at < out.size();) {
      const std::size_t n = std::min(cut(cuts) / (1 + cuts() % 500) + 1, out.size() - at);
      t.write(std::span(out).subspan(at, n));
      at += n;
    }
    for (std::size_t at = 0; at < in.size();) {
      const std::size_t n = std::min(cut(cuts), in.size() - at);
      t.read(std::span(in).subspan(at, n));
      at += n;
    }
    t.flush();
    t.finish();
    return in == want;
  };
  auto first = std::async(std::launch::async, [&] { return party(a_, 1, 2); });
  EXPECT_TRUE(party(b_, 2, 1));
  EXPECT_TRUE(first.get());
}

TEST_P(AnyTransport, WritingDoesNotWaitForAPeerThatDoesNotRead) {
  const Buffer big = random_bytes(20 << 20, 1);
  a_.write(big);
  b_.write(big);
  Buffer in(big.size());
  b_.read(in);
  EXPECT_EQ(in, big);
  a_.read(in);
  EXPECT_EQ(in, big);
}

TEST_P(AnyTransport, BytesWrittenBeforeTheEndArriveAndThenItIsAnError) {
  a_.write(random_bytes(100'000, 3));
  ends_.first.reset();
  Buffer in(100'000), one(1);
  b_.read(in);
  EXPECT_EQ(in, random_bytes(100'000, 3));
  EQO_EXPECT_ERROR(b_.read(one), Category::kConnection, "peer closed");
}

TEST_P(AnyTransport, NothingWorksAfterOnesOwnClose) {
  Buffer one(1);
  a_.close();
  a_.close();
  EQO_EXPECT_ERROR(a_.write(one), Category::kConnection, "closed");
  EQO_EXPECT_ERROR(a_.read(one), Category::kConnection, "closed");
  EQO_EXPECT_ERROR(b_.read(one), Category::kConnection, "closed");
}

TEST_P(AnyTransport, WritingToAClosedPeerBecomesAnErrorAndNeverASignal) {
  ends_.first.reset();
  const auto until = Clock::now() + 10s;
  const Buffer data(100'000);
  EQO_EXPECT_ERROR(
      while (Clock::now() < until) {
        b_.write(data);
        b_.flush();
      },
      Category::kConnection, "");
}

TEST_P(AnyTransport, CloseWakesABlockedReaderAtOnce) {
  for (const bool own : {false, true}) {
    auto ends = testing::connected_transports(GetParam());
    Buffer one(1);
    auto reader = std::async(std::launch::async, [&] { ends.second->read(one); });
    std::this_thread::sleep_for(20ms);
    (own ? ends.second : ends.first)->close();
    ASSERT_EQ(reader.wait_for(10s), std::future_status::ready);
    EQO_EXPECT_ERROR(reader.get(), Category::kConnection, "closed");
  }
}

TEST_P(AnyTransport, ASilentPeerMeetsTheDeadline) {
  b_.set_deadline(100ms);
  Buffer two(2);
  a_.write(Buffer(1));
  const auto start = Clock::now();
  EQO_EXPECT_ERROR(b_.read(two), Category::kConnection, "100 ms");
  EXPECT_GE(Clock::now() - start, 100ms);
}

TEST_P(AnyTransport, FinishNeedsThePeersEnd) {
  b_.set_deadline(100ms);
  EQO_EXPECT_ERROR(b_.finish(), Category::kConnection, "100 ms");
}

TEST_P(AnyTransport, FinishRefusesBytesAfterTheEnd) {
  a_.write(Buffer(2));
  auto other = std::async(std::launch::async, [&] { a_.finish(); });
  EQO_EXPECT_ERROR(b_.finish(), Category::kProtocol, "after the end");
  ends_.second.reset();
  try {
    other.get();
  } catch (const Error& e) {  // its own end may have met a closed connection
    EXPECT_EQ(e.category(), Category::kConnection) << e.what();
  }
}

TEST_P(AnyTransport, FinishRefusesBytesThatCameTogetherWithExpectedOnes) {
  a_.write(Buffer(2));
  a_.close();
  Buffer one(1);
  b_.read(one);
  EQO_EXPECT_ERROR(b_.finish(), Category::kProtocol, "after the end");
}

TEST_P(AnyTransport, NothingFollowsFinish) {
  auto other = std::async(std::launch::async, [&] { a_.finish(); });
  b_.finish();
  other.get();
  EQO_EXPECT_ERROR(b_.write(Buffer(1)), Category::kConnection, "closed");
}

TEST_P(AnyTransport, TenThousandOneByteWrites) {
  auto writer = std::async(std::launch::async, [&] {
    for (unsigned i = 0; i < 10'000; ++i) a_.write(Buffer(1, static_cast<std::byte>(i * 7)));
  });
  Buffer in(10'000);
  b_.read(in);
  writer.get();
  for (unsigned i = 0; i < 10'000; ++i) ASSERT_EQ(in[i], static_cast<std::byte>(i * 7)) << i;
}

TEST_P(AnyTransport, BindsOnlyAuthenticatedConnections) {
  EXPECT_EQ(a_.channel_binding(), b_.channel_binding());
  EXPECT_EQ(a_.channel_binding().size(), GetParam() == "tls" ? 32U : 0U);
  auto again = testing::connected_transports(GetParam());
  if (GetParam() == "tls") {
    EXPECT_NE(again.first->channel_binding(), a_.channel_binding());
  }
}

TEST(MemoryTransport, ProgressExtendsTheDeadline) {
  auto [a, b] = testing::connected_transports("memory");
  b->set_deadline(200ms);
  Buffer five(5);
  const auto start = Clock::now();
  auto writer = std::async(std::launch::async, [&a = a] {
    for (int i = 0; i < 5; ++i) {
      std::this_thread::sleep_for(60ms);
      a->write(Buffer(1));
    }
  });
  b->read(five);
  writer.get();
  EXPECT_GE(Clock::now() - start, 300ms);
}

}  // namespace
}  // namespace eqo
