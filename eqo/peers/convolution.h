#pragma once
#include <memory>
#include <span>

#include "eqo/peers/peer_context.h"
#include "eqo/protocols/convolution.h"

namespace eqo::peers {

// Convolutions as the peers do them: new OTs for every image. Same interface and result as protocols/convolution.h;
// setup() does nothing, `counter` is not needed.

// Whose bits choose in the OTs of a product:
//   kWeights        the server's, as many as the code has (SiRNN with few-bit weights): ot_product.h, keyed anew for
//                   every image. K C T sum over bits i of (l - place_i) bits, and 128 bits for every weight bit.
//   kFixedWeights   the server's, all l bits of each weight: a fully connected layer of CrypTFlow2
//   kActivations    the client's share's l bits: a convolution of CrypTFlow2, as its public implementation does it.
//                   C T (128 l + K l (l + 1) / 2) bits for K channels and C inputs of T pixels
// Source: Rathee et al., "CrypTFlow2", CCS 2020, section 4.4; "SiRNN", IEEE S&P 2021, section 4.3. The server's own
// share is multiplied locally, since it knows the weights. Security: that of cross_product.h or ot_product.h.
enum class Choice : std::uint8_t { kWeights, kFixedWeights, kActivations };

// Codes must outlive the object.
std::unique_ptr<SecretConvolution> make_convolution_server(const ConvSpec& spec, Choice choice,
                                                           std::span<const std::uint16_t> codes,
                                                           std::span<const Word> bias);
std::unique_ptr<SecretConvolution> make_convolution_client(const ConvSpec& spec, Choice choice);
void convolution_cost(CostMeter& meter, const ConvSpec& spec, Choice choice, std::uint64_t batch);

}  // namespace eqo::peers
