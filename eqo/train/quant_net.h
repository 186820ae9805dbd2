#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "eqo/quantizer/tuning.h"

namespace eqo {

struct QuantNetOptions {
  double temperature = 4;     // of the distillation
  double distillation = 0.7;  // its share of the loss; the rest is the labels' cross entropy
  double range_penalty = 1;   // of values outside the range of calibration, rounded up to a power of two
  int threads = 1;            // each takes its share of every batch
};

// A quantized network as a differentiable program that computes with the very integers of the twin: same codes, same
// biases, same roundings, in float32 tensors, where they are exact. Trained are the weights in the domain of their
// product (16 taps in a Winograd layer), the biases, and one scale factor a scale group, all rounded by a
// straight-through estimator; the scales' gradient is that of learned step sizes (Esser, McKinstry, Bablani,
// Appuswamy, Modha, "Learned Step Size Quantization", ICLR 2020, sections 2.1 and 2.2), because the integers are the
// same function of the scales there and here. Distilled from the float model (Hinton, Vinyals, Dean, "Distilling the
// Knowledge in a Neural Network", 2015, section 2). Adam (Kingma, Ba, ICLR 2015, algorithm 1).
// Deterministic for the same inputs, threads and processor. Not thread-safe. Turns libtorch's own threads off.
class QuantNet {
 public:
  // Starts with exactly the problem's integers. Throws model_error for what can't be trained (negative slice steps,
  // accumulators that come near 2^24), usage_error for options out of range.
  QuantNet(const quant::TuneProblem& problem, const QuantNetOptions& options);
  ~QuantNet();
  QuantNet(const QuantNet&) = delete;
  QuantNet& operator=(const QuantNet&) = delete;

  struct StepResult {
    double loss = 0;          // mean over the batch, of the weights before the step; without the range penalty
    std::size_t correct = 0;  // largest logit at the label
  };
  // `images` are real: labels.size() x input size. At the rate 1 a step moves a weight by up to about the root mean
  // square of its tap's weights at the start (half of it in the Winograd domain), and a bias by a hundredth of the
  // largest output that its layer had in calibration: layers whose weights are small by tens of times would else be
  // shaken, or stand still. `scale_rate` is of the logarithms of the factors. `halvings`, up to 3: weights may also be
  // points between the levels of their codes, 2^halvings times as close.
  StepResult step(std::span<const float> images, std::span<const std::int32_t> labels, double rate, double scale_rate,
                  unsigned halvings = 0);

  // The integer logits, count x outputs: the twin's.
  std::vector<std::int64_t> logits(std::span<const float> images, std::size_t count) const;

  quant::Tuned tuned() const;

  // Everything a step changes: steps done, parameters, Adam's moments.
  std::size_t state_size() const;
  std::vector<float> state() const;
  void set_state(std::span<const float> values);
  // The parameters of a state; steps and moments begin anew.
  void start_from(std::span<const float> values);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace eqo
