#pragma once
#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include "eqo/net/tcp_transport.h"

namespace eqo::testing {

// The two ends of a TCP connection over loopback.
std::pair<Socket, Socket> connected_sockets();

// Raw bytes on a connected socket; false if the peer is gone or takes none for 10 s.
bool send_raw(const Socket& socket, std::string_view data);
// Up to `size` bytes: fewer at the end of the stream or after `limit`.
std::string receive_raw(const Socket& socket, std::size_t size, std::chrono::milliseconds limit);

}  // namespace eqo::testing
