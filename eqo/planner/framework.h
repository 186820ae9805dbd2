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
  kEqoPaper,    // EQO as published: the same plan as kEqo, with IKNP and the products' OTs made for every image
  kCopriv,      // uniform fixed point as kCryptflow2, Winograd products
  kCoinn,       // the model's own widths; clustered weights with factored products, garbled steps between them
};
// By their numbers, which travel in the handshake.
inline constexpr std::array kFrameworks{Framework::kEqo,      Framework::kCryptflow2, Framework::kSirnn,
                                        Framework::kEqoPaper, Framework::kCopriv,     Framework::kCoinn};

constexpr std::string_view framework_name(Framework f) {
  switch (f) {
    case Framework::kCryptflow2:
      return "cryptflow2";
    case Framework::kSirnn:
      return "sirnn";
    case Framework::kEqoPaper:
      return "eqo-paper";
    case Framework::kCopriv:
      return "copriv";
    case Framework::kCoinn:
      return "coinn";
    default:
      return "eqo";
  }
}

constexpr std::optional<Framework> parse_framework(std::string_view name) {
  for (const Framework f : kFrameworks)
    if (framework_name(f) == name) return f;
  return {};
}

// Runs a plan of its own (framework/framework_model.h) by the protocols of peers/. The others run EQO's steps on a plan
// that EQO's passes made.
constexpr bool is_peer(Framework f) { return f != Framework::kEqo && f != Framework::kEqoPaper; }

// The OTs of products are made once a session and expanded for every image; otherwise for every image anew.
constexpr bool keys_products(Framework f) { return f == Framework::kEqo; }

// Work for an image can be done before it is there (PreparedConvolution).
constexpr bool prepares(Framework f) { return f == Framework::kEqo; }

// OTs come from IKNP, none before an image: what all of them were published with.
constexpr bool uses_iknp(Framework f) { return f != Framework::kEqo; }

}  // namespace eqo
