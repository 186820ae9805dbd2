#pragma once
#include <memory>
#include <span>

#include "eqo/protocols/convolution.h"

namespace eqo::peers {

// Convolutions as COINN does them: a layer's weights come from a small codebook, so that an output is a sum over the
// codebook's values c_v of c_v times the sum of those activations whose weight is c_v. Same interface and result as
// protocols/convolution.h; direct products and one weight format only. New OTs for every image; setup() does nothing.
//   1. conditional sums: which activations a cluster adds up is the server's secret, one bit a weight and cluster, each
//      the choice in a COT whose correlation is a row of the client's share. The clusters share out all activations, so
//      that the last one's sum is what is left of their total, which is local.
//   2. the products c_v times sum, a row of bits of c_v for all outputs at once: the values are the server's secret.
// The clusters are the weights' levels: 2^b for b bits. Products of the server's own share are local to it.
// Source: Hussain, Javaheripi, Samragh, Koushanfar, "COINN", CCS 2021 (factored multiplication). That the sums are by
// COTs of the server's bits, that only 2^b - 1 of them are needed, and that a value has no more bits than it takes, is
// this project's reading: the cheapest that the public facts allow.
// Security: semi-honest, that of ot_product.h. Constant time in weights and shares.
// Cost, for K x C times C x T, V clusters, values of w bits and a ring of l bits: K C (V - 1) COTs and choice bits and
// K C T (V - 1) l bits; V w COTs and choice bits and V K T sum over i < w of (l - i) bits.
std::unique_ptr<SecretConvolution> make_factored_convolution_server(const ConvSpec& spec,
                                                                    std::span<const std::uint16_t> codes,
                                                                    std::span<const Word> bias);
std::unique_ptr<SecretConvolution> make_factored_convolution_client(const ConvSpec& spec);
void factored_convolution_cost(CostMeter& meter, const ConvSpec& spec, std::uint64_t batch);

// COINN factors where a codebook is small: its public configurations have 3 to 14 clusters, and plain products for
// layers without. Also one format, a direct product, and values of at most 16 bits.
inline constexpr unsigned kMostClusters = 16;
bool factors(const ConvSpec& spec);

}  // namespace eqo::peers
