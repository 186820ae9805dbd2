#pragma once
#include <string>
#include <vector>

#include "eqo/importer/float_graph.h"
#include "eqo/kernels/convolution.h"

namespace eqo::quant {

// The float graph as it is quantized: batch norms folded, dead nodes gone, and with `order` ReLU and max pooling in the
// order that costs less (they commute).
FloatGraph prepare_graph(FloatGraph graph, bool order = true);

// What becomes of the output tensor of one float node.
struct TensorPlan {
  bool quantized = false;   // its values are made of activations: fit for a product as they are
  bool requantize = false;  // an activation is made of it: by ReLU, or because a product needs one
  bool non_negative = false;
  unsigned bits = 0;  // of that activation
};

// What becomes of one linear node (kConv, kLinear); `weights_bits` is 0 for other nodes.
struct LayerPlan {
  unsigned weights_bits = 0;
  unsigned activation_bits = 0;  // of its input
  bool first = false, last = false;
};

struct GraphPlan {
  std::vector<TensorPlan> tensors;
  std::vector<LayerPlan> layers;
};

struct Widths {
  unsigned weights = 8, activations = 8, edge = 8;
};

// Decides which tensors become activations, and the widths: those of `edge` for layers that see the image directly or
// give the output, and for their inputs.
GraphPlan analyze(const FloatGraph& graph, const Widths& widths);

// Sets the widths of all activations from the layers that read them: the widest, or `otherwise` where none does.
void assign_activation_bits(const FloatGraph& graph, unsigned otherwise, GraphPlan& plan);

// The nodes whose activations a tensor is made of.
std::vector<int> activation_points(const FloatGraph& graph, const GraphPlan& plan, int tensor);

bool is_linear(FloatOp op);
// Operators that only move or combine values of one scale: what they give is an activation if their inputs are.
bool is_passive(FloatOp op);
// The window of a linear node: 1x1 for kLinear.
Window linear_window(const FloatNode& node);
bool winograd_possible(const FloatNode& node);
// Whether any window of a pooling reaches into its padding.
bool window_touches_padding(const Window& window, const Shape& in);

}  // namespace eqo::quant
