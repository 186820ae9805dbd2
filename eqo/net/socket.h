#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "eqo/core/error.h"

namespace eqo {

// A connected or listening TCP socket, non-blocking; closed on destruction.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& o) noexcept;
  Socket& operator=(Socket&& o) noexcept;
  ~Socket();
  int fd() const { return fd_; }
  // The other end as "address:port", for logs; empty if it is gone already.
  std::string peer_address() const;

 private:
  int fd_ = -1;
};

// "what: reason" of an errno value as a connection_error.
Error socket_error(const std::string& what, int error_number);

// What every connection wants: no Nagle delay, keep-alive probes. Failures are ignored.
void set_connection_options(int fd);

// Waits for `events` (poll(2)) on fd until `until`; false at the time limit.
bool wait_for_socket(int fd, short events, std::chrono::steady_clock::time_point until);

// Connects to one of the addresses of `host`, within `deadline` for all of them together (name look-up not counted).
Socket connect_socket(const std::string& host, std::uint16_t port, std::chrono::milliseconds deadline);

}  // namespace eqo
