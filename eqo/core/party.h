#pragma once
#include <cstdint>

namespace eqo {

// Who I am in the whole session. The server holds the weights, the client the image.
enum class Party : std::uint8_t { kServer = 0, kClient = 1 };

// What I do inside one OT; independent of Party.
enum class OtRole : std::uint8_t { kSender, kReceiver };

constexpr Party other(Party p) { return p == Party::kServer ? Party::kClient : Party::kServer; }
constexpr const char* party_name(Party p) { return p == Party::kServer ? "server" : "client"; }

}  // namespace eqo
