#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace eqo {

// Where a party listens or connects to. `host` is a name, an IPv4 or an IPv6 address (without brackets).
struct Endpoint {
  std::string host;
  std::uint16_t port = 0;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// Parses "host:port", "1.2.3.4:port" or "[::1]:port". Throws usage_error for anything else.
Endpoint parse_endpoint(std::string_view text);
// The inverse of parse_endpoint.
std::string to_string(const Endpoint& endpoint);

bool is_ip_address(std::string_view host);
// True for "localhost", 127.0.0.0/8 and ::1; no name is looked up.
bool is_loopback(std::string_view host);

}  // namespace eqo
