#pragma once
#include <memory>
#include <string>
#include <utility>

#include "eqo/net/transport.h"

namespace eqo::testing {

using TransportPair = std::pair<std::unique_ptr<Transport>, std::unique_ptr<Transport>>;

// Both ends of a connection within this process. `kind`: "memory", "tcp", "tls" or "link" (a fast simulated link).
// For "tls" the first end is the server.
TransportPair connected_transports(const std::string& kind);

}  // namespace eqo::testing
