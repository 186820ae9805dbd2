#include "eqo/net/tcp_transport.h"

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <tuple>
#include <utility>

#include "eqo/net/endpoint.h"

namespace eqo {
namespace {

using Clock = std::chrono::steady_clock;

class TcpStream final : public SocketStream {
 public:
  explicit TcpStream(Socket socket) : socket_(std::move(socket)) {}
  int fd() const override { return socket_.fd(); }

  Outcome read_some(std::span<std::byte> out) override {
    const ssize_t n = ::recv(socket_.fd(), out.data(), out.size(), 0);
    if (n > 0) return {Status::kDone, static_cast<std::size_t>(n)};
    if (n == 0) return {Status::kEnd};
    return blocked_or_throw(Status::kWantRead);
  }
  Outcome write_some(std::span<const std::byte> data) override {
    const ssize_t n = ::send(socket_.fd(), data.data(), data.size(), MSG_NOSIGNAL);
    if (n >= 0) return {Status::kDone, static_cast<std::size_t>(n)};
    return blocked_or_throw(Status::kWantWrite);
  }
  Outcome end_writing() override {
    if (::shutdown(socket_.fd(), SHUT_WR) != 0) throw socket_error("the connection broke", errno);
    return {Status::kDone};
  }

 private:
  static Outcome blocked_or_throw(Status wanted) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return {wanted};
    throw socket_error("the connection broke", errno);
  }
  Socket socket_;
};

Socket listen_on(const addrinfo& a) {
  Socket s(::socket(a.ai_family, a.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a.ai_protocol));
  if (s.fd() < 0) throw socket_error("cannot create a socket", errno);
  const int on = 1;
  if (::setsockopt(s.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(s.fd(), a.ai_addr, a.ai_addrlen) != 0 || ::listen(s.fd(), 128) != 0)
    throw connection_error("cannot listen: " + std::generic_category().message(errno),
                           "choose another address or port, or end the program that uses it");
  return s;
}

std::uint16_t bound_port(int fd) {
  sockaddr_storage a{};
  socklen_t size = sizeof a;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&a), &size) != 0) throw socket_error("cannot listen", errno);
  return ntohs(a.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(a).sin6_port
                                       : reinterpret_cast<sockaddr_in&>(a).sin_port);
}

}  // namespace

std::unique_ptr<Transport> make_tcp_transport(Socket socket, const SocketLimits& limits) {
  return std::make_unique<SocketTransport>(std::make_unique<TcpStream>(std::move(socket)), limits);
}

std::unique_ptr<Transport> tcp_connect(const std::string& host, std::uint16_t port, std::chrono::milliseconds deadline,
                                       const SocketLimits& limits) {
  return make_tcp_transport(connect_socket(host, port, deadline), limits);
}

TcpListener::TcpListener(Socket socket, Socket closing, std::uint16_t port)
    : socket_(std::move(socket)), closing_(std::move(closing)), port_(port) {}
TcpListener::TcpListener(TcpListener&&) noexcept = default;
TcpListener& TcpListener::operator=(TcpListener&&) noexcept = default;
TcpListener::~TcpListener() = default;

TcpListener TcpListener::listen(const std::string& host, std::uint16_t port) {
  const std::string where = to_string(Endpoint{host, port});
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | AI_PASSIVE;
  addrinfo* raw = nullptr;
  const int failed = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &raw);
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> found(raw, &::freeaddrinfo);
  if (failed != 0)
    throw connection_error("cannot listen on " + where + ": " + ::gai_strerror(failed), "check the host name");
  try {
    Socket s = listen_on(*raw);
    Socket closing(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (closing.fd() < 0) throw resource_error("cannot create an event descriptor", "allow more open files");
    const std::uint16_t chosen = bound_port(s.fd());
    return {std::move(s), std::move(closing), chosen};
  } catch (const Error& e) {
    throw Error(e.category(), where + ": " + e.what(), e.hint());
  }
}

std::optional<Socket> TcpListener::accept(std::chrono::milliseconds timeout) {
  const auto until = Clock::now() + std::min(timeout, kLongestDeadline);
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    std::array<pollfd, 2> fds{pollfd{closing_.fd(), POLLIN, 0}, pollfd{socket_.fd(), POLLIN, 0}};
    const int n = ::poll(fds.data(), fds.size(), static_cast<int>(std::clamp<decltype(left)>(left, 0, 1'000'000)));
    if (n < 0 && errno != EINTR) throw socket_error("cannot wait for connections", errno);
    if (n > 0 && fds[0].revents != 0) throw connection_error("the listener is closed");
    if (n > 0) {
      Socket s(::accept4(socket_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (s.fd() >= 0) {
        set_connection_options(s.fd());
        return s;
      }
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        throw resource_error("cannot accept a connection: " + std::generic_category().message(errno),
                             "allow this process more open files");
      if (errno == EBADF || errno == EINVAL || errno == ENOTSOCK) throw socket_error("cannot accept", errno);
    }
    if (left <= 0) return std::nullopt;
  }
}

void TcpListener::close() noexcept {
  const std::uint64_t one = 1;
  std::ignore = ::write(closing_.fd(), &one, sizeof one);
}

}  // namespace eqo
