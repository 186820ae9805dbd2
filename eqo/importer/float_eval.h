#pragma once
#include <functional>
#include <span>
#include <vector>

#include "eqo/importer/float_graph.h"

namespace eqo {

// Computes a FloatGraph on one image in float arithmetic: accuracy of the float model, calibration, tests.
// Const and thread-safe: run() keeps its buffers to itself, so a caller may evaluate several images at once.
class FloatEvaluator {
 public:
  // Gets every tensor of a run, node by node in order; the span lives during the call only.
  using Observer = std::function<void(int node, std::span<const float> values)>;

  // Throws model_error if validate(graph) does.
  explicit FloatEvaluator(FloatGraph graph);

  // `image` is input_shape() in c, y, x order, preprocessed. Throws usage_error if its size is wrong.
  std::vector<float> logits(std::span<const float> image) const;
  void run(std::span<const float> image, const Observer& observe) const;

  const FloatGraph& graph() const { return graph_; }

 private:
  FloatGraph graph_;
  std::vector<std::size_t> last_use_;  // of each node's tensor; its buffer is freed after that node
};

// One node on given inputs: the same arithmetic, for tests and for code that walks a graph itself.
std::vector<float> evaluate_node(const FloatNode& node, std::span<const Shape> shapes,
                                 std::span<const std::span<const float>> inputs);

}  // namespace eqo
