#pragma once
#include <ATen/core/Tensor.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "eqo/quantizer/tuning.h"
#include "eqo/train/quant_ops.h"

namespace eqo {

// Internal to the layer. What a program is run with, all in real units.
struct QuantParameters {
  at::Tensor log_factor;            // [scale groups]
  std::vector<at::Tensor> weights;  // a layer: [taps][K * C/groups * kh * kw]
  std::vector<at::Tensor> biases;   // a layer: [K]
};

// The integer bias of a layer, and the real value of one unit of it.
struct DraftBias {
  std::vector<std::int64_t> values;
  double scale = 0;
};
DraftBias draft_bias(const quant::TuneProblem& problem, const quant::TuneLayer& layer);

// The steps of a TuneProblem on float32 tensors of integers. Constant after construction.
class QuantProgram {
 public:
  // Throws model_error for what can't be trained.
  explicit QuantProgram(const quant::TuneProblem& problem);

  // How to run while training.
  struct Training {
    double penalty = 0;     // of one value out of range
    unsigned halvings = 0;  // up to kMostHalvings: weights also take points between the levels of their codes,
                            // 2^halvings times as close, as the start of a gradual reduction of their width
  };
  static constexpr unsigned kMostHalvings = 3;

  // images N x C x H x W, integers, channels-last -> integer logits N x outputs.
  at::Tensor run(const QuantParameters& parameters, const at::Tensor& images, const Training& training) const;

  // The integers that run() computes with. Under a NoGradGuard.
  quant::Tuned tuned(const QuantParameters& parameters) const;

 private:
  struct Layer {
    std::int64_t in_group, out_group;
    double step, bias_scale;
    std::array<std::vector<std::vector<float>>, kMostHalvings + 1> levels;  // [halvings][tap]
    std::vector<std::int64_t> kernel;  // sizes of a direct convolution's weights; empty: Winograd
  };
  struct Step {
    Node node;
    int layer = -1;     // of a convolution
    bool used = false;  // false: part of a later step, or not needed
    // kAddConstant, kRelu, kTruncateReduce: with those before them that nobody else reads.
    int source = -1;
    Requantization requantization;
  };

  void plan_requantization(const quant::TuneProblem& problem, std::size_t i, const std::vector<int>& readers);
  at::Tensor weights(const Layer& layer, const QuantParameters& p, std::size_t i, unsigned halvings) const;
  at::Tensor bias(const Layer& layer, const QuantParameters& p, std::size_t i) const;
  at::Tensor run_step(const Step& step, const QuantParameters& p, const std::vector<at::Tensor>& values,
                      const Training& training) const;

  std::vector<Layer> layers_;
  std::vector<Step> steps_;
  int output_ = 0;
};

}  // namespace eqo
