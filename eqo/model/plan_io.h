#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "eqo/crypto/sha256.h"
#include "eqo/model/graph.h"

namespace eqo {

std::string to_hex(const Digest& digest);
// The opposite of to_hex, for a pinned digest; throws usage_error unless it is 64 hexadecimal digits.
Digest digest_from_hex(const std::string& hex);

// Version of the plan's encoding, its first two numbers; bytes.h says how to change it.
inline constexpr std::uint16_t kPlanMajor = 1;
inline constexpr std::uint16_t kPlanMinor = 1;
inline constexpr std::size_t kMaxPlanFileBytes = std::size_t{64} << 20;

// The plan's canonical bytes: equal plans give equal bytes, and parse_plan accepts no others.
// Throws model_error if the plan does not pass validate().
std::string serialize_plan(const PublicPlan& plan);

// Reads a plan from a file or from the peer. The bytes may be hostile: every count is checked against the bytes that
// are left before anything is allocated, every text is clean UTF-8, every number finite, and the result has passed
// validate(). Throws model_error otherwise, or if the major version is newer.
PublicPlan parse_plan(std::span<const std::byte> bytes);

// SHA-256 of serialize_plan: what the handshake binds.
Digest plan_digest(const PublicPlan& plan);

}  // namespace eqo
