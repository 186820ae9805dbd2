#include "eqo/runtime/control.h"

#include <array>
#include <cstring>
#include <string>

#include "eqo/core/error.h"
#include "eqo/planner/plan_cost.h"

namespace eqo {

void send_ready(Channel& channel, const Ready& ready) {
  std::array<std::byte, kControlBytes> bytes{};
  std::memcpy(bytes.data(), &ready.max_batch, 4);
  std::memcpy(bytes.data() + 4, &ready.max_prepared, 4);
  std::memcpy(bytes.data() + 8, &ready.max_images, 8);
  channel.send(bytes);
}

Ready receive_ready(Channel& channel) {
  std::array<std::byte, kControlBytes> bytes;
  channel.recv(std::span<std::byte>(bytes));
  Ready ready;
  std::memcpy(&ready.max_batch, bytes.data(), 4);
  std::memcpy(&ready.max_prepared, bytes.data() + 4, 4);
  std::memcpy(&ready.max_images, bytes.data() + 8, 8);
  if (ready.max_batch < 1) throw protocol_error("the server grants batches of no images");
  return ready;
}

void send_request(Channel& channel, const Request& request) {
  std::array<std::byte, kControlBytes> bytes;
  const auto kind = static_cast<std::uint32_t>(request.kind);
  std::memcpy(bytes.data(), &kind, 4);
  std::memcpy(bytes.data() + 4, &request.batch, 4);
  std::memcpy(bytes.data() + 8, &request.counter, 8);
  channel.send(bytes);
}

Request receive_request(Channel& channel, std::uint32_t max_batch, std::uint64_t expected_counter) {
  std::array<std::byte, kControlBytes> bytes;
  channel.recv(std::span<std::byte>(bytes));
  std::uint32_t kind = 0;
  Request request;
  std::memcpy(&kind, bytes.data(), 4);
  std::memcpy(&request.batch, bytes.data() + 4, 4);
  std::memcpy(&request.counter, bytes.data() + 8, 8);
  request.kind = static_cast<Request::Kind>(kind);
  if (request.kind == Request::Kind::kGoodbye && request.batch == 0 && request.counter == 0) return request;
  if (request.kind != Request::Kind::kBatch && request.kind != Request::Kind::kPrepare &&
      request.kind != Request::Kind::kPrepared)
    throw protocol_error("the client asks for something unknown");
  if (request.batch < 1 || request.batch > max_batch)
    throw protocol_error("the client asks for a batch of " + std::to_string(request.batch) +
                         " images, allowed are 1.." + std::to_string(max_batch));
  if (request.counter != expected_counter)
    throw protocol_error("the client's counter is " + std::to_string(request.counter) + ", expected " +
                         std::to_string(expected_counter));
  return request;
}

}  // namespace eqo
