#include "eqo/runtime/server.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <list>
#include <mutex>
#include <new>
#include <thread>

#include "eqo/core/error.h"
#include "eqo/net/handshake.h"

namespace eqo {
namespace {

constexpr auto kAcceptStep = std::chrono::milliseconds(200);
constexpr auto kRefusalTime = std::chrono::seconds(1);  // for refused clients to read why, at the end
constexpr auto kDrainStep = std::chrono::milliseconds(20);
// Connections that are only told why they are refused, beside the sessions.
constexpr unsigned kMaxRefusals = 8;

}  // namespace

struct Server::Session {
  enum class Kind { kServe, kBusy, kDraining } kind = Kind::kServe;
  std::uint64_t number = 0;
  int wake = -1;  // a duplicate of the socket, to end the session from outside
  std::atomic<bool> done{false};
  std::thread thread;
};

struct Server::State {
  explicit State(TcpListener l) : listener(std::move(l)), port(listener->port()) {}
  std::optional<TcpListener> listener;  // none after run()
  std::uint16_t port;
  std::optional<TlsContext> tls;
  std::list<Session> sessions;  // touched by run() alone
  std::uint64_t next_number = 1;

  unsigned count(bool serving) const {
    return static_cast<unsigned>(std::count_if(sessions.begin(), sessions.end(), [&](const Session& s) {
      return !s.done.load() && (s.kind == Session::Kind::kServe) == serving;
    }));
  }
  void reap() {
    for (auto it = sessions.begin(); it != sessions.end();) {
      if (!it->done.load()) {
        ++it;
        continue;
      }
      it->thread.join();
      if (it->wake >= 0) ::close(it->wake);
      it = sessions.erase(it);
    }
  }
  void close_all() {
    for (const Session& s : sessions)
      if (s.wake >= 0) ::shutdown(s.wake, SHUT_RDWR);
  }
};

Server::Server(const Offer& offer, const ServerOptions& options, Log log)
    : offer_(offer), options_(options), log_(std::move(log)) {
  if (!options.tls && !is_loopback(options.listen.host))
    throw usage_error("without TLS the server listens on loopback addresses only, not on " + options.listen.host,
                      "give --cert, --key and --client-ca");
  if (options.max_sessions < 1) throw usage_error("--max-sessions must be at least 1");
  std::optional<TlsContext> tls;
  if (options.tls) {
    TlsConfig config = *options.tls;
    config.handshake_deadline = options.handshake;
    tls = TlsContext::server(config);
  }
  state_ = std::make_unique<State>(TcpListener::listen(options.listen.host, options.listen.port));
  state_->tls = std::move(tls);
}

Server::~Server() {
  if (!state_) return;
  state_->close_all();
  for (Session& s : state_->sessions)
    if (s.thread.joinable()) s.thread.join();
  for (const Session& s : state_->sessions)
    if (s.wake >= 0) ::close(s.wake);
}

std::uint16_t Server::port() const { return state_->port; }

void Server::run() {
  while (!stopping_.load()) {
    state_->reap();
    accept_one(kAcceptStep);
  }
  log_("stopping: " + std::to_string(state_->count(true)) + " sessions to drain");
  const auto until = std::chrono::steady_clock::now() + options_.drain;
  while (state_->count(true) > 0 && std::chrono::steady_clock::now() < until) {
    accept_one(kDrainStep);
    state_->reap();
  }
  state_->listener.reset();
  const bool late = state_->count(true) > 0;
  if (late) log_("the drain time is over, the remaining sessions are closed");
  for (const auto end = std::chrono::steady_clock::now() + kRefusalTime; !state_->sessions.empty(); state_->reap()) {
    if (late || std::chrono::steady_clock::now() >= end) state_->close_all();
    std::this_thread::sleep_for(kDrainStep);
  }
  log_("stopped");
}

// Waits for a connection, and starts a session for it or the thread that tells it why not.
void Server::accept_one(std::chrono::milliseconds wait) {
  std::optional<Socket> socket;
  try {
    socket = state_->listener->accept(wait);
  } catch (const Error& e) {
    if (e.category() != Category::kResource) throw;
    log_(std::string("cannot accept: ") + e.what());
    std::this_thread::sleep_for(wait);
    return;
  }
  if (!socket) return;
  auto kind = Session::Kind::kServe;
  if (stopping_.load()) {
    kind = Session::Kind::kDraining;
  } else if (state_->count(true) >= options_.max_sessions) {
    kind = Session::Kind::kBusy;
  }
  // A flood is closed without a word.
  if (kind != Session::Kind::kServe && state_->count(false) >= kMaxRefusals) return;
  Session& session = state_->sessions.emplace_back();
  session.kind = kind;
  session.number = state_->next_number++;
  session.wake = ::fcntl(socket->fd(), F_DUPFD_CLOEXEC, 0);
  try {
    session.thread = std::thread([this, &session, s = std::move(*socket)]() mutable {
      serve(std::move(s), session);
      session.done.store(true);
    });
  } catch (const std::exception& e) {
    log_(std::string("cannot start a session: ") + e.what());
    if (session.wake >= 0) ::close(session.wake);
    state_->sessions.pop_back();
  }
}

// The whole life of one connection. Nothing that goes wrong here leaves the session's thread.
void Server::serve(Socket socket, Session& session) {
  const std::string who = "session " + std::to_string(session.number) + " (" + socket.peer_address() + ")";
  try {
    std::unique_ptr<Transport> transport;
    if (state_->tls) {
      auto tls = tls_accept(*state_->tls, std::move(socket));
      if (session.kind == Session::Kind::kServe)
        log_(who + ": " + tls->peer().subject + ", certificate " + tls->peer().fingerprint);
      transport = std::move(tls);
    } else {
      transport = make_tcp_transport(std::move(socket));
    }
    transport->set_deadline(options_.deadline);
    if (session.kind != Session::Kind::kServe) {
      const bool busy = session.kind == Session::Kind::kBusy;
      log_(who + ": refused, " +
           (busy ? std::to_string(options_.max_sessions) + " sessions are open" : "the server is stopping"));
      transport->set_deadline(std::min(options_.deadline, options_.handshake));
      refuse(*transport, busy ? Refusal::kBusy : Refusal::kDraining);
      return;
    }
    if (options_.network) transport = simulate_link(std::move(transport), *options_.network);
    const SessionSummary summary = serve_session(std::move(transport), offer_);
    log_(who + ": " + std::to_string(summary.images) + " images, done");
  } catch (const Error& e) {
    log_(who + ": " + category_name(e.category()) + ": " + e.what());
  } catch (const std::bad_alloc&) {
    log_(who + ": resource: out of memory");
  } catch (const std::exception& e) {
    log_(who + ": internal: " + e.what());
  }
}

}  // namespace eqo
