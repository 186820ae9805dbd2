#include <cstdint>
#include <random>
#include <thread>

#include "e2e/support.h"
#include "eqo/net/framing.h"
#include "eqo/net/handshake.h"
#include "eqo/net/socket.h"
#include "eqo/net/tcp_transport.h"
#include "eqo/net/testing/certificates.h"
#include "eqo/net/testing/sockets.h"

// A server process against peers that are no client. Whatever they do ends their own session within bounded time and
// memory, and the next client is served.
namespace eqo::e2e {
namespace {

using eqo::testing::receive_raw;
using eqo::testing::send_raw;
using eqo::testing::TestAuthority;
using std::chrono::milliseconds;
using std::chrono::seconds;

Socket connect_raw(const Server& server) { return connect_socket("127.0.0.1", server.port(), seconds(5)); }

std::string random_bytes(std::size_t size, unsigned seed) {
  std::mt19937 rng(seed);
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(rng());
  return bytes;
}

// Reads until the other side closes; false at the limit.
bool closes(const Socket& socket, seconds limit) {
  const auto until = std::chrono::steady_clock::now() + limit;
  while (std::chrono::steady_clock::now() < until) {
    const auto start = std::chrono::steady_clock::now();
    const std::string got = receive_raw(socket, 4096, milliseconds(200));
    if (got.size() < 4096 && std::chrono::steady_clock::now() - start < milliseconds(190)) return true;
  }
  return false;
}

// Both kinds of server.
class Hostile : public ::testing::TestWithParam<bool> {
 protected:
  Words server_flags() const {
    if (!GetParam()) return {"--insecure"};
    const TlsConfig c = authority_.server();
    return {"--client-ca", c.ca_file, "--cert", c.cert_file, "--key", c.key_file};
  }
  Words client_flags() const {
    if (!GetParam()) return {"--insecure"};
    const TlsConfig c = authority_.client();
    return {"--ca", c.ca_file, "--cert", c.cert_file, "--key", c.key_file};
  }
  void expect_clean(Server& server) const {
    expect_served(server, client_flags());
    const std::string log = server.stop();
    EXPECT_EQ(log.find("internal"), std::string::npos) << log;
  }
  Folder folder_;
  TestAuthority authority_;
  std::string model_ = small_model(folder_);
};

TEST_P(Hostile, ConnectAndClose) {
  Server server(folder_, model_, server_flags() + Words{"--max-sessions", "2"});
  for (int i = 0; i < 40; ++i) connect_raw(server);
  EXPECT_TRUE(server.process().wait_for("connection", seconds(10))) << server.process().err();
  std::this_thread::sleep_for(milliseconds(300));
  expect_clean(server);
}

TEST_P(Hostile, HttpAndRandomBytes) {
  Server server(folder_, model_, server_flags());
  const std::vector<std::string> openings{"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                                          "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + random_bytes(500, 1),
                                          random_bytes(16, 2),
                                          random_bytes(100'000, 3),
                                          std::string(64, '\0'),
                                          std::string(64, '\xff')};
  for (std::size_t i = 0; i < openings.size(); ++i) {
    SCOPED_TRACE("opening " + std::to_string(i));
    const Socket socket = connect_raw(server);
    send_raw(socket, openings[i]);
    EXPECT_TRUE(closes(socket, seconds(20))) << server.process().err();
  }
  expect_clean(server);
}

// A byte every 100 ms: each one is progress for a naive deadline.
TEST_P(Hostile, SlowLoris) {
  Server server(folder_, model_, server_flags() + Words{"--deadline", "1", "--max-sessions", "1"});
  const Socket socket = connect_raw(server);
  const std::string opening = GetParam()
                                  ? std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03") + std::string(500, 'x')
                                  : std::string(
                                        "\x89"
                                        "EQO\r\n\x1a\n") +
                                        std::string(500, '\0');
  const auto start = std::chrono::steady_clock::now();
  bool over = false;
  for (std::size_t i = 0; i < opening.size() && !over; ++i) {
    over = !send_raw(socket, opening.substr(i, 1));
    if (!over) over = server.process().wait_for("session 1 (", milliseconds(100));
    if (std::chrono::steady_clock::now() - start > seconds(25)) break;
  }
  EXPECT_TRUE(over) << "the session is held open";
  EXPECT_LT(std::chrono::steady_clock::now() - start, seconds(GetParam() ? 20 : 10));
  expect_clean(server);
}

TEST_P(Hostile, SilentConnectionsDoNotLastForEver) {
  Server server(folder_, model_, server_flags() + Words{"--deadline", "0.5", "--max-sessions", "2"});
  const Socket first = connect_raw(server), second = connect_raw(server);
  EXPECT_TRUE(closes(first, seconds(20)));
  EXPECT_TRUE(closes(second, seconds(20)));
  expect_clean(server);
}

INSTANTIATE_TEST_SUITE_P(Servers, Hostile, ::testing::Bool(),
                         [](const auto& kind) { return kind.param ? "tls" : "plain"; });

// After an honest handshake: a frame that claims to be huge, or is none.
TEST(HostileClient, AbsurdFrames) {
  const Folder folder;
  const std::string model = small_model(folder);
  Server server(folder, model, {"--insecure", "--deadline", "2"});
  expect_served(server);
  const std::uint64_t before = server.process().memory("VmHWM");
  ASSERT_GT(before, 0U);
  const std::vector<FrameHeader> headers{
      {0, 0, 0},       {1, 0, 0},  {0x7fffffff, 0, 0}, {0x80000000, 0, 0},  {0xffffffff, 0, 0},
      {1 << 20, 0, 0}, {32, 7, 0}, {32, 0, 9},         {32, UINT32_MAX, 0}, {32, 0, UINT32_MAX}};
  for (const FrameHeader& header : headers) {
    SCOPED_TRACE("length " + std::to_string(header.length) + ", sequence " + std::to_string(header.sequence) +
                 ", flight " + std::to_string(header.flight));
    auto transport = tcp_connect("127.0.0.1", server.port(), seconds(5));
    transport->set_deadline(seconds(10));
    Nonce nonce{};
    client_handshake(*transport, {}, nonce);
    const FrameHeaderBytes bytes = encode_header(header);
    transport->write(bytes);
    transport->flush();
    // The server hangs up (its own first messages may come before that).
    EXPECT_THROW(
        {
          std::byte b[1];
          for (int i = 0; i < 1'000'000; ++i) transport->read(b);
        },
        Error);
    transport->close();
  }
  EXPECT_LT(server.process().memory("VmHWM"), before + (std::uint64_t{32} << 20));
  expect_served(server);
  const std::string log = server.stop();
  EXPECT_NE(log.find("protocol: "), std::string::npos) << log;
  EXPECT_EQ(log.find("internal"), std::string::npos) << log;
}

// The other way round: an `eqo infer` process against a listener that is no server.
TEST(HostileServer, TheClientSaysWhy) {
  const std::vector<std::pair<std::string, std::vector<int>>> speeches{
      {"", {5}},
      {"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", {7}},
      {random_bytes(4096, 5), {7}},
      {std::string("\x89"
                   "EQO\r\n\x1a\n") +
           std::string("\x09\0\0\0\0\0\0\0", 8),
       {7}},  // version 9
      {std::string("\x89"
                   "EQO\r\n\x1a\n") +
           std::string("\x01\0\0\0\x01\0\0\0", 8),
       {7}},  // says it is a client
      {std::string("\x89"
                   "EQO\r\n\x1a\n"),
       {5}}};
  for (const auto& [speech, codes] : speeches) {
    SCOPED_TRACE(::testing::PrintToString(speech.substr(0, 20)));
    TcpListener listener = TcpListener::listen("127.0.0.1", 0);
    Process client({EQO_PROGRAM, "infer", "--data", images(), "--index", "0", "--server",
                    "127.0.0.1:" + std::to_string(listener.port()), "--insecure", "--deadline", "2", "--json"});
    {
      const auto socket = listener.accept(seconds(10));
      ASSERT_TRUE(socket.has_value());
      send_raw(*socket, speech);
      receive_raw(*socket, 56, milliseconds(300));
    }
    const Ended ended = client.wait(seconds(15));
    EXPECT_THAT(codes, ::testing::Contains(ended.code)) << ended.err;
    if (ended.code > 0) check_error(ended, true, static_cast<Category>(ended.code), "");
  }
}

// A listener that accepts and says nothing.
TEST(HostileServer, SilenceMeetsTheDeadline) {
  TcpListener listener = TcpListener::listen("127.0.0.1", 0);
  const std::string address = "127.0.0.1:" + std::to_string(listener.port());
  const Ended ended = run_eqo(
      {"infer", "--data", images(), "--index", "0", "--server", address, "--insecure", "--deadline", "0.5", "--json"});
  check_error(ended, true, Category::kConnection, "");
  EXPECT_LT(ended.seconds, 6);
}

}  // namespace
}  // namespace eqo::e2e
