#pragma once
#include <memory>
#include <string_view>

#include "eqo/net/link_clock.h"
#include "eqo/net/transport.h"

namespace eqo {

inline constexpr LinkSpec kLan{3e9, 0.3e-3};
inline constexpr LinkSpec kWan{400e6, 40e-3};

// "lan", "wan", or "RATE,RTT": bits per second (suffix k, M or G) and seconds (suffix us, ms or s), for example
// "400M,40ms". Throws usage_error; rates are 1k to 1000G, round trips 0 to 10 s.
LinkSpec parse_link(std::string_view text);

// Makes `inner` as slow as the link: what this end writes reaches the peer bytes / rate + round trip / 2 after the
// bytes before it have left. Real bytes are held back for real time. Wrap both ends: each one slows what it sends.
// Only bytes given to write() count, not what TLS or TCP add. `inner` must allow reading and writing from two threads.
std::unique_ptr<Transport> simulate_link(std::unique_ptr<Transport> inner, const LinkSpec& link);

}  // namespace eqo
