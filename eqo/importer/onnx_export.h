#pragma once
#include <string>

#include "eqo/importer/float_graph.h"

namespace eqo {

// Writes the graph as a float32 ONNX file, opset 13: input `input` N x C x H x W with free N, output `logits` N x
// classes (4-dimensional where the graph's output has rows or columns), or `label` N if the graph ends in argmax.
// import_onnx(path, {.fold_batch_norm = false}) gives the same graph again.
// Throws model_error (the graph is invalid, or has what opset 13 can't say: dilated average pooling), resource_error
// (over protobuf's 2 GiB, or not writable; an older file at `path` then stays as it was).
void export_onnx(const FloatGraph& graph, const std::string& path);

}  // namespace eqo
