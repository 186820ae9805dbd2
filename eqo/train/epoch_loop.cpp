#include "eqo/train/epoch_loop.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>
#include <random>
#include <string>
#include <vector>

#include "eqo/core/error.h"

namespace eqo {

double learning_rate_at(double peak, std::size_t step, std::size_t warmup, std::size_t steps) {
  if (step < warmup) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);
  const double done =
      static_cast<double>(step - warmup) / static_cast<double>(std::max<std::size_t>(1, steps - warmup));
  return peak * 0.5 * (1.0 + std::cos(std::numbers::pi * std::min(done, 1.0)));
}

EpochLoop::EpochLoop(const Sampler& data, const Augmentation& augmentation, std::uint64_t seed, int epochs, int batch)
    : data_(data),
      augmentation_(augmentation),
      seed_(seed),
      epochs_(epochs),
      batch_(std::min(data.size(), static_cast<std::size_t>(batch))),
      batches_(data.size() / batch_) {
  // Without this every large tensor is mapped and unmapped anew, and its pages are zeroed each time.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
}

void EpochLoop::run(int first, const Step& step, const Report& tell, const Report& done) const {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  Clock::time_point last_report = start;
  const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  std::vector<float> images;
  std::vector<std::int32_t> labels;
  for (int epoch = first; epoch < epochs_; ++epoch) {
    const std::vector<std::uint32_t> order = data_.order(seed_, epoch);
    std::mt19937_64 generator = Sampler::generator(seed_, epoch);
    EpochProgress p;
    p.epoch = epoch + 1;
    p.epochs = epochs_;
    p.batches = batches_;
    double loss = 0;
    std::size_t correct = 0;
    for (std::size_t b = 0; b < batches_; ++b) {
      data_.augmented_batch(std::span(order).subspan(b * batch_, batch_), augmentation_, generator, images, labels);
      const Result r = step(images, labels, static_cast<std::size_t>(epoch) * batches_ + b);
      if (!std::isfinite(r.loss))
        throw data_error("the training diverged in epoch " + std::to_string(epoch + 1), "use a lower learning rate");
      loss += r.loss;
      correct += r.correct;
      p.batch = b + 1;
      p.loss = loss / static_cast<double>(b + 1);
      p.train_accuracy = static_cast<double>(correct) / static_cast<double>((b + 1) * batch_);
      if (b + 1 == batches_ || Clock::now() - last_report <= std::chrono::milliseconds(300)) continue;
      last_report = Clock::now();
      p.seconds = seconds();
      tell(p);
    }
    p.epoch_done = true;
    p.seconds = seconds();
    done(p);
  }
}

}  // namespace eqo
