#include "eqo/net/simulated_link.h"

#include <gtest/gtest.h>

#include <future>
#include <vector>

#include "eqo/net/testing/expect_error.h"
#include "eqo/net/testing/transports.h"

namespace eqo {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;
using Buffer = std::vector<std::byte>;

testing::TransportPair link_over(const std::string& kind, const LinkSpec& spec) {
  auto [a, b] = testing::connected_transports(kind);
  return {simulate_link(std::move(a), spec), simulate_link(std::move(b), spec)};
}

// A real machine may be slower than the link, never faster. (How much slower is for the benchmark to say.)
TEST(SimulatedLink, PingPongsTakeARoundTripEach) {
  for (const char* kind : {"memory", "tcp"}) {
    auto [a, b] = link_over(kind, {1e12, 4e-3});
    const auto start = Clock::now();
    auto echo = std::async(std::launch::async, [&b = b] {
      Buffer one(1);
      for (int i = 0; i < 25; ++i) {
        b->read(one);
        b->write(one);
      }
    });
    Buffer one(1);
    for (int i = 0; i < 25; ++i) {
      a->write(one);
      a->read(one);
    }
    EXPECT_GE(Seconds(Clock::now() - start).count(), 25 * 4e-3);
    echo.get();
  }
}

TEST(SimulatedLink, BytesTakeTheirTimeOnTheLinkInEachDirection) {
  auto [a, b] = link_over("memory", {100e6, 10e-3});
  const Buffer data(1'000'000, std::byte{5});  // 80 ms, both ways at once
  const auto start = Clock::now();
  auto party = [&](Transport& t) {
    for (int i = 0; i < 10; ++i) t.write(std::span(data).subspan(0, 100'000));
    Buffer in(data.size());
    t.read(in);
    EXPECT_EQ(in, data);
    return Seconds(Clock::now() - start).count();
  };
  auto other = std::async(std::launch::async, [&, t = b.get()] { return party(*t); });
  EXPECT_GE(party(*a), 0.085);
  EXPECT_GE(other.get(), 0.085);
}

TEST(SimulatedLink, WritingReturnsWhileTheLinkIsBusyAndFlushWaitsForIt) {
  auto [a, b] = link_over("memory", {10e6, 0});
  const auto start = Clock::now();
  a->write(Buffer(125'000));  // 100 ms
  a->flush();
  EXPECT_GE(Seconds(Clock::now() - start).count(), 0.1);
  Buffer in(125'000);
  b->read(in);
}

TEST(SimulatedLink, TheEndTravelsLikeAByte) {
  auto [a, b] = link_over("memory", {1e9, 60e-3});
  const auto start = Clock::now();
  auto other = std::async(std::launch::async, [&b = b] { b->finish(); });
  a->finish();
  other.get();
  EXPECT_GE(Seconds(Clock::now() - start).count(), 0.03);
}

TEST(SimulatedLink, PassesTheChannelBindingOn) {
  auto [a, b] = link_over("tls", kLan);
  EXPECT_EQ(a->channel_binding().size(), 32U);
  EXPECT_EQ(a->channel_binding(), b->channel_binding());
}

TEST(ParseLink, KnowsNamesAndNumbers) {
  EXPECT_EQ(parse_link("lan"), kLan);
  EXPECT_EQ(parse_link("wan"), kWan);
  const auto is = [](const char* text, double rate, double trip) {
    const LinkSpec l = parse_link(text);
    EXPECT_DOUBLE_EQ(l.bits_per_second, rate) << text;
    EXPECT_DOUBLE_EQ(l.round_trip_seconds, trip) << text;
  };
  is("400M,40ms", 400e6, 0.04);
  is("3G,0.3ms", 3e9, 0.3e-3);
  is("1000000,0.5", 1e6, 0.5);
  is("1e9,250us", 1e9, 250e-6);
  is("64k,0", 64e3, 0);
  is("1.5M,1s", 1.5e6, 1);
}

TEST(ParseLink, RefusesEverythingElse) {
  for (const char* bad :
       {"",           "LAN",        "400M",    ",",     "400M,",   ",40ms",  "400X,40ms", "400M,40m",
        "400M,40ms,", "-400M,40ms", "400M,-1", "0,1ms", "999,1ms", "nan,1",  "inf,1",     "1G,nan",
        "1G,inf",     "2000G,1",    "1G,11",   " 1G,1", "1G, 1",   "0x10,1", "1e999,1",   "1G,1e-999x"})
    EQO_EXPECT_ERROR(parse_link(bad), Category::kUsage, "not a network");
  EQO_EXPECT_ERROR(simulate_link(testing::connected_transports("memory").first, LinkSpec{}), Category::kUsage, "range");
  EQO_EXPECT_ERROR(simulate_link(nullptr, kLan), Category::kUsage, "range");
}

}  // namespace
}  // namespace eqo
