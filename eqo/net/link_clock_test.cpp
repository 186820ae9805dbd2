#include "eqo/net/link_clock.h"

#include <gtest/gtest.h>

#include "eqo/net/cost_meter.h"

namespace eqo {
namespace {

constexpr LinkSpec kLink{8e6, 0.1};  // a million bytes a second, 50 ms each way

TEST(LinkClock, MessagesOfOneDirectionQueue) {
  LinkClock clock(kLink);
  clock.message(Party::kClient, 1'000'000);
  EXPECT_DOUBLE_EQ(clock.seconds(), 1.05);
  clock.message(Party::kClient, 500'000);  // the client does not wait for the first one to arrive
  EXPECT_DOUBLE_EQ(clock.seconds(), 1.55);
  clock.message(Party::kServer, 1000);  // an answer to both
  EXPECT_DOUBLE_EQ(clock.seconds(), 1.55 + 0.001 + 0.05);
}

TEST(LinkClock, AnExchangeCrosses) {
  LinkClock clock(kLink);
  clock.exchange(200'000, 100'000);
  EXPECT_DOUBLE_EQ(clock.seconds(), 0.25);
  clock.exchange(0, 100'000);  // the client, whose message came at 0.25, sends; nothing comes back
  EXPECT_DOUBLE_EQ(clock.seconds(), 0.4);
}

TEST(LinkClock, WorkDelaysWhatFollows) {
  LinkClock clock(kLink);
  clock.work(Party::kServer, 2);
  clock.message(Party::kClient, 1'000'000);  // arrives while the server is at work
  EXPECT_DOUBLE_EQ(clock.seconds(), 2);
  clock.set_work({{0, 1e-6}, {1e-6, 0}});
  clock.message(Party::kClient, 100'000);  // 0.1 s to make, 0.1 to send, 0.1 to read
  EXPECT_DOUBLE_EQ(clock.seconds(), 2.1);
}

TEST(LinkClock, WithoutALinkOnlyWorkCounts) {
  LinkClock clock({});
  clock.message(Party::kServer, 1 << 30);
  EXPECT_EQ(clock.seconds(), 0);
  clock.work(Party::kClient, 0.5);
  EXPECT_EQ(clock.seconds(), 0.5);
}

TEST(LinkClock, AMeterDrivesItWithFramedBytes) {
  CostMeter meter;
  EXPECT_EQ(meter.clock(), nullptr);
  meter.start_clock(kLink);
  meter.send(Party::kClient, 1'000'000 - framed_bytes(1) + 1);
  EXPECT_DOUBLE_EQ(meter.clock()->seconds(), 1.05);
  meter.send(Party::kClient, 0);
  EXPECT_DOUBLE_EQ(meter.clock()->seconds(), 1.05);
}

}  // namespace
}  // namespace eqo
