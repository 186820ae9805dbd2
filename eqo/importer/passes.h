#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "eqo/importer/float_graph.h"

namespace eqo {

// Bounds of every graph of this project; beyond them a model is refused before anything is allocated for it.
inline constexpr std::int64_t kMaxGraphDimension = std::int64_t{1} << 24;   // one dimension
inline constexpr std::int64_t kMaxActivation = std::int64_t{1} << 26;       // elements of one image's tensor
inline constexpr std::int64_t kMaxTotalActivation = std::int64_t{1} << 30;  // elements of all of an image's tensors
inline constexpr std::int64_t kMaxWeights = std::int64_t{1} << 28;          // weights of the whole model
inline constexpr std::size_t kMaxGraphNodes = 100'000;

// The output shape of `node` for inputs of these shapes. kInput, kReshape and kSlice declare theirs in node.shape,
// which is checked; the other operators' node.shape is ignored. Weight sizes are checked too. Throws model_error that
// names the node.
Shape infer_shape(const FloatNode& node, std::span<const Shape> inputs);

// Checks that every parameter of the node is finite and that variances are positive; throws model_error.
void check_parameters(const FloatNode& node);

// Sets node.shape of every node but kInput, kReshape and kSlice, and checks them all as validate() does.
void infer_shapes(FloatGraph& graph);

// Checks everything the other layers rely on: nodes[0] is the only input, inputs are earlier nodes, names are unique
// and not empty, shapes are those of infer_shape() and within the bounds above, parameters have the right size and are
// finite, variances are not negative. Throws model_error that names the first bad node.
void validate(const FloatGraph& graph);

// Removes every kBatchNorm: folded into the kConv or kLinear that feeds it where that has no other consumer, otherwise
// turned into a depthwise 1x1 kConv. The folded node keeps its name, and the batch norm's consumers move to it.
FloatGraph fold_batch_norm(FloatGraph graph);

// The same for those kBatchNorm nodes n only where which[n]; they may also fold into a kBatchNorm that stays.
FloatGraph fold_batch_norm(FloatGraph graph, const std::vector<bool>& which);

// Removes the nodes the output doesn't depend on (never the input).
FloatGraph remove_dead_nodes(FloatGraph graph);

// Multiplications of one image's kConv and kLinear nodes, zeros of the padding included.
std::int64_t count_macs(const FloatGraph& graph);
// Elements that go through kRelu and kClip for one image.
std::int64_t count_relus(const FloatGraph& graph);
// Trainable numbers: weights, biases, batch norm's scales and shifts.
std::int64_t count_parameters(const FloatGraph& graph);

}  // namespace eqo
