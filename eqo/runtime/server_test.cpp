#include "eqo/runtime/server.h"

#include <dirent.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <mutex>
#include <random>
#include <thread>

#include "eqo/model/testing/small_models.h"
#include "eqo/net/testing/certificates.h"
#include "eqo/net/testing/expect_error.h"
#include "eqo/net/testing/sockets.h"
#include "eqo/runtime/runtime_testing.h"

namespace eqo {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using testing::expected_answers;
using ::testing::HasSubstr;
using testing::random_images;

std::size_t open_descriptors() {
  std::size_t n = 0;
  DIR* folder = ::opendir("/proc/self/fd");
  while (folder != nullptr && ::readdir(folder) != nullptr) ++n;
  if (folder != nullptr) ::closedir(folder);
  return n;
}

// A server in a thread of its own, stopped at the end.
class Running {
 public:
  Running(const Offer& offer, const ServerOptions& options)
      : server_(offer, options,
                [this](const std::string& line) {
                  const std::lock_guard lock(mutex_);
                  log_ += line + "\n";
                }),
        thread_([this] { server_.run(); }) {}
  ~Running() { stop(); }

  Server& server() { return server_; }
  void stop() {
    server_.stop();
    if (thread_.joinable()) thread_.join();
  }
  std::string log() {
    const std::lock_guard lock(mutex_);
    return log_;
  }
  // Waits until a line of the log holds `text`.
  bool said(const std::string& text, std::chrono::seconds limit = 20s) {
    for (const auto until = Clock::now() + limit; Clock::now() < until; std::this_thread::sleep_for(5ms))
      if (log().find(text) != std::string::npos) return true;
    return false;
  }
  std::unique_ptr<Transport> connect() { return tcp_connect("127.0.0.1", server_.port(), 10s); }
  Socket raw() { return connect_socket("127.0.0.1", server_.port(), 10s); }

 private:
  std::mutex mutex_;
  std::string log_;
  Server server_;
  std::thread thread_;
};

class Servers : public ::testing::Test {
 protected:
  // A session as soon as there is room for it: a place is free a moment after the last client has gone.
  template <typename F>
  ClientSession patient(F connect) {
    for (const auto until = Clock::now() + 20s;; std::this_thread::sleep_for(20ms)) {
      try {
        return ClientSession(connect(), {});
      } catch (const Error& e) {
        const bool busy = e.category() == Category::kResource || e.category() == Category::kConnection;
        if (!busy || Clock::now() > until) throw;
      }
    }
  }
  // One client's whole life.
  void ask(Running& running, std::uint64_t seed) {
    ask(patient([&] { return running.connect(); }), seed);
  }
  void ask(ClientSession&& session, std::uint64_t seed) {
    const auto images = random_images(offer_.model.plan, seed, 2);
    EXPECT_EQ(session.infer(images, 2), expected_answers(offer_.model, images, 2));
    EXPECT_EQ(session.finish().images, 2U);
  }
  Offer offer_ = testing::random_offer(8);
  ServerOptions options_;
};

TEST_F(Servers, SeveralClientsAtOnceAndOneAfterAnother) {
  options_.max_sessions = 3;
  Running running(offer_, options_);
  for (int round = 0; round < 2; ++round) {
    std::vector<std::thread> clients;
    for (std::uint64_t i = 0; i < 3; ++i) clients.emplace_back([&, i] { EXPECT_NO_THROW(ask(running, i)); });
    for (std::thread& c : clients) c.join();
  }
  running.stop();
  std::size_t answered = 0;
  const std::string log = running.log();
  for (std::size_t at = log.find("2 images, done"); at != std::string::npos; at = log.find("2 images, done", at + 1))
    ++answered;
  EXPECT_EQ(answered, 6U);
  EXPECT_THAT(log, HasSubstr("stopped"));
}

TEST_F(Servers, OneClientMoreThanAllowedIsToldThatTheServerIsBusy) {
  options_.max_sessions = 2;
  Running running(offer_, options_);
  ClientSession first(running.connect(), {}), second(running.connect(), {});
  for (int i = 0; i < 3; ++i)
    EQO_EXPECT_ERROR(ClientSession(running.connect(), {}), Category::kResource, "the server is busy");
  EXPECT_THAT(running.log(), HasSubstr("refused, 2 sessions are open"));
  first.finish();
  ask(running, 1);
  ask(std::move(second), 2);
}

TEST_F(Servers, WhatOneClientDoesWrongDisturbsNoOther) {
  options_.max_sessions = 4;
  options_.deadline = 5s;
  Running running(offer_, options_);
  std::optional<ClientSession> steady(std::in_place, running.connect(), ClientOptions{});
  const auto images = random_images(offer_.model.plan, 3, 1);
  const auto expected = expected_answers(offer_.model, images, 1);
  const auto still_served = [&] { EXPECT_EQ(steady->infer(images, 1), expected); };

  running.raw();  // connects and closes without a byte
  EXPECT_TRUE(running.said("connection: "));
  still_served();
  {  // the client vanishes in mid-session
    ClientSession lost(running.connect(), {});
    lost.infer(images, 1);
  }
  EXPECT_TRUE(running.said("session 3"));
  still_served();
  {
    const Socket socket = running.raw();
    EXPECT_TRUE(testing::send_raw(socket, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" + std::string(100, ' ')));
    EXPECT_TRUE(running.said("does not speak this program's protocol"));
  }
  still_served();
  std::mt19937_64 random(1);
  for (int i = 0; i < 10; ++i) {
    const Socket socket = running.raw();
    std::string junk(1 + random() % 5000, ' ');
    for (char& c : junk) c = static_cast<char>(random());
    testing::send_raw(socket, junk);
    still_served();
  }
  ask(running, 4);
  steady->finish();
  steady.reset();
}

TEST_F(Servers, AFloodOfIdleConnectionsIsBounded) {
  options_.max_sessions = 2;
  options_.deadline = options_.handshake = 1s;
  Running running(offer_, options_);
  const auto before = open_descriptors();
  {
    std::vector<Socket> idle;
    for (int i = 0; i < 60; ++i) idle.push_back(running.raw());
    EXPECT_TRUE(running.said("refused"));
    std::this_thread::sleep_for(200ms);
    // Our 60 ends, and a bounded number at the server: 2 sessions and 8 refusals of a few descriptors each.
    EXPECT_LT(open_descriptors(), before + 60 + 60);
    // After the deadline all of them are gone, and the others are served.
    ask(running, 5);
  }
  running.stop();
  EXPECT_LE(open_descriptors(), before);
}

TEST_F(Servers, StopDrainsAndTellsNewClients) {
  Running running(offer_, options_);
  const auto images = random_images(offer_.model.plan, 6, 1);
  ClientSession session(running.connect(), {});
  running.server().stop();
  running.server().stop();
  EXPECT_TRUE(running.said("1 sessions to drain"));
  EQO_EXPECT_ERROR(ClientSession(running.connect(), {}), Category::kResource, "shutting down");
  EXPECT_EQ(session.infer(images, 1), expected_answers(offer_.model, images, 1));
  session.finish();
  running.stop();
  EXPECT_THAT(running.log(), HasSubstr("1 images, done"));
  EXPECT_THAT(running.log(), HasSubstr("stopped"));
  EQO_EXPECT_ERROR(running.connect(), Category::kConnection, "refused");
}

TEST_F(Servers, SessionsThatOutliveTheDrainTimeAreClosed) {
  options_.drain = 200ms;
  Running running(offer_, options_);
  const auto images = random_images(offer_.model.plan, 6, 1);
  ClientSession session(running.connect(), {});
  const auto start = Clock::now();
  running.stop();
  EXPECT_LT(Clock::now() - start, 15s);
  EXPECT_THAT(running.log(), HasSubstr("the remaining sessions are closed"));
  EQO_EXPECT_ERROR(session.infer(images, 1), Category::kConnection, "");
}

TEST_F(Servers, ThePortIsFreeAfterwardsAndTakenBefore) {
  std::uint16_t port = 0;
  {
    Running running(offer_, options_);
    port = running.server().port();
    ServerOptions same = options_;
    same.listen.port = port;
    EQO_EXPECT_ERROR(Server(offer_, same, [](const std::string&) {}), Category::kConnection, "cannot listen");
    ask(running, 7);
    running.stop();
    options_.listen.port = port;
    Running next(offer_, options_);
    EXPECT_EQ(next.server().port(), port);
    ask(next, 8);
  }
}

TEST_F(Servers, OptionsThatAreNotAllowed) {
  const auto make = [&] { Server(offer_, options_, [](const std::string&) {}); };
  for (const char* host : {"0.0.0.0", "192.0.2.1", "::", "example.org"}) {
    options_.listen.host = host;
    EQO_EXPECT_ERROR(make(), Category::kUsage, "without TLS");
  }
  options_.listen.host = "127.0.0.1";
  options_.max_sessions = 0;
  EQO_EXPECT_ERROR(make(), Category::kUsage, "--max-sessions");
  options_.max_sessions = 1;
  options_.tls.emplace();
  options_.tls->cert_file = "/nowhere/a.pem";
  options_.tls->key_file = "/nowhere/a.key";
  options_.tls->ca_file = "/nowhere/ca.pem";
  EQO_EXPECT_ERROR(make(), Category::kTls, "/nowhere/");
}

TEST_F(Servers, AServerThatNeverRanEndsQuietly) {
  const Server server(offer_, options_, [](const std::string&) {});
  EXPECT_GT(server.port(), 0);
}

TEST_F(Servers, OverTls) {
  const testing::TestAuthority authority;
  options_.tls = authority.server();
  options_.max_sessions = 1;
  options_.handshake = 2s;
  options_.deadline = 2s;
  Running running(offer_, options_);
  const TlsContext context = TlsContext::client(authority.client());
  const auto connect = [&] { return tls_connect(context, "127.0.0.1", running.server().port(), 10s); };
  ask(ClientSession(connect(), {}), 1);
  EXPECT_TRUE(running.said("2 images, done"));
  EXPECT_THAT(running.log(), HasSubstr("certificate "));
  {
    ClientSession one = patient(connect);
    EQO_EXPECT_ERROR(ClientSession(connect(), {}), Category::kResource, "the server is busy");
    one.finish();
  }
  {  // plain bytes on the TLS port
    const Socket socket = running.raw();
    testing::send_raw(socket, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_TRUE(running.said("tls: "));
  }
  {  // silence there meets the handshake's deadline, not ours
    const Socket socket = running.raw();
    EXPECT_EQ(testing::receive_raw(socket, 1, 20s), "");
    EXPECT_TRUE(running.said("connection: "));
  }
  ask(patient(connect), 2);
}

}  // namespace
}  // namespace eqo
