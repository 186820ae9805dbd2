#include "eqo/net/testing/sockets.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <stdexcept>

namespace eqo::testing {

using namespace std::chrono_literals;

std::pair<Socket, Socket> connected_sockets() {
  TcpListener listener = TcpListener::listen("127.0.0.1", 0);
  Socket ours = connect_socket("127.0.0.1", listener.port(), 10s);
  std::optional<Socket> theirs = listener.accept(10s);
  if (!theirs) throw std::runtime_error("no connection over loopback");
  return {std::move(ours), std::move(*theirs)};
}

bool send_raw(const Socket& socket, std::string_view data) {
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (!data.empty()) {
    const ssize_t n = ::send(socket.fd(), data.data(), data.size(), MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) return false;
    if (n < 0 && !wait_for_socket(socket.fd(), POLLOUT, until)) return false;
    if (n > 0) data.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

std::string receive_raw(const Socket& socket, std::size_t size, std::chrono::milliseconds limit) {
  const auto until = std::chrono::steady_clock::now() + limit;
  std::string got;
  std::array<char, 4096> part;
  while (got.size() < size && wait_for_socket(socket.fd(), POLLIN, until)) {
    const ssize_t n = ::recv(socket.fd(), part.data(), std::min(part.size(), size - got.size()), 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) break;
    if (n > 0) got.append(part.data(), static_cast<std::size_t>(n));
  }
  return got;
}

}  // namespace eqo::testing
