#include "eqo/net/endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "eqo/core/error.h"

namespace eqo {
namespace {

constexpr std::size_t kLongestName = 253;  // RFC 1035

template <typename A>
std::optional<A> address(int family, std::string_view host) {
  A a{};
  if (host.size() > kLongestName || inet_pton(family, std::string(host).c_str(), &a) != 1) return std::nullopt;
  return a;
}

// An IPv6 address may carry a zone: fe80::1%eth0.
std::string_view without_zone(std::string_view host) { return host.substr(0, host.find('%')); }

bool is_name(std::string_view host) {
  return !host.empty() && host.size() <= kLongestName && host.front() != '-' && host.front() != '.' &&
         std::all_of(host.begin(), host.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
                  c == '_';
         });
}

bool is_zone(std::string_view zone) { return zone.empty() || (zone.size() > 1 && is_name(zone.substr(1))); }

Error bad_endpoint(std::string_view why) {
  return usage_error("not an address: " + std::string(why),
                     "write HOST:PORT, for example 127.0.0.1:7700 or [::1]:7700");
}

}  // namespace

Endpoint parse_endpoint(std::string_view text) {
  const bool bracketed = text.starts_with('[');
  const std::size_t close = bracketed ? text.find(']') : std::string_view::npos;
  if (bracketed && close == std::string_view::npos) throw bad_endpoint("']' is missing");
  const std::size_t colon = bracketed ? close + 1 : text.rfind(':');
  if (colon == std::string_view::npos || colon >= text.size() || text[colon] != ':')
    throw bad_endpoint("the port is missing");

  Endpoint e;
  const std::string_view host = bracketed ? text.substr(1, close - 1) : text.substr(0, colon);
  if (host.empty()) throw bad_endpoint("the host is missing");
  if (bracketed) {
    const std::string_view bare = without_zone(host);
    if (!address<in6_addr>(AF_INET6, bare) || !is_zone(host.substr(bare.size())))
      throw bad_endpoint("no IPv6 address in the brackets");
  } else if (host.find(':') != std::string_view::npos) {
    throw bad_endpoint("an IPv6 address needs brackets");
  } else if (!is_name(host)) {
    throw bad_endpoint("a host name has letters, digits, '.', '-' and '_' only");
  }
  e.host = host;

  const std::string_view digits = text.substr(colon + 1);
  unsigned port = 0;
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (failed != std::errc{} || end != digits.data() + digits.size() || digits.empty() || port > 65535)
    throw bad_endpoint("the port must be a number from 0 to 65535");
  e.port = static_cast<std::uint16_t>(port);
  return e;
}

std::string to_string(const Endpoint& e) {
  const bool v6 = e.host.find(':') != std::string::npos;
  return (v6 ? "[" + e.host + "]" : e.host) + ":" + std::to_string(e.port);
}

bool is_ip_address(std::string_view host) {
  return address<in_addr>(AF_INET, host) || address<in6_addr>(AF_INET6, without_zone(host));
}

bool is_loopback(std::string_view host) {
  if (host == "localhost") return true;
  if (const auto v4 = address<in_addr>(AF_INET, host)) return (ntohl(v4->s_addr) >> 24) == 127;
  const auto v6 = address<in6_addr>(AF_INET6, host);
  if (!v6) return false;
  return IN6_IS_ADDR_LOOPBACK(&*v6) || (IN6_IS_ADDR_V4MAPPED(&*v6) && v6->s6_addr[12] == 127);
}

}  // namespace eqo
