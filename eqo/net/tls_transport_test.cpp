#include "eqo/net/tls_transport.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <future>
#include <thread>
#include <vector>

#include "eqo/net/testing/certificates.h"
#include "eqo/net/testing/expect_error.h"
#include "eqo/net/testing/sockets.h"

namespace eqo {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Buffer = std::vector<std::byte>;
using testing::CertificateSpec;
using testing::connected_sockets;
using testing::TestAuthority;

const TestAuthority& authority() {
  static const TestAuthority a;
  return a;
}

CertificateSpec good_server() { return {.name = "s", .dns = {"localhost"}, .ips = {"127.0.0.1"}}; }

// A handshake, then a byte each way. What each side met, or nothing.
struct Outcome {
  std::optional<Error> server, client;
};
Outcome meet(const TlsConfig& server, const TlsConfig& client, const std::string& name = "localhost") {
  auto [a, b] = connected_sockets();
  const TlsContext server_context = TlsContext::server(server), client_context = TlsContext::client(client);
  const auto talk = [](const std::function<std::unique_ptr<TlsTransport>()>& connect) -> std::optional<Error> {
    try {
      const auto t = connect();
      Buffer one(1);
      t->write(one);
      t->read(one);
      t->finish();
    } catch (const Error& e) {
      return e;
    }
    return std::nullopt;
  };
  auto serving = std::async(std::launch::async,
                            [&, s = &a] { return talk([&] { return tls_accept(server_context, std::move(*s)); }); });
  Outcome o;
  o.client = talk([&, s = &b] { return tls_connect(client_context, std::move(*s), name); });
  o.server = serving.get();
  return o;
}

void expect_tls_error(const std::optional<Error>& e, const std::string& text) {
  ASSERT_TRUE(e) << "no error, expected: " << text;
  EXPECT_EQ(e->category(), Category::kTls) << e->what();
  EXPECT_NE(std::string(e->what()).find(text), std::string::npos) << e->what();
  EXPECT_FALSE(e->hint().empty());
}

// A TLS end made with OpenSSL alone, for what our own never does. Blocking.
class RawTls {
 public:
  RawTls(Socket socket, bool server, const std::function<void(SSL_CTX*)>& set_up)
      : socket_(std::move(socket)), ctx_(SSL_CTX_new(TLS_method()), &SSL_CTX_free), ssl_(nullptr, &SSL_free) {
    ::fcntl(socket_.fd(), F_SETFL, ::fcntl(socket_.fd(), F_GETFL) & ~O_NONBLOCK);
    set_up(ctx_.get());
    ssl_.reset(SSL_new(ctx_.get()));
    SSL_set_fd(ssl_.get(), socket_.fd());
    server ? SSL_set_accept_state(ssl_.get()) : SSL_set_connect_state(ssl_.get());
    shaken_ = SSL_do_handshake(ssl_.get()) == 1;
  }
  bool shaken() const { return shaken_; }
  SSL* get() const { return ssl_.get(); }
  const Socket& socket() const { return socket_; }

 private:
  Socket socket_;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> ctx_;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
  bool shaken_ = false;
};

void use(SSL_CTX* ctx, const TlsConfig& c) {
  ASSERT_EQ(SSL_CTX_use_certificate_chain_file(ctx, c.cert_file.c_str()), 1);
  ASSERT_EQ(SSL_CTX_use_PrivateKey_file(ctx, c.key_file.c_str(), SSL_FILETYPE_PEM), 1);
}

// What our server says to a peer that does something else on the socket, and that peer's own verdict.
template <typename F>
Error server_meets(F peer, std::chrono::milliseconds deadline = 5s) {
  auto [a, b] = connected_sockets();
  TlsConfig config = authority().server();
  config.handshake_deadline = deadline;
  const TlsContext context = TlsContext::server(config);
  auto other = std::async(std::launch::async, [&, s = &b] { peer(std::move(*s)); });
  const Error e = testing::error_of([&, s = &a] {
    const auto t = tls_accept(context, std::move(*s));
    t->set_deadline(5s);
    Buffer hundred(100);
    t->read(hundred);
  });
  other.get();
  return e;
}

TEST(Tls, BothSidesKnowThePeersCertificate) {
  auto [a, b] = connected_sockets();
  const TlsContext server = TlsContext::server(authority().server());
  const TlsContext client = TlsContext::client(authority().client());
  auto accepted = std::async(std::launch::async, [&, s = &a] { return tls_accept(server, std::move(*s)); });
  const auto c = tls_connect(client, std::move(b), "127.0.0.1");
  const auto s = accepted.get();
  EXPECT_EQ(s->peer().subject, "CN=test client");
  EXPECT_EQ(c->peer().subject, "CN=test server");
  EXPECT_EQ(c->peer().fingerprint.size(), 64U);
  EXPECT_EQ(c->peer().fingerprint.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_NE(c->peer().fingerprint, s->peer().fingerprint);
}

TEST(Tls, ConnectsThroughAListenerByNameAndAddress) {
  for (const char* host : {"localhost", "127.0.0.1"}) {
    TcpListener listener = TcpListener::listen(host, 0);
    const TlsContext server = TlsContext::server(authority().server());
    const TlsContext client = TlsContext::client(authority().client());
    auto accepted = std::async(std::launch::async, [&] { return tls_accept(server, *listener.accept(5s)); });
    const auto c = tls_connect(client, host, listener.port(), 5s);
    c->write(Buffer(3));
    Buffer three(3);
    accepted.get()->read(three);
  }
}

TEST(Tls, RefusesBadServerCertificates) {
  const TestAuthority other("another authority"), namesake;
  struct Case {
    TlsConfig server;
    std::string name, client_says, server_says;
  };
  CertificateSpec expired = good_server(), early = good_server(), selfmade = good_server(), nameless = good_server();
  expired.valid_to = -60s;
  early.valid_from = 600s;
  selfmade.self_signed = true;
  nameless.name = "localhost";
  nameless.dns.clear();
  TlsConfig stranger = other.issue("stranger", good_server()), forged = namesake.issue("forged", good_server());
  stranger.ca_file = forged.ca_file = authority().ca_file();
  const std::vector<Case> cases{
      {authority().issue("a", expired), "localhost", "expired", "refuses our certificate: expired"},
      {authority().issue("b", early), "localhost", "not yet valid", "refuses our certificate"},
      {authority().issue("c", selfmade), "localhost", "self-signed", "does not trust the CA"},
      {stranger, "localhost", "another CA", "does not trust the CA"},
      {forged, "localhost", "another CA", "refuses our certificate"},
      {authority().issue("d", good_server()), "example.org", "another name", "refuses our certificate"},
      {authority().issue("e", good_server()), "127.0.0.2", "another name", "refuses our certificate"},
      {authority().issue("f", nameless), "localhost", "another name", "refuses our certificate"}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.client_says + " " + c.name);
    const Outcome o = meet(c.server, authority().client(), c.name);
    expect_tls_error(o.client, c.client_says);
    expect_tls_error(o.server, c.server_says);
  }
}

TEST(Tls, RefusesBadClientCertificates) {
  const TestAuthority other("another authority"), namesake;
  CertificateSpec expired, early, selfmade;
  expired.valid_to = -60s;
  early.valid_from = 600s;
  selfmade.self_signed = true;
  TlsConfig stranger = other.client(), forged = namesake.client();
  stranger.ca_file = forged.ca_file = authority().ca_file();
  const std::vector<std::tuple<TlsConfig, std::string, std::string>> cases{
      {authority().issue("g", expired), "expired", "refuses our certificate: expired"},
      {authority().issue("h", early), "not yet valid", "refuses our certificate"},
      {authority().issue("i", selfmade), "self-signed", "does not trust the CA"},
      {stranger, "another CA", "does not trust the CA"},
      {forged, "another CA", "refuses our certificate"}};
  for (const auto& [client, server_says, client_says] : cases) {
    SCOPED_TRACE(server_says);
    const Outcome o = meet(authority().server(), client);
    expect_tls_error(o.server, server_says);
    expect_tls_error(o.client, client_says);
  }
  const Outcome fine = meet(authority().server(), authority().client());
  EXPECT_FALSE(fine.server) << fine.server->what();
  EXPECT_FALSE(fine.client) << fine.client->what();
}

TEST(Tls, DemandsAClientCertificate) {
  std::string alert;
  const Error e = server_meets([&](Socket s) {
    RawTls raw(std::move(s), false, [](SSL_CTX*) {});
    char c;
    ERR_clear_error();
    EXPECT_LE(SSL_read(raw.get(), &c, 1), 0);
    alert = ERR_reason_error_string(ERR_peek_error());
  });
  expect_tls_error(e, "shows no certificate");
  EXPECT_NE(alert.find("certificate required"), std::string::npos) << alert;
}

TEST(Tls, RefusesTls12) {
  const Error e = server_meets([](Socket s) {
    RawTls raw(std::move(s), false, [](SSL_CTX* c) {
      SSL_CTX_set_max_proto_version(c, TLS1_2_VERSION);
      use(c, authority().client());
    });
    EXPECT_FALSE(raw.shaken());
  });
  expect_tls_error(e, "does not offer TLS 1.3");

  auto [a, b] = connected_sockets();
  auto server = std::async(std::launch::async, [s = &a] {
    RawTls raw(std::move(*s), true, [](SSL_CTX* c) {
      SSL_CTX_set_max_proto_version(c, TLS1_2_VERSION);
      use(c, authority().server());
    });
    EXPECT_FALSE(raw.shaken());
  });
  const TlsContext client = TlsContext::client(authority().client());
  expect_tls_error(testing::error_of([&, s = &b] { tls_connect(client, std::move(*s), "localhost"); }),
                   "does not offer TLS 1.3");
  server.get();
}

TEST(Tls, OtherProtocolsOnThePortAreTlsErrors) {
  expect_tls_error(server_meets([](Socket s) {
                     testing::send_raw(s, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
                     testing::receive_raw(s, 1000, 2s);
                   }),
                   "plain HTTP");
  expect_tls_error(server_meets([](Socket s) {
                     testing::send_raw(s, std::string(300, '\x5a'));
                     testing::receive_raw(s, 1000, 2s);
                   }),
                   "not TLS 1.3");
  // A record that announces more than TLS allows.
  expect_tls_error(server_meets([](Socket s) {
                     testing::send_raw(s, std::string("\x16\x03\x01\xff\xff", 5) + std::string(300, 'x'));
                     testing::receive_raw(s, 1000, 2s);
                   }),
                   "TLS handshake");
}

TEST(Tls, APeerThatLeavesDuringTheHandshakeIsAConnectionError) {
  const Error e = server_meets([](Socket) {});
  EXPECT_EQ(e.category(), Category::kConnection) << e.what();
  EXPECT_NE(std::string(e.what()).find("closed"), std::string::npos) << e.what();
  const Error f = server_meets([](Socket s) { testing::send_raw(s, std::string("\x16\x03\x01\x01\x00\x01", 6)); });
  EXPECT_EQ(f.category(), Category::kConnection) << f.what();
}

TEST(Tls, TheHandshakeAsAWholeHasADeadline) {
  std::atomic<bool> stop = false;
  const auto start = Clock::now();
  // A slow loris: a byte of a plausible hello now and then.
  const auto loris = [&](Socket s) {
    const std::string hello = std::string("\x16\x03\x01\x01\x00\x01\x00\x00\xfc\x03\x03", 11) + std::string(245, 'x');
    for (const char c : hello) {
      if (stop || !testing::send_raw(s, std::string_view(&c, 1))) return;
      std::this_thread::sleep_for(10ms);
    }
  };
  auto [a, b] = connected_sockets();
  auto slow = std::async(std::launch::async, [&, s = &b] { loris(std::move(*s)); });
  TlsConfig config = authority().server();
  config.handshake_deadline = 200ms;
  const TlsContext context = TlsContext::server(config);
  EQO_EXPECT_ERROR(tls_accept(context, std::move(a)), Category::kConnection, "not finished within 200 ms");
  EXPECT_GE(Clock::now() - start, 200ms);
  stop = true;
  slow.get();

  auto [c, d] = connected_sockets();  // a silent server
  TlsConfig client = authority().client();
  client.handshake_deadline = 100ms;
  const TlsContext client_context = TlsContext::client(client);
  EQO_EXPECT_ERROR(tls_connect(client_context, std::move(d), "localhost"), Category::kConnection, "within 100 ms");
}

RawTls raw_client(Socket s) {
  return {std::move(s), false, [](SSL_CTX* c) { use(c, authority().client()); }};
}

TEST(Tls, BytesThatAreNotTlsAfterTheHandshakeAreATlsError) {
  const Error e = server_meets([](Socket s) {
    const RawTls raw = raw_client(std::move(s));
    EXPECT_TRUE(raw.shaken());
    testing::send_raw(raw.socket(), std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x'));
    testing::receive_raw(raw.socket(), 1000, 2s);
  });
  EXPECT_EQ(e.category(), Category::kTls) << e.what();
  const Error f = server_meets([](Socket s) {
    const RawTls raw = raw_client(std::move(s));
    testing::send_raw(raw.socket(), std::string(100, 'x'));
    testing::receive_raw(raw.socket(), 1000, 2s);
  });
  EXPECT_EQ(f.category(), Category::kTls) << f.what();
}

TEST(Tls, AStreamCutWithoutTlsEndIsAnErrorAlsoInFinish) {
  for (const bool in_finish : {false, true}) {
    auto [a, b] = connected_sockets();
    auto peer = std::async(std::launch::async, [s = &b] { EXPECT_TRUE(raw_client(std::move(*s)).shaken()); });
    const TlsContext context = TlsContext::server(authority().server());
    const auto t = tls_accept(context, std::move(a));
    peer.get();
    Buffer one(1);
    EQO_EXPECT_ERROR(in_finish ? t->finish() : t->read(one), Category::kConnection, "TLS");
  }
}

TEST(Tls, BadFilesAreTlsErrorsThatNameThem) {
  const TlsConfig good = authority().server();
  const auto with = [&](auto change) {
    TlsConfig c = good;
    change(c);
    return c;
  };
  const std::string absent = authority().folder() / "absent.pem", junk = authority().folder() / "junk.pem";
  std::ofstream(junk) << "no certificate here";
  for (const std::string& file : {absent, junk}) {
    EQO_EXPECT_ERROR(TlsContext::server(with([&](auto& c) { c.cert_file = file; })), Category::kTls, file);
    EQO_EXPECT_ERROR(TlsContext::server(with([&](auto& c) { c.key_file = file; })), Category::kTls, file);
    EQO_EXPECT_ERROR(TlsContext::client(with([&](auto& c) { c.ca_file = file; })), Category::kTls, file);
  }
  EQO_EXPECT_ERROR(TlsContext::server(with([&](auto& c) { c.key_file = authority().client().key_file; })),
                   Category::kTls, "client.key");
  EQO_EXPECT_ERROR(TlsContext::server({}), Category::kUsage, "TLS needs");

  // A key with a passphrase: refused, and nobody is asked.
  const std::string locked = authority().folder() / "locked.key";
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), &EVP_PKEY_free);
  const std::unique_ptr<BIO, decltype(&BIO_free_all)> out(BIO_new_file(locked.c_str(), "w"), &BIO_free_all);
  char passphrase[] = "secret";
  ASSERT_EQ(PEM_write_bio_PKCS8PrivateKey(out.get(), key.get(), EVP_aes_128_cbc(), passphrase, 6, nullptr, nullptr), 1);
  BIO_flush(out.get());
  EQO_EXPECT_ERROR(TlsContext::server(with([&](auto& c) { c.key_file = locked; })), Category::kTls, "locked.key");
}

TEST(Tls, ABrokenPipeInTheHandshakeIsAnErrorAndNeverASignal) {
  const TlsContext client = TlsContext::client(authority().client());
  auto [a, b] = connected_sockets();
  ASSERT_EQ(::shutdown(a.fd(), SHUT_WR), 0);
  EQO_EXPECT_ERROR(tls_connect(client, std::move(a), "localhost"), Category::kConnection, "Broken pipe");
}

TEST(Tls, RefusesNamesThatCannotBeChecked) {
  const TlsContext client = TlsContext::client(authority().client());
  auto [a, b] = connected_sockets();
  EQO_EXPECT_ERROR(tls_connect(client, std::move(a), ""), Category::kUsage, "name");
}

}  // namespace
}  // namespace eqo
