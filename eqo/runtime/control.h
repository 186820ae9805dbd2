#pragma once
#include <cstdint>

#include "eqo/net/channel.h"

namespace eqo {

// Control messages of kControlBytes each (planner/plan_cost.h). The setup ends with the server's `ready`. Then the
// session is a loop of: request; the steps of one batch; the opened result. Or: request; the preparing of a later
// batch. It ends with a goodbye.

// What the server grants; the client may not ask for more.
struct Ready {
  std::uint32_t max_batch = 0;     // images
  std::uint64_t max_images = 0;    // of the session, prepared ones included; 0: no limit
  std::uint32_t max_prepared = 0;  // images that may be prepared and not answered at a time
};
void send_ready(Channel& channel, const Ready& ready);
Ready receive_ready(Channel& channel);  // throws protocol_error if max_batch is 0

// What the client asks for next.
struct Request {
  // kPrepare: make material for a later batch of this size; kPrepared: a batch with the oldest material.
  enum class Kind : std::uint32_t { kBatch = 1, kGoodbye = 2, kPrepare = 3, kPrepared = 4 } kind = Kind::kGoodbye;
  std::uint32_t batch = 0;    // images
  std::uint64_t counter = 0;  // 1, 2, 3, ...: the number of this request in the session, which names its pads
};

void send_request(Channel& channel, const Request& request);
// Throws protocol_error unless it is a goodbye or one for a batch of 1..max_batch images with the expected counter.
Request receive_request(Channel& channel, std::uint32_t max_batch, std::uint64_t expected_counter);

}  // namespace eqo
