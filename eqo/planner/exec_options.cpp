#include "eqo/planner/exec_options.h"

#include "eqo/core/error.h"

namespace eqo {
namespace {

constexpr std::byte kSoftSpoken{1};  // the kind of OT extension
constexpr unsigned kMaxExtraLevels = 8;

}  // namespace

Bytes serialize(const ExecOptions& o) {
  return {kSoftSpoken, static_cast<std::byte>(o.ot.softspoken_k), static_cast<std::byte>(o.compare.leaf_bits),
          static_cast<std::byte>(o.compare.extra_levels)};
}

ExecOptions parse_exec_options(std::span<const std::byte> bytes) {
  if (bytes.size() != kExecOptionsBytes || bytes[0] != kSoftSpoken)
    throw protocol_error("the server's session parameters are of an unknown kind",
                         "use the same version on both sides");
  ExecOptions o;
  o.ot.softspoken_k = static_cast<unsigned>(bytes[1]);
  o.compare.leaf_bits = static_cast<unsigned>(bytes[2]);
  o.compare.extra_levels = static_cast<unsigned>(bytes[3]);
  if (o.ot.softspoken_k < 1 || o.ot.softspoken_k > 8 || o.compare.leaf_bits < 1 || o.compare.leaf_bits > 8 ||
      o.compare.extra_levels > kMaxExtraLevels)
    throw protocol_error("the server's session parameters are out of range", "use the same version on both sides");
  return o;
}

}  // namespace eqo
