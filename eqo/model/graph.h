#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "eqo/core/ring.h"
#include "eqo/core/shape.h"
#include "eqo/data/preprocess.h"
#include "eqo/kernels/convolution.h"
#include "eqo/kernels/weight_code.h"

namespace eqo {

// The quantized network: a graph of integer steps on typed tensors. Each step has one exact meaning mod 2^l, given
// here; the twin computes it in the clear, the secure executor on shares, and both give the same bits. Step widths
// are explicit: nothing is extended, shifted or reduced unless a node says so.
enum class Op : std::uint8_t {
  kInput,           // node 0 and only node 0: the quantized image, signed, in ring `type.ring_bits`
  kConv,            // W * x + bias mod 2^l, input and output in the same ring. Fully connected: 1x1 on (C, 1, 1)
  kAdd,             // sum over inputs of sign_i * (x_i << shift_i) mod 2^l, all in one ring
  kAddConstant,     // x + constant mod 2^l (the server adds it)
  kRelu,            // max(0, x), x read as signed
  kTruncate,        // x >> shift, arithmetic, same ring
  kTruncateReduce,  // x >> shift, into the ring of l - shift bits
  kExtend,          // the same signed value in the wider ring type.ring_bits
  kReduce,          // x mod 2^type.ring_bits, a narrower ring; local
  kMaxPool,         // max over the window by the fixed tree of kernels/elementwise.h; padding counts as 0 and is only
                    // allowed where the input is non-negative
  kSumPool,         // sum over the window mod 2^l, padding counts as 0; local
  kConcat,          // channels of the inputs one behind the other, each shifted left by shift_i; one ring; local
  kPad,             // zeros around; local
  kSlice,           // start, step; local
  kReshape,         // relabelling; local
  kArgMax,          // the index of the greatest logit (lowest index on ties); output (1, 1, 1), last node only
  kRequantize,  // ((relu ? max(0, x) : x) >> shift) mod 2^type.ring_bits, x read as signed, the shift arithmetic: what
                // kRelu, kTruncateReduce and then kExtend or kReduce give, in one step
};

const char* op_name(Op op);

// The type of a tensor: shape of one image, ring, and a PROVEN interval of its signed value (full range where nothing
// is known). The interval follows from the steps alone, never from calibration, so a protocol may rely on it.
struct TensorType {
  Shape shape;
  unsigned ring_bits = 0;
  std::int64_t lo = 0, hi = 0;
  Ring ring() const { return Ring(ring_bits); }
  bool non_negative() const { return lo >= 0; }
  friend bool operator==(const TensorType&, const TensorType&) = default;
};

// How the protocol of a step goes about it. Its result does not depend on it, what it costs does; chosen by the passes
// (passes/passes.h). Local steps keep the defaults, and convolutions all but `homomorphic`.
struct Method {
  std::uint8_t levels = 0;    // most levels of its comparisons' AND trees; 0: the session's default
  bool use_interval = false;  // rely on the input's proven interval (kTruncate, kExtend, kRequantize)
  bool staged = true;         // kRequantize: fewer bytes; false: fewer flights
  bool merged = false;        // its first and last messages travel with the rows of the products around it
  bool homomorphic = false;   // kConv: by homomorphic encryption instead of OTs
  friend bool operator==(const Method&, const Method&) = default;
};

// The public side of one step. Unused fields keep their defaults.
struct Node {
  Op op = Op::kInput;
  std::string name;   // unique: the layer's name with the step's suffix, e.g. "layer1.0.conv1/relu"
  std::string layer;  // the user's layer it came from, for reports
  std::vector<int> inputs;
  TensorType type;  // of the output
  Window window;
  std::int64_t groups = 1;
  ConvDomain domain = ConvDomain::kDirect;
  std::vector<WeightCode> codes;                          // kConv: 1, or 16 (one a Winograd tap)
  unsigned shift = 0;                                     // kTruncate, kTruncateReduce, kRequantize
  bool relu = false;                                      // kRequantize
  std::vector<unsigned> input_shifts;                     // kAdd, kConcat
  std::vector<std::int8_t> input_signs;                   // kAdd: +1 or -1
  std::int64_t constant = 0;                              // kAddConstant
  std::array<std::int64_t, 3> pad_before{}, pad_after{};  // kPad over (c, h, w)
  std::array<std::int64_t, 3> start{}, step{1, 1, 1};     // kSlice over (c, h, w)
  unsigned activation_bits = 0;  // nominal width of the activation this step makes, for reports; 0: none
  Method method;
};

// What the server alone knows of one step.
struct NodeSecrets {
  std::vector<std::uint8_t> weights;  // kConv: one code a weight. direct [K][C/groups][kh][kw], Winograd [16][K][C]
  std::vector<std::int64_t> bias;     // kConv: [K], rounding constants included
  double scale = 0;                   // real value of one unit of the output, for reports
};

// Everything that both parties know before a run. Its serialized bytes are what the handshake binds.
struct PublicPlan {
  std::string name;
  std::vector<Node> nodes;           // topological order
  int output = 0;                    // the logits' (or kArgMax's) node
  Preprocess preprocess;             // picture to real input
  double input_scale = 0;            // real value of one unit of the quantized image
  unsigned input_bits = 8;           // the quantized image is clamped to signed input_bits
  double output_scale = 0;           // real value of one unit of a logit
  std::vector<std::string> classes;  // names; may be empty
  std::string leakage;               // how widths and exponents were derived: what the plan says about the weights
};

struct Model {
  PublicPlan plan;
  std::vector<NodeSecrets> secrets;  // one a node; empty members where there is nothing
};

}  // namespace eqo
