#include "eqo/net/socket.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <system_error>
#include <utility>

#include "eqo/net/endpoint.h"

namespace eqo {
namespace {

using Clock = std::chrono::steady_clock;

Socket connect_one(const addrinfo& address, Clock::time_point until) {
  Socket s(::socket(address.ai_family, address.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, address.ai_protocol));
  if (s.fd() < 0) throw socket_error("cannot create a socket", errno);
  if (::connect(s.fd(), address.ai_addr, address.ai_addrlen) != 0) {
    if (errno != EINPROGRESS) throw socket_error("cannot connect", errno);
    if (!wait_for_socket(s.fd(), POLLOUT, until)) throw socket_error("cannot connect", ETIMEDOUT);
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(s.fd(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    if (error != 0) throw socket_error("cannot connect", error);
  }
  set_connection_options(s.fd());
  return s;
}

}  // namespace

Socket::Socket(Socket&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}

Socket& Socket::operator=(Socket&& o) noexcept {
  if (this != &o) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = std::exchange(o.fd_, -1);
  }
  return *this;
}

Socket::~Socket() {
  if (fd_ >= 0) ::close(fd_);
}

std::string Socket::peer_address() const {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (::getpeername(fd_, address, &size) != 0 || ::getnameinfo(address, size, host.data(), host.size(), port.data(),
                                                               port.size(), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return {};
  const std::string h = host.data();
  return (h.find(':') == std::string::npos ? h : "[" + h + "]") + ":" + port.data();
}

Error socket_error(const std::string& what, int error_number) {
  return connection_error(what + ": " + std::generic_category().message(error_number),
                          error_number == ECONNREFUSED ? "check that the server is running and listens on this address"
                                                       : "check the address, the network and the other party");
}

bool wait_for_socket(int fd, short events, Clock::time_point until) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    pollfd p{fd, events, 0};
    const int n = ::poll(&p, 1, static_cast<int>(std::clamp<decltype(left)>(left, 0, 1'000'000)));
    if (n > 0) return true;
    if (n < 0 && errno != EINTR) throw socket_error("cannot wait for the socket", errno);
    if (left <= 0) return false;
  }
}

void set_connection_options(int fd) {
  // Failing to set one of them only costs speed or a later detection. Buffer sizes are left to the kernel: setting
  // them would turn its own, larger, tuning off.
  const auto set = [fd](int level, int name, int value) {
    std::ignore = ::setsockopt(fd, level, name, &value, sizeof value);
  };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 20);  // seconds; a peer that vanished is noticed after 20 + 4 * 10
  set(IPPROTO_TCP, TCP_KEEPINTVL, 10);
  set(IPPROTO_TCP, TCP_KEEPCNT, 4);
}

Socket connect_socket(const std::string& host, std::uint16_t port, std::chrono::milliseconds deadline) {
  if (port == 0) throw usage_error("cannot connect to port 0", "give the port that the server printed");
  const std::string target = to_string(Endpoint{host, port});
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* raw = nullptr;
  const int failed = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &raw);
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> found(raw, &::freeaddrinfo);
  if (failed != 0)
    throw connection_error("cannot find " + target + ": " + ::gai_strerror(failed), "check the host name");

  const auto until = Clock::now() + std::min<std::chrono::milliseconds>(deadline, std::chrono::hours(24));
  int addresses = 0;
  for (const addrinfo* a = raw; a != nullptr; a = a->ai_next) ++addresses;
  Error last = connection_error("cannot connect to " + target, "check the address");
  for (const addrinfo* a = raw; a != nullptr; a = a->ai_next, --addresses) {
    try {
      return connect_one(*a, Clock::now() + (until - Clock::now()) / addresses);
    } catch (const Error& e) {
      last = Error(e.category(), target + ": " + e.what(), e.hint());
    }
  }
  throw last;
}

}  // namespace eqo
