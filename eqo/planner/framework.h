#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace eqo {

// The system whose plan and protocols a session runs: EQO, or one that it is compared with, on the same engine.
enum class Framework : std::uint8_t {
  kEqo,
  kCryptflow2,  // uniform fixed point; every step by the protocols of peers/, products by activation bits
  kSirnn,       // mixed widths; separate extension, truncation and ReLU, products by weight bits
};
inline constexpr std::array kFrameworks{Framework::kEqo, Framework::kCryptflow2, Framework::kSirnn};

constexpr std::string_view framework_name(Framework f) {
  switch (f) {
    case Framework::kCryptflow2:
      return "cryptflow2";
    case Framework::kSirnn:
      return "sirnn";
    default:
      return "eqo";
  }
}

constexpr std::optional<Framework> parse_framework(std::string_view name) {
  for (const Framework f : kFrameworks)
    if (framework_name(f) == name) return f;
  return {};
}

// Runs on the protocols of peers/: IKNP and KKOT.
constexpr bool is_peer(Framework f) { return f != Framework::kEqo; }

}  // namespace eqo
