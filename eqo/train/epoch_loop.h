#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "eqo/train/sampler.h"

namespace eqo {

struct EpochProgress {
  int epoch = 0;  // the current one, from 1
  int epochs = 0;
  std::size_t batch = 0, batches = 0;  // done in this epoch
  bool epoch_done = false;
  double loss = 0;            // mean over this epoch so far
  double train_accuracy = 0;  // of the augmented images seen in this epoch so far
  double seconds = 0;         // since the start of the call
};

// The learning rate of step `step` of `steps`, of which the first `warmup` rise linearly.
double learning_rate_at(double peak, std::size_t step, std::size_t warmup, std::size_t steps);

// Internal to the layer: seeded epochs of augmented batches, whatever is trained with them.
class EpochLoop {
 public:
  struct Result {
    double loss = 0;  // mean of the batch
    std::size_t correct = 0;
  };
  using Step =
      std::function<Result(std::span<const float> images, std::span<const std::int32_t> labels, std::size_t step)>;
  using Report = std::function<void(const EpochProgress&)>;

  // Batches are full: what is left over at an epoch's end waits for the next shuffle. `data` must outlive the loop.
  // Sets glibc's malloc thresholds, so that large tensors stay on the heap.
  EpochLoop(const Sampler& data, const Augmentation& augmentation, std::uint64_t seed, int epochs, int batch);

  std::size_t steps() const { return batches_ * static_cast<std::size_t>(epochs_); }

  // From epoch `first`, counted from 0. `tell` is called a few times a second, `done` at an epoch's end. Throws
  // data_error when a loss is no longer a number.
  void run(int first, const Step& step, const Report& tell, const Report& done) const;

 private:
  const Sampler& data_;
  Augmentation augmentation_;
  std::uint64_t seed_;
  int epochs_;
  std::size_t batch_, batches_;
};

}  // namespace eqo
