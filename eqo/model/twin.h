#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "eqo/core/thread_pool.h"
#include "eqo/model/graph.h"

namespace eqo {

// The integer twin: the quantized model computed in the clear, bit for bit what the two parties compute on shares.
//
// Values wrap exactly as graph.h says. Beside them the twin knows every accumulator over the integers (in 32-bit lanes
// where its weights prove that they fit, else in 64 or 128 bits) and counts in `overflowed`
//   - each value that a non-linear step or the output reads as signed while the exact result of the linear steps
//     before it (convolution with bias and rounding constant, residual additions, sums, reductions) does not fit the
//     ring: wrapping that cancels before anything reads it is harmless and not counted, and
//   - each difference inside max-pooling or argmax that leaves the signed range.
// A model whose rings are wide enough has overflowed == 0 on every image.
//
// Not for the client: it holds the weights. Constant after construction: one Twin serves many threads.
class Twin {
 public:
  // Validates the model (model_error) and decodes its weights. Keeps no reference to it.
  explicit Twin(const Model& model);
  ~Twin();
  Twin(Twin&&) noexcept;
  Twin& operator=(Twin&&) noexcept;

  struct Result {
    std::vector<std::int64_t> logits;  // signed readings; before kArgMax if the plan ends in one
    int label = 0;                     // kArgMax, or the greatest logit, the lowest index on ties
    std::uint64_t overflowed = 0;
  };
  // Called for every node in order with its value, reduced in its ring, all images one behind the other.
  using Observer = std::function<void(int node, std::span<const Word> values)>;

  // One quantized image, reduced in the input's ring (see quantize_image in quantize.h). usage_error if its length is
  // wrong or a value is outside the input's interval. Threads: the pool's, or the caller's alone.
  Result run(std::span<const Word> image, ThreadPool* threads = nullptr) const;
  Result run_traced(std::span<const Word> image, const Observer& observer, ThreadPool* threads = nullptr) const;

  // `batch` images one behind the other: the same results, faster for small layers.
  std::vector<Result> run_batch(std::span<const Word> images, std::size_t batch, ThreadPool* threads = nullptr,
                                const Observer* observer = nullptr) const;

  const PublicPlan& plan() const;
  // Elements of the largest tensor times what a convolution unrolls, for choosing a batch.
  std::size_t scratch_elements() const;

 private:
  struct State;
  class Run;
  std::unique_ptr<const State> state_;
};

}  // namespace eqo
