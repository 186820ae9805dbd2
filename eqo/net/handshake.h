#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "eqo/crypto/sha256.h"
#include "eqo/net/transport.h"

namespace eqo {

// The first words of a session, before the Channel's frames: who is who, which protocol, which model, which plan.
//
//   server -> client   greeting, at once
//   client -> server   greeting, ClientHello
//   server -> client   ServerHello, plan, parameters, confirmation      (or a ServerHello with a refusal, and the end)
//   client -> server   confirmation
//
// A greeting is the magic, the protocol version and the role. A confirmation is a SHA-256 over everything said so far,
// the plan and the transport's channel binding; so the session belongs to this very TLS connection, and both parties
// have read the same bytes. Everything is public. 3 flights; handshake_bytes() bytes.

struct ProtocolVersion {
  std::uint16_t major = 0, minor = 0;
  friend bool operator==(const ProtocolVersion&, const ProtocolVersion&) = default;
};
// Both parties need the same: predicted costs are exact. Any change of what is sent increases it.
inline constexpr ProtocolVersion kProtocolVersion{2, 0};

inline constexpr std::uint64_t kMaxPlanBytes = std::uint64_t{16} << 20;
inline constexpr std::uint64_t kMaxParamsBytes = 4096;

using Nonce = std::array<std::byte, 32>;
using PublicBytes = std::vector<std::byte>;

// What an owner may allow a client to ask for.
enum PolicyFlags : std::uint32_t { kRevealLabel = 1, kRevealLogits = 2 };

// Why a server takes no session. The numbers go on the wire.
enum class Refusal : std::uint32_t {
  kBusy = 1,      // as many sessions as allowed: resource_error at the client
  kDraining = 2,  // about to end: resource_error
  kPolicy = 3,    // the client asks for more than the owner reveals: policy_error
  kBudget = 4     // the client has used up its queries: policy_error
};

struct ServerOffer {
  std::span<const std::byte> plan;    // at most kMaxPlanBytes
  std::span<const std::byte> params;  // of the session, at most kMaxParamsBytes
  Digest model_digest{};
  std::uint32_t policy = kRevealLabel;  // PolicyFlags that a client may ask for
};

struct ClientRequest {
  std::uint32_t policy = kRevealLabel;        // PolicyFlags that this client asks for
  std::optional<Digest> pinned_model_digest;  // another model is a tls_error: not the peer we want
  std::uint64_t max_plan_bytes = kMaxPlanBytes;
};

struct HandshakeResult {
  Digest session_id{};  // equal at both ends, different in each session
  std::uint32_t policy = 0;
  Digest model_digest{};
  PublicBytes plan, params;  // the client's copies; empty at the server
};

// `nonce` is 32 fresh random bytes. Errors: protocol_error for anything malformed, another version or role, a digest or
// confirmation that differs; policy_error if the client asks for more than offered (at both ends); what Refusal says;
// connection_error. The transport is not usable after an error.
HandshakeResult server_handshake(Transport& transport, const ServerOffer& offer, const Nonce& nonce);
HandshakeResult client_handshake(Transport& transport, const ClientRequest& request, const Nonce& nonce);

// The server's side of a handshake that ends with a refusal. Waits for the client to read it, for the transport's
// deadline at most. Never throws: the client may be gone.
void refuse(Transport& transport, Refusal reason) noexcept;

// Bytes that the server and the client send in a handshake that succeeds.
std::array<std::uint64_t, 2> handshake_bytes(std::uint64_t plan_bytes, std::uint64_t params_bytes);

}  // namespace eqo
