#include "eqo/net/testing/transports.h"

#include <future>
#include <stdexcept>

#include "eqo/net/memory_transport.h"
#include "eqo/net/simulated_link.h"
#include "eqo/net/testing/certificates.h"
#include "eqo/net/testing/sockets.h"

namespace eqo::testing {

TransportPair connected_transports(const std::string& kind) {
  if (kind == "memory") return make_memory_transports();
  if (kind == "link") {
    auto [a, b] = make_memory_transports();
    constexpr LinkSpec kFast{1e11, 20e-6};
    return {simulate_link(std::move(a), kFast), simulate_link(std::move(b), kFast)};
  }
  auto [a, b] = connected_sockets();
  if (kind == "tcp") return {make_tcp_transport(std::move(a)), make_tcp_transport(std::move(b))};
  if (kind != "tls") throw std::invalid_argument(kind);
  const TestAuthority authority;
  const TlsContext server = TlsContext::server(authority.server()), client = TlsContext::client(authority.client());
  auto accepted = std::async(std::launch::async, [&, s = &a] { return tls_accept(server, std::move(*s)); });
  auto connected = tls_connect(client, std::move(b), "localhost");
  return {accepted.get(), std::move(connected)};
}

}  // namespace eqo::testing
