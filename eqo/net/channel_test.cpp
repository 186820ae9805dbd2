#include "eqo/net/channel.h"

#include <gtest/gtest.h>

#include <future>
#include <random>
#include <vector>

#include "eqo/net/cost_meter.h"
#include "eqo/net/memory_transport.h"
#include "eqo/net/testing/expect_error.h"

namespace eqo {
namespace {

using namespace std::chrono_literals;

// A channel whose peer is played by hand, byte by byte.
struct Forged {
  explicit Forged(Party me = Party::kClient) : Forged(me, make_memory_transports()) {}
  Forged(Party me, std::pair<std::unique_ptr<Transport>, std::unique_ptr<Transport>> ends)
      : peer(std::move(ends.first)), channel(me, std::move(ends.second)) {
    channel.transport().set_deadline(200ms);
    channel.set_scope("layer 3");
  }
  void header(std::uint32_t length, std::uint32_t sequence, std::uint32_t flight) {
    peer->write(encode_header({length, sequence, flight}));
  }
  void payload(std::size_t n) { peer->write(std::vector<std::byte>(n, std::byte{7})); }
  void frame(std::uint32_t length, std::uint32_t sequence, std::uint32_t flight) {
    header(length, sequence, flight);
    payload(length);
  }
  std::unique_ptr<Transport> peer;
  Channel channel;
};

Bytes filled(std::size_t n, unsigned from) {
  Bytes b(n);
  for (std::size_t i = 0; i < n; ++i) b[i] = static_cast<std::byte>(from + i + (i >> 8));
  return b;
}

std::pair<Channel*, Channel*> make_pair_of_channels(std::unique_ptr<Channel>& s, std::unique_ptr<Channel>& c) {
  auto [a, b] = make_memory_transports();
  s = std::make_unique<Channel>(Party::kServer, std::move(a));
  c = std::make_unique<Channel>(Party::kClient, std::move(b));
  return {s.get(), c.get()};
}

TEST(Framing, HeadersAreLittleEndianAndRoundTrip) {
  const FrameHeader h{0x01020304, 0x05060708, 0xfffefdfc};
  const auto raw = encode_header(h);
  EXPECT_EQ(raw[0], std::byte{4});
  EXPECT_EQ(raw[7], std::byte{5});
  EXPECT_EQ(raw[8], std::byte{0xfc});
  EXPECT_EQ(decode_header(raw), h);
  static_assert(framed_bytes(0) == 0 && framed_bytes(1) == 13);
  static_assert(framed_bytes(kMaxFramePayload) == kMaxFramePayload + 12);
  static_assert(framed_bytes(kMaxFramePayload + 1) == kMaxFramePayload + 25);
}

TEST(Framing, NumbersAreNeverReused) {
  EXPECT_EQ(next_number(UINT32_MAX - 1), UINT32_MAX);
  EQO_EXPECT_ERROR(next_number(UINT32_MAX), Category::kResource, "message numbers");
}

TEST(Channel, SizesAroundFrameBordersAreExactAndCounted) {
  std::unique_ptr<Channel> s, c;
  make_pair_of_channels(s, c);
  constexpr std::size_t kF = kMaxFramePayload;
  CostMeter meter;
  s->record_trace();
  meter.record_trace();
  for (const std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{4095}, std::size_t{4096}, std::size_t{4097},
                              kF - 1, kF, kF + 1, 3 * kF + 5}) {
    s->send(filled(n, 1));
    EXPECT_EQ(c->recv(n), filled(n, 1)) << n;
    c->send(filled(n, 2));
    EXPECT_EQ(s->recv(n), filled(n, 2)) << n;
    meter.send(Party::kServer, n);
    meter.send(Party::kClient, n);
    const Cost cost = meter.cost();
    EXPECT_EQ(s->traffic(), (Traffic{cost.bytes[0], cost.bytes[1], cost.flights}));
    EXPECT_EQ(c->traffic(), (Traffic{cost.bytes[1], cost.bytes[0], cost.flights}));
  }
  EXPECT_EQ(s->trace(), meter.trace());
}

TEST(Channel, BothMaySendLargeMessagesFirst) {
  std::unique_ptr<Channel> s, c;
  make_pair_of_channels(s, c);
  const std::size_t n = 20 << 20;
  const auto party = [n](Channel& ch, unsigned mine, unsigned theirs) {
    ch.send(filled(n, mine));
    const bool ok = ch.recv(n) == filled(n, theirs);
    ch.finish();
    return ok;
  };
  auto server = std::async(std::launch::async, [&] { return party(*s, 1, 2); });
  EXPECT_TRUE(party(*c, 2, 1));
  EXPECT_TRUE(server.get());
  CostMeter meter;
  meter.exchange(n, n);
  EXPECT_EQ(s->traffic(), (Traffic{meter.cost().bytes[0], meter.cost().bytes[1], 1}));
  EXPECT_EQ(s->traffic(), c->traffic());
}

TEST(Channel, RandomTrafficMatchesTheMeterFlightByFlight) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 rng(seed);
  std::unique_ptr<Channel> s, c;
  make_pair_of_channels(s, c);
  CostMeter meter;
  for (int step = 0; step < 500; ++step) {
    const std::size_t n = rng() % 3000, m = rng() % 3000;
    switch (rng() % 3) {
      case 0:
        s->send(filled(n, 0));
        c->recv(n);
        meter.send(Party::kServer, n);
        break;
      case 1:
        c->send(filled(n, 0));
        s->recv(n);
        meter.send(Party::kClient, n);
        break;
      default:
        s->send(filled(n, 0));
        c->send(filled(m, 0));
        s->recv(m);
        c->recv(n);
        meter.exchange(n, m);
    }
    const Cost cost = meter.cost();
    ASSERT_EQ(s->traffic(), (Traffic{cost.bytes[0], cost.bytes[1], cost.flights})) << step;
    ASSERT_EQ(c->traffic(), (Traffic{cost.bytes[1], cost.bytes[0], cost.flights})) << step;
  }
}

TEST(Channel, WordsAndBitsTravelPacked) {
  std::mt19937_64 rng(5);
  std::unique_ptr<Channel> s, c;
  make_pair_of_channels(s, c);
  for (const unsigned bits : {1U, 2U, 7U, 8U, 31U, 32U, 63U, 64U}) {
    for (const std::size_t n : {0U, 1U, 7U, 8U, 9U, 1000U}) {
      Words w(n);
      for (Word& x : w) x = rng() & Ring(bits).mask();
      const std::uint64_t before = s->traffic().sent_bytes;
      s->send_words(w, bits);
      EXPECT_EQ(c->recv_words(n, bits), w);
      EXPECT_EQ(s->traffic().sent_bytes - before, framed_bytes((n * bits + 7) / 8));
    }
  }
  Bits b{1, 0, 0, 1, 1, 1, 0, 1, 1};
  c->send_bits(b);
  EXPECT_EQ(s->recv_bits(9), b);
  EQO_EXPECT_ERROR(s->recv_words(1, 65), Category::kInternal, "width");
  EQO_EXPECT_ERROR(s->recv_words(~std::size_t{0}, 64), Category::kInternal, "too many");
}

TEST(Channel, AWrongLengthIsRefusedBeforeAnythingIsRead) {
  for (const std::uint32_t wrong : {0U, 1U, 99U, 101U, 0x7fffffffU, 0xffffffffU}) {
    Forged f;
    f.header(wrong, 0, 1);
    EQO_EXPECT_ERROR(f.channel.recv(100), Category::kProtocol,
                     "expected a length of 100, got " + std::to_string(wrong));
    EQO_EXPECT_ERROR(f.channel.recv(100), Category::kConnection, "is closed");
    EQO_EXPECT_ERROR(f.channel.send(Bytes(1)), Category::kConnection, "is closed");
    EQO_EXPECT_ERROR(f.channel.finish(), Category::kConnection, "is closed");
  }
}

TEST(Channel, ErrorsNameTheScopeInPrintableCharacters) {
  Forged f;
  f.channel.set_scope("conv\x1b[2J\n1");
  f.header(3, 0, 1);
  EQO_EXPECT_ERROR(f.channel.recv(4), Category::kProtocol, "(in 'conv?[2J?1')");
  Forged g;
  g.peer->close();
  EQO_EXPECT_ERROR(g.channel.recv(4), Category::kConnection, "layer 3");
}

TEST(Channel, DuplicatedReorderedAndSkippedFramesAreRefused) {
  {
    Forged f;
    f.frame(10, 0, 1);
    f.frame(10, 0, 1);
    f.channel.recv(10);
    EQO_EXPECT_ERROR(f.channel.recv(10), Category::kProtocol, "expected sequence number 1, got 0");
  }
  for (const std::uint32_t first : {1U, 2U, 0xffffffffU}) {
    Forged f;
    f.frame(10, first, 1);
    f.frame(10, 0, 1);
    EQO_EXPECT_ERROR(f.channel.recv(10), Category::kProtocol, "expected sequence number 0");
  }
  {
    // The frames of one large message swapped.
    Forged f;
    f.frame(kMaxFramePayload, 1, 1);
    f.frame(kMaxFramePayload, 0, 1);
    EQO_EXPECT_ERROR(f.channel.recv(2 * kMaxFramePayload), Category::kProtocol, "sequence");
  }
}

TEST(Channel, FlightNumbersMustFit) {
  for (const std::uint32_t wrong : {0U, 2U, 0xffffffffU}) {
    Forged f;
    f.frame(4, 0, wrong);
    EQO_EXPECT_ERROR(f.channel.recv(4), Category::kProtocol, "flight");
  }
  Forged f;
  f.channel.send(Bytes(1));  // flight 1
  f.frame(4, 0, 2);
  f.channel.recv(4);
  f.frame(4, 1, 1);  // lower than before
  EQO_EXPECT_ERROR(f.channel.recv(4), Category::kProtocol, "flight");
  Forged g;
  g.channel.send(Bytes(1));
  g.frame(kMaxFramePayload, 0, 1);
  g.frame(1, 1, 2);
  EQO_EXPECT_ERROR(g.channel.recv(kMaxFramePayload + 1), Category::kProtocol, "flight number changed");
}

TEST(Channel, EveryFlippedHeaderBitIsCaught) {
  for (std::size_t bit = 0; bit < 8 * kFrameHeaderBytes; ++bit) {
    Forged f;
    auto raw = encode_header({10, 0, 1});
    raw[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    f.peer->write(raw);
    f.payload(10);
    EQO_EXPECT_ERROR(f.channel.recv(10), Category::kProtocol, "unexpected message from the server");
  }
}

TEST(Channel, OneByteWritesAndCoalescedMessagesAreTheSameStream) {
  Forged f;
  Bytes wire;
  for (std::uint32_t i = 0; i < 3; ++i) {
    const auto h = encode_header({5, i, 1});
    wire.insert(wire.end(), h.begin(), h.end());
    wire.insert(wire.end(), 5, std::byte{7});
  }
  for (const std::byte& b : wire) f.peer->write({&b, 1});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(f.channel.recv(5), Bytes(5, std::byte{7}));
  Forged g;
  g.peer->write(wire);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(g.channel.recv(5), Bytes(5, std::byte{7}));
}

// What the server of a small exchange says, cut at every byte: an error each time, never a hang.
TEST(Channel, AnExchangeCutAtEveryByteIsAConnectionError) {
  const auto client = [](Channel& ch) {
    ch.recv(3);
    ch.send(Bytes(20));
    ch.recv(17);
    ch.recv(1);
    ch.finish();
  };
  Bytes recorded;
  std::uint32_t sequence = 0;
  for (const auto& [n, flight] : {std::pair{3U, 1U}, std::pair{17U, 3U}, std::pair{1U, 3U}}) {
    const auto h = encode_header({n, sequence++, flight});
    recorded.insert(recorded.end(), h.begin(), h.end());
    recorded.insert(recorded.end(), n, std::byte{1});
  }
  for (std::size_t cut = 0; cut < recorded.size(); ++cut) {
    Forged f;
    f.peer->write(std::span(recorded).first(cut));
    f.peer->close();
    // Its own message may fail to leave, too: the peer is gone.
    EQO_EXPECT_ERROR(client(f.channel), Category::kConnection, "closed");
  }
  for (const bool more : {false, true}) {
    Forged f;
    f.peer->write(recorded);
    if (more) f.payload(1);
    auto end = std::async(std::launch::async, [&] {
      Bytes answer(framed_bytes(20));
      f.peer->read(answer);
      f.peer->finish();
    });
    if (more) {
      EQO_EXPECT_ERROR(client(f.channel), Category::kProtocol, "after the end");
    } else {
      EXPECT_NO_THROW(client(f.channel));
      EQO_EXPECT_ERROR(f.channel.send(Bytes(1)), Category::kConnection, "closed");
    }
    EXPECT_NO_THROW(end.get());
  }
}

TEST(Channel, SilenceIsAConnectionErrorAfterTheDeadline) {
  Forged f;
  f.header(4, 0, 1);
  EQO_EXPECT_ERROR(f.channel.recv(4), Category::kConnection, "200 ms");
}

}  // namespace
}  // namespace eqo
