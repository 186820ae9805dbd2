#include "eqo/planner/exec_options.h"

#include "eqo/core/error.h"
#include "eqo/ot/lpn_sets.h"

namespace eqo {
namespace {

constexpr unsigned kMostLevels = 8;
constexpr unsigned kMostRevealed = 40, kMostModulusBits = 218;

}  // namespace

// kind | k | silent set of the server's COTs | of the client's | tree levels | prefetch | framework | log2 of revealed
// coefficients | width of the modulus at least
Bytes serialize(const ExecOptions& o) {
  Bytes out;
  for (const unsigned v : {static_cast<unsigned>(o.ot.kind), o.ot.softspoken_k, unsigned{o.ot.silent_set[0]},
                           unsigned{o.ot.silent_set[1]}, o.compare.levels, unsigned{o.prefetch},
                           static_cast<unsigned>(o.framework), o.he.log_revealed, o.he.min_modulus_bits})
    out.push_back(static_cast<std::byte>(v));
  return out;
}

ExecOptions parse_exec_options(std::span<const std::byte> bytes) {
  if (bytes.size() != kExecOptionsBytes || bytes[0] > static_cast<std::byte>(OtKind::kSilent))
    throw protocol_error("the server's session parameters are of an unknown kind",
                         "use the same version on both sides");
  const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(bytes[i]); };
  ExecOptions o;
  o.ot.kind = static_cast<OtKind>(at(0));
  o.ot.softspoken_k = at(1);
  o.ot.silent_set = {at(2), at(3)};
  o.compare.levels = at(4);
  o.prefetch = at(5);
  o.framework = static_cast<Framework>(at(6));
  o.he = {at(7), at(8)};
  const bool good = at(1) >= 1 && at(1) <= 8 && at(2) < kLpnSetCount && at(3) < kLpnSetCount && at(4) >= 1 &&
                    at(4) <= kMostLevels && at(6) < kFrameworks.size() && at(7) <= kMostRevealed &&
                    at(8) <= kMostModulusBits;
  if (!good)
    throw protocol_error("the server's session parameters are out of range", "use the same version on both sides");
  return o;
}

}  // namespace eqo
