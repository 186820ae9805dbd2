#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "eqo/importer/float_graph.h"

namespace eqo {

struct SgdOptions {
  double momentum = 0.9;
  double weight_decay = 5e-4;  // of convolutions' and linear layers' weights; not of biases and batch norm
  bool nesterov = true;
  double label_smoothing = 0;
  bool bfloat16 = false;  // convolutions and linear layers in bfloat16; parameters and everything else stay float32
  int threads = 1;        // each takes its share of every batch
};

// A FloatGraph as a differentiable libtorch program, with its optimizer. Keeps libtorch out of every header. All node
// kinds are trained; kBatchNorm normalizes with the batch's own statistics and tracks the running ones (momentum 0.1).
// The threads share a batch: each runs its rows forward and backward alone (so batch norm sees a thread's rows), then
// the gradients are added. They meet once a step, not once a layer, which keeps a busy machine from stalling them.
// Deterministic for the same inputs, threads and processor. Not thread-safe. Turns libtorch's own threads off.
class TorchNet {
 public:
  // Copies the graph's structure and parameters. Throws model_error for what cannot be trained (negative slice steps,
  // dilated average pooling), usage_error for options out of range.
  TorchNet(const FloatGraph& graph, const SgdOptions& options);
  ~TorchNet();
  TorchNet(const TorchNet&) = delete;
  TorchNet& operator=(const TorchNet&) = delete;

  struct StepResult {
    double loss = 0;          // mean over the batch, of the weights before the step
    std::size_t correct = 0;  // largest logit at the label
  };
  // One step of stochastic gradient descent on a batch: images labels.size() x input size, labels < output size.
  StepResult step(std::span<const float> images, std::span<const std::int32_t> labels, double learning_rate);

  // Logits, count x output size, in evaluation mode and float32.
  std::vector<float> logits(std::span<const float> images, std::size_t count) const;

  // Everything a step changes: parameters, running statistics, momentum; in the graph's order.
  std::size_t state_size() const;
  std::vector<float> state() const;
  void set_state(std::span<const float> values);

  // Writes parameters and running statistics into a graph of the same structure.
  void write_back(FloatGraph& graph) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace eqo
