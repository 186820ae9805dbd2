#pragma once
#include <cstddef>
#include <span>

#include "eqo/core/secret.h"
#include "eqo/ot/ot_pool.h"
#include "eqo/planner/framework.h"
#include "eqo/protocols/compare_options.h"
#include "eqo/protocols/he_options.h"

namespace eqo {

// The public choices of a session beyond the model's plan: the server makes them, the handshake binds them.
struct ExecOptions {
  OtOptions ot;
  CompareOptions compare;     // of steps whose method does not say; its price and roles follow from the rest
  std::uint8_t prefetch = 1;  // images whose COTs the setup makes
  Framework framework = Framework::kEqo;
  HeOptions he;  // of the convolutions whose method is homomorphic
  friend bool operator==(const ExecOptions&, const ExecOptions&) = default;
};

// The canonical bytes that travel in the handshake; parse throws protocol_error for anything out of range.
inline constexpr std::size_t kExecOptionsBytes = 9;
Bytes serialize(const ExecOptions& options);
ExecOptions parse_exec_options(std::span<const std::byte> bytes);

}  // namespace eqo
