#pragma once
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "eqo/net/endpoint.h"
#include "eqo/net/simulated_link.h"
#include "eqo/net/tcp_transport.h"
#include "eqo/net/tls_transport.h"
#include "eqo/runtime/session.h"

namespace eqo {

struct ServerOptions {
  Endpoint listen{"127.0.0.1", 0};
  std::optional<TlsConfig> tls;     // none: plain TCP, loopback only
  std::optional<LinkSpec> network;  // a simulated link
  unsigned max_sessions = 4;
  std::chrono::milliseconds deadline{60'000};   // without progress
  std::chrono::milliseconds handshake{15'000};  // for TLS in all; for a client that is refused, to read why
  std::chrono::milliseconds drain{600'000};     // for running sessions, after stop()
};

// Serves several clients at once, each in a session and a thread of its own. One client more than max_sessions is told
// so; what one client does wrong ends its session alone.
class Server {
 public:
  // Called from session threads, one line a call, nothing secret in it.
  using Log = std::function<void(const std::string&)>;

  // Listens at once; the port is known afterwards. `offer` must outlive the server. Throws usage_error for plain TCP on
  // another address than loopback, tls_error for unreadable certificates.
  Server(const Offer& offer, const ServerOptions& options, Log log);
  ~Server();

  std::uint16_t port() const;
  // Accepts until stop(), then waits for the running sessions: each ends with its client's goodbye, and new clients are
  // told that the server is stopping. Sessions that are still there when the drain time is over are closed. The port is
  // free when run() returns.
  void run();
  // Async-signal-safe, idempotent.
  void stop() noexcept { stopping_.store(true); }

 private:
  struct Session;
  struct State;
  void accept_one(std::chrono::milliseconds wait);
  void serve(Socket socket, Session& session);

  const Offer& offer_;
  ServerOptions options_;
  Log log_;
  std::atomic<bool> stopping_{false};
  std::unique_ptr<State> state_;
};

}  // namespace eqo
