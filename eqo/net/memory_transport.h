#pragma once
#include <memory>
#include <utility>

#include "eqo/net/transport.h"

namespace eqo {

// Two connected ends in one process. Writing never waits (what is queued is unbounded); the deadline applies to reading
// and to finish(). Writing to a closed peer throws connection_error.
std::pair<std::unique_ptr<Transport>, std::unique_ptr<Transport>> make_memory_transports();

}  // namespace eqo
