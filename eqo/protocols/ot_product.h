#pragma once
#include <memory>

#include "eqo/protocols/product.h"

namespace eqo {

// The matrix product by keyed correlated OTs. U = offset + sum_i bit_i * sign_i * 2^(place_i); U * V_s is local to the
// server, offset * (column sums of V_c) to the client. For every weight bit the server is the receiver of a correlated
// OT whose correlation is a whole row of V_c, width_i = ring bits - place_i bits an element, since the result is
// multiplied by 2^place_i in the ring. Bits with place_i >= ring bits vanish and cost nothing.
//
// Setup: the server's choice bits are its weight bits; one COT each (the client is their sender) and one bit of choice
// correction. The client then holds a key q a bit and the session's Delta, the server t = q ^ bit * Delta.
// Online: both expand their keys with the hash H under the tweak domain (counter, panel of columns); the client sends
//   d = H(q) - H(q ^ Delta) + row of V_c,
// the server adds H(t) + bit * d = H(q) + bit * row, the client subtracts H(q). One flight, client to server.
//
// The server sees rows masked by H(q ^ Delta) or H(q), whichever it does not know; the client sees choice bits masked
// by the uniform choices of its COTs. A key is used with many counters but with each only once: two row messages under
// one pad would reveal the difference of two shares. Hence the rule about `counter` in product.h.
//
// Cost: setup count * rows * inner * (bits that do not vanish) COTs and as many bits; online
// rows * inner * cols * batch * sum_i width_i bits, one stream without gaps in messages of kRowMessageBytes.
// Sizes, order and memory accesses depend on the spec alone; constant time in weights, shares and keys.
inline constexpr std::uint64_t kRowMessageBytes = std::uint64_t{1} << 20;

// `codes` [count][rows][inner] are the server's weights; they must outlive the product.
std::unique_ptr<SecretProduct> make_ot_product_server(ProductSpec spec, std::span<const std::uint16_t> codes);
std::unique_ptr<SecretProduct> make_ot_product_client(ProductSpec spec);

void ot_product_setup_cost(CostMeter& meter, const ProductSpec& spec);
void ot_product_online_cost(CostMeter& meter, const ProductSpec& spec, std::uint64_t batch);
// Weight bits that do not vanish: the COTs of setup, and 16 bytes of key each on both sides until the session ends.
std::uint64_t ot_product_keys(const ProductSpec& spec);

}  // namespace eqo
