#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "eqo/net/socket.h"
#include "eqo/net/socket_transport.h"
#include "eqo/net/transport.h"

namespace eqo {

// Plain TCP: no secrecy, no authentication. For loopback only, unless the caller insists.
std::unique_ptr<Transport> make_tcp_transport(Socket socket, const SocketLimits& limits = {});

// Connects within `deadline`. Throws connection_error.
std::unique_ptr<Transport> tcp_connect(const std::string& host, std::uint16_t port, std::chrono::milliseconds deadline,
                                       const SocketLimits& limits = {});

// A listening socket.
class TcpListener {
 public:
  // Port 0 lets the system choose; see port(). Throws connection_error, for example if the port is taken.
  static TcpListener listen(const std::string& host, std::uint16_t port);
  TcpListener(TcpListener&&) noexcept;
  TcpListener& operator=(TcpListener&&) noexcept;
  ~TcpListener();

  std::uint16_t port() const { return port_; }
  // The next connection, or nothing after `timeout`. Connections that ended before they were accepted are passed over.
  // Throws connection_error once the listener is closed, resource_error if the process is out of descriptors or memory
  // (the caller may wait and try again).
  std::optional<Socket> accept(std::chrono::milliseconds timeout);
  // Ends accept() in another thread, now and later. New connections are refused when the listener is destroyed.
  void close() noexcept;

 private:
  TcpListener(Socket socket, Socket closing, std::uint16_t port);
  Socket socket_;
  Socket closing_;  // an event descriptor
  std::uint16_t port_ = 0;
};

}  // namespace eqo
