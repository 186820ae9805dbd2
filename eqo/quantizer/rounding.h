#pragma once
#include <cstddef>
#include <vector>

#include "eqo/importer/float_graph.h"
#include "eqo/quantizer/batch.h"
#include "eqo/quantizer/weight_quantizer.h"

namespace eqo::quant {

// Rounds the weights of one layer anew, one input at a time, each error made up for by the weights that are not rounded
// yet: what counts is the error of the layer's outputs on the calibration images, and inputs are correlated. Codes,
// exponents and the step stay as quantize_weights() chose them. In the Winograd domain all taps of a channel are
// rounded together, because different taps can give the same output. This is GPTQ's column-wise rounding (Frantar,
// Ashkboos, Hoefler, Alistarh, "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers",
// ICLR 2023) in blocks of at most kMaxBlock inputs. `centered`: the outputs' mean error does not matter, because the
// bias takes it.
void compensate_rounding(const FloatNode& node, const LinearWeights& weights, const IntBatch& input, double step,
                         bool centered, ThreadPool& pool, QuantizedWeights& quantized);
inline constexpr std::size_t kMaxBlock = 576;

// The same for several ways to round the same weights: what is known of the inputs is worked out once.
class RoundingCompensation {
 public:
  // `weights` must outlive it; their values don't matter yet.
  RoundingCompensation(const FloatNode& node, const LinearWeights& weights, const IntBatch& input, bool centered);
  ~RoundingCompensation();
  void round(double step, ThreadPool& pool, QuantizedWeights& quantized) const;

 private:
  struct Block;
  const LinearWeights& weights_;
  std::size_t filters_ = 0;  // of a group
  std::vector<Block> blocks_;
};

}  // namespace eqo::quant
