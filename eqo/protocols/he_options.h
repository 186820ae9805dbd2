#pragma once

namespace eqo {

// A session's public choices for its homomorphic products (he_product.h).
struct HeOptions {
  unsigned log_revealed = 20;     // at most 2^this result coefficients in a session; at most 40
  unsigned min_modulus_bits = 0;  // so that layers share a key
  friend bool operator==(const HeOptions&, const HeOptions&) = default;
};

}  // namespace eqo
