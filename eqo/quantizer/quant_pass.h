#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace eqo {

// The optimizations that are decided when a network is quantized, because they change its integers or its rings. Each
// can be left out alone, to see what it is worth; the twin is exact for every choice.
enum class QuantPass : std::uint8_t {
  kWinograd,  // "winograd": products in the Winograd domain where that is cheaper. Off: all layers direct
  kRings,     // "rings": a ring as narrow as each region allows. Off: the widest one for every region with a product
  kResidual,  // "residual": branches are added as accumulators, before the one requantization. Off: each accumulator is
              // truncated by itself, all are extended to a third ring, one bit wider than theirs, and added there
  kShareExtend,  // "share-extend": one extension of an activation serves all its readers. Off: one a reader
  kPoolOrder,    // "pool-order": ReLU and max pooling in the cheaper order. Off: in the model's
  kReweight,     // "reweight": significances and offset of the weights' bits by tap. Off: evenly spaced values
  kOffsets,  // "offsets": sign and offset of evenly spaced values by tap. Off: two's complement, nothing re-weighted
  kTapExponents  // "tap-exponents": a power of two by Winograd tap. Off: one step for all 16
};

const char* quant_pass_name(QuantPass pass);

// All of them, in the order of the enumeration.
std::vector<std::string> quant_pass_names();

// Throws usage_error for an unknown name; it lists the known ones.
QuantPass quant_pass(const std::string& name);

}  // namespace eqo
