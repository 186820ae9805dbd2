#include "eqo/net/tcp_transport.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <random>
#include <thread>
#include <vector>

#include "eqo/net/channel.h"
#include "eqo/net/testing/expect_error.h"
#include "eqo/net/testing/sockets.h"

namespace eqo {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Buffer = std::vector<std::byte>;
using testing::connected_sockets;
using testing::send_raw;

void reset_connection(Socket socket) {
  const linger abort{1, 0};
  ASSERT_EQ(::setsockopt(socket.fd(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort), 0);
}

int option(const Socket& s, int level, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  EXPECT_EQ(::getsockopt(s.fd(), level, name, &value, &size), 0);
  return value;
}

TEST(TcpConnect, FailuresAreConnectionErrorsThatNameTheTarget) {
  std::uint16_t free_port = 0;
  free_port = TcpListener::listen("127.0.0.1", 0).port();
  EQO_EXPECT_ERROR(tcp_connect("127.0.0.1", free_port, 1s), Category::kConnection,
                   "127.0.0.1:" + std::to_string(free_port) + ": cannot connect: Connection refused");
  EQO_EXPECT_ERROR(tcp_connect(std::string(70, 'a'), 1, 1s), Category::kConnection, "cannot find");
  EQO_EXPECT_ERROR(tcp_connect("127.0.0.1", 0, 1s), Category::kUsage, "port 0");
}

TEST(TcpConnect, ASilentHostMeetsTheDeadline) {
  // A listener with a full queue answers no more.
  const Socket listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listener.fd(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener.fd(), 0), 0);
  ASSERT_EQ(::getsockname(listener.fd(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::uint16_t port = ntohs(address.sin_port);
  std::vector<Socket> queued;
  const auto fill = [&] {
    for (int i = 0; i < 8; ++i) queued.push_back(connect_socket("127.0.0.1", port, 200ms));
  };
  EQO_EXPECT_ERROR(fill(), Category::kConnection, "timed out");
}

TEST(TcpConnect, SetsWhatEveryConnectionWants) {
  const auto [a, b] = connected_sockets();
  for (const Socket* s : {&a, &b}) {
    EXPECT_EQ(option(*s, IPPROTO_TCP, TCP_NODELAY), 1);
    EXPECT_EQ(option(*s, SOL_SOCKET, SO_KEEPALIVE), 1);
    EXPECT_LE(option(*s, IPPROTO_TCP, TCP_KEEPIDLE), 60);
  }
  EXPECT_TRUE(b.peer_address().starts_with("127.0.0.1:"));
}

TEST(TcpListener, TimesOutAndIsClosedFromAnotherThread) {
  TcpListener listener = TcpListener::listen("127.0.0.1", 0);
  EXPECT_FALSE(listener.accept(50ms));
  auto waiting = std::async(std::launch::async, [&] { return listener.accept(60s); });
  std::this_thread::sleep_for(20ms);
  listener.close();
  ASSERT_EQ(waiting.wait_for(10s), std::future_status::ready);
  EQO_EXPECT_ERROR(waiting.get(), Category::kConnection, "closed");
  EQO_EXPECT_ERROR(listener.accept(1s), Category::kConnection, "closed");
}

TEST(TcpListener, ATakenPortIsAnErrorThatNamesIt) {
  const TcpListener first = TcpListener::listen("127.0.0.1", 0);
  EQO_EXPECT_ERROR(TcpListener::listen("127.0.0.1", first.port()), Category::kConnection,
                   "127.0.0.1:" + std::to_string(first.port()));
}

TEST(TcpListener, SpeaksIPv6AndNames) {
  for (const char* host : {"::1", "localhost"}) {
    std::optional<TcpListener> listener;
    try {
      listener = TcpListener::listen(host, 0);
    } catch (const Error& e) {
      GTEST_SKIP() << "no IPv6 here: " << e.what();
    }
    auto client = tcp_connect(host, listener->port(), 5s);
    auto server = make_tcp_transport(std::move(*listener->accept(5s)));
    client->write(Buffer(5, std::byte{1}));
    Buffer five(5);
    server->read(five);
    EXPECT_EQ(five, Buffer(5, std::byte{1}));
  }
}

TEST(TcpTransport, APeerThatSaysNothingAndLeavesIsNoticedAtOnce) {
  auto [a, b] = connected_sockets();
  const auto t = make_tcp_transport(std::move(a));
  { const Socket gone = std::move(b); }
  Buffer one(1);
  const auto start = Clock::now();
  EQO_EXPECT_ERROR(t->read(one), Category::kConnection, "peer closed");
  EXPECT_LT(Clock::now() - start, 10s);  // not the deadline of 60 s
}

TEST(TcpTransport, AResetIsAConnectionError) {
  auto [a, b] = connected_sockets();
  const auto t = make_tcp_transport(std::move(a));
  reset_connection(std::move(b));
  Buffer one(1);
  EQO_EXPECT_ERROR(t->read(one), Category::kConnection, "connection broke");
}

TEST(TcpTransport, AcceptsOneMessageBelowTheBoundAndThenWaitsForTheDeadline) {
  auto [a, b] = connected_sockets();
  const auto t = make_tcp_transport(std::move(a), {.write_queue = 1000});
  t->set_deadline(150ms);
  t->write(Buffer(50 << 20));  // more than any socket buffer
  const auto start = Clock::now();
  EQO_EXPECT_ERROR(t->write(Buffer(1)), Category::kConnection, "took no bytes for 150 ms");
  EXPECT_GE(Clock::now() - start, 150ms);
  EQO_EXPECT_ERROR(t->flush(), Category::kConnection, "took no bytes");
  b = Socket();  // or closing would try to get rid of what is queued
}

TEST(TcpTransport, APeerThatDrainsAByteNowAndThenIsNoProgress) {
  auto [a, b] = connected_sockets();
  const auto t = make_tcp_transport(std::move(a), {.write_queue = 1000});
  t->set_deadline(200ms);
  std::atomic<bool> stop = false;
  auto reader = std::async(std::launch::async, [&, s = &b] {
    while (!stop) {
      testing::receive_raw(*s, 1, 10ms);
      std::this_thread::sleep_for(10ms);
    }
  });
  t->write(Buffer(50 << 20));
  EQO_EXPECT_ERROR(t->flush(), Category::kConnection, "took no bytes for 200 ms");
  stop = true;
  reader.get();
  b = Socket();
}

TEST(TcpTransport, TricklingBytesAreNoProgress) {
  auto [a, b] = connected_sockets();
  const auto t = make_tcp_transport(std::move(a));
  t->set_deadline(200ms);
  std::atomic<bool> stop = false;
  auto writer = std::async(std::launch::async, [&, s = &b] {
    while (!stop && send_raw(*s, "x")) std::this_thread::sleep_for(5ms);
  });
  Buffer thousand(1000);
  EQO_EXPECT_ERROR(t->read(thousand), Category::kConnection, "200 ms");
  stop = true;
  writer.get();
}

TEST(TcpTransport, AFloodIsNotReadAheadWithoutBound) {
  auto [a, b] = connected_sockets();
  const auto t = make_tcp_transport(std::move(a), {.read_ahead = 1 << 20});
  const std::string block(1 << 16, 'x');
  std::size_t accepted = 0;
  int refused = 0;
  while (refused < 20 && accepted < (200U << 20)) {
    const ssize_t n = ::send(b.fd(), block.data(), block.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) accepted += static_cast<std::size_t>(n);
    refused = n > 0 ? 0 : refused + 1;
    if (n <= 0) std::this_thread::sleep_for(5ms);
  }
  EXPECT_LT(accepted, 100U << 20);  // the bound and the kernel's buffers
  // Nothing is lost, and reading goes on once the owner reads.
  Buffer all(accepted);
  t->read(all);
  EXPECT_EQ(all, Buffer(accepted, std::byte{'x'}));
}

TEST(TcpTransport, BothMaySendMuchMoreThanTheQueuesBeforeTheyReceive) {
  auto [a, b] = connected_sockets();
  const SocketLimits limits{.write_queue = 1 << 20, .read_ahead = 1 << 16};
  const auto s = make_tcp_transport(std::move(a), limits), c = make_tcp_transport(std::move(b), limits);
  const auto party = [](Transport& t) {
    t.set_deadline(5s);
    const Buffer out(1 << 20, std::byte{9});
    for (int i = 0; i < 40; ++i) t.write(out);
    Buffer in(40 << 20);
    t.read(in);
    t.finish();
    return in == Buffer(40 << 20, std::byte{9});
  };
  auto other = std::async(std::launch::async, [&] { return party(*s); });
  EXPECT_TRUE(party(*c));
  EXPECT_TRUE(other.get());
}

TEST(TcpTransport, ChannelFramesSentInSinglePackets) {
  auto [a, b] = connected_sockets();
  Channel channel(Party::kClient, make_tcp_transport(std::move(a)));
  const auto header = encode_header({3, 0, 1});
  std::string wire(reinterpret_cast<const char*>(header.data()), header.size());
  wire += "abc";
  for (const char c : wire) {
    ASSERT_TRUE(send_raw(b, std::string_view(&c, 1)));
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_EQ(channel.recv(3), (Bytes{std::byte{'a'}, std::byte{'b'}, std::byte{'c'}}));
}

// A session of random messages in which one party vanishes at a random moment: the other one always gets an error of
// the connection, soon.
TEST(TcpTransport, APeerThatVanishesAnywhereIsAConnectionError) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 rng(seed);
  for (int round = 0; round < 30; ++round) {
    auto [a, b] = connected_sockets();
    Channel stays(Party::kServer, make_tcp_transport(std::move(a)));
    const auto last = static_cast<unsigned>(rng() % 20);
    const bool reset = rng() % 2 == 0;
    auto vanishing = std::async(std::launch::async, [&, s = &b] {
      for (unsigned i = 0; i < last; ++i) testing::receive_raw(*s, 1 + i * 500, 1s);
      if (reset) reset_connection(std::move(*s));
      const Socket gone = std::move(*s);
    });
    EQO_EXPECT_ERROR(
        for (;;) {
          stays.send(Bytes(3000));
          if (stays.traffic().sent_bytes > (64U << 20)) stays.recv(1);
        },
        Category::kConnection, "");
    vanishing.get();
  }
}

TEST(TcpTransport, NoDescriptorOrThreadIsLeftBehind) {
  const auto count = [](const char* folder) {
    const auto all = std::filesystem::directory_iterator(folder);
    return std::distance(begin(all), end(all));
  };
  const auto descriptors = count("/proc/self/fd"), threads = count("/proc/self/task");
  for (int i = 0; i < 100; ++i) {
    auto [a, b] = connected_sockets();
    const auto s = make_tcp_transport(std::move(a)), c = make_tcp_transport(std::move(b));
    s->write(Buffer(10));
    Buffer in(10);
    if (i % 2 == 0) c->read(in);
    if (i % 3 == 0) c->close();
  }
  EXPECT_EQ(count("/proc/self/fd"), descriptors);
  EXPECT_EQ(count("/proc/self/task"), threads);
}

}  // namespace
}  // namespace eqo
