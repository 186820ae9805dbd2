#include "eqo/planner/exec_options.h"

#include "eqo/core/error.h"

namespace eqo {
namespace {

constexpr unsigned kMostLevels = 8;

}  // namespace

Bytes serialize(const ExecOptions& o) {
  return {static_cast<std::byte>(o.ot.kind), static_cast<std::byte>(o.ot.softspoken_k),
          static_cast<std::byte>(o.compare.levels), static_cast<std::byte>(o.prefetch)};
}

ExecOptions parse_exec_options(std::span<const std::byte> bytes) {
  if (bytes.size() != kExecOptionsBytes || bytes[0] > static_cast<std::byte>(OtKind::kSilent))
    throw protocol_error("the server's session parameters are of an unknown kind",
                         "use the same version on both sides");
  ExecOptions o;
  o.ot.kind = static_cast<OtKind>(bytes[0]);
  o.ot.softspoken_k = static_cast<unsigned>(bytes[1]);
  o.compare.levels = static_cast<unsigned>(bytes[2]);
  o.prefetch = static_cast<std::uint8_t>(bytes[3]);
  if (o.ot.softspoken_k < 1 || o.ot.softspoken_k > 8 || o.compare.levels < 1 || o.compare.levels > kMostLevels)
    throw protocol_error("the server's session parameters are out of range", "use the same version on both sides");
  return o;
}

}  // namespace eqo
