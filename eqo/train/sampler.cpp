#include "eqo/train/sampler.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "eqo/core/error.h"

namespace eqo {
namespace {

// Uniform in [0, n), n at most 2^32; the standard distributions differ between libraries.
std::uint64_t below(std::mt19937_64& generator, std::uint64_t n) { return (generator() >> 32) * n >> 32; }

std::mt19937_64 stream(std::uint64_t seed, int epoch, std::uint32_t purpose) {
  std::seed_seq mix{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32),
                    static_cast<std::uint32_t>(epoch), purpose};
  return std::mt19937_64(mix);
}

}  // namespace

Sampler::Sampler(const Dataset& data, const Preprocess& preprocess, int classes, std::size_t max_bytes)
    : preprocess_(preprocess) {
  preprocess_.check();
  const std::size_t n = data.size(), one = static_cast<std::size_t>(preprocess_.shape.size());
  const std::size_t element = data.is_float() ? sizeof(float) : 1;
  if (n == 0) throw data_error("the data set is empty");
  if (n > std::numeric_limits<std::uint32_t>::max() || n > max_bytes / (one * element)) {
    throw resource_error("a data set of " + std::to_string(n) + " images of " + preprocess_.shape.to_string() +
                             " does not fit into memory",
                         "train on fewer or smaller images");
  }
  labels_.reserve(n);
  data.is_float() ? floats_.reserve(n * one) : pixels_.reserve(n * one);
  for (std::size_t i = 0; i < n; ++i) {
    const int label = data.label(i);
    if (label < 0 || label >= classes) {
      throw data_error("image " + std::to_string(i) + " has label " + std::to_string(label) + ", the model has " +
                           std::to_string(classes) + " classes",
                       "use a model with as many classes as the data set");
    }
    labels_.push_back(label);
    if (data.is_float()) {
      const std::vector<float> x = data.input(i, preprocess_);
      floats_.insert(floats_.end(), x.begin(), x.end());
    } else {
      const Image image = preprocess_.fit(data.image(i));
      pixels_.insert(pixels_.end(), image.pixels.begin(), image.pixels.end());
    }
  }
}

std::vector<std::uint32_t> Sampler::order(std::uint64_t seed, int epoch) const {
  std::mt19937_64 rng = stream(seed, epoch, 1);
  std::vector<std::uint32_t> order(size());
  std::iota(order.begin(), order.end(), 0U);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[below(rng, i)]);
  return order;
}

std::mt19937_64 Sampler::generator(std::uint64_t seed, int epoch) { return stream(seed, epoch, 2); }

void Sampler::normalized(std::uint32_t index, float* out) const {
  const std::size_t one = static_cast<std::size_t>(preprocess_.shape.size()), at = index * one;
  if (pixels_.empty()) {
    std::copy_n(floats_.begin() + static_cast<std::ptrdiff_t>(at), one, out);
  } else {
    preprocess_.to_float(pixels_.data() + at, out);
  }
}

void Sampler::batch(std::span<const std::uint32_t> indices, std::vector<float>& images,
                    std::vector<std::int32_t>& labels) const {
  const auto one = static_cast<std::size_t>(preprocess_.shape.size());
  images.resize(indices.size() * one);
  labels.resize(indices.size());
  for (std::size_t i = 0; i < indices.size(); ++i) {
    normalized(indices[i], images.data() + i * one);
    labels[i] = labels_[indices[i]];
  }
}

void Sampler::augmented_batch(std::span<const std::uint32_t> indices, const Augmentation& how,
                              std::mt19937_64& generator, std::vector<float>& images,
                              std::vector<std::int32_t>& labels) const {
  const Shape& s = preprocess_.shape;
  const auto one = static_cast<std::size_t>(s.size());
  images.assign(indices.size() * one, 0.0F);
  labels.resize(indices.size());
  std::vector<float> source(one);
  for (std::size_t i = 0; i < indices.size(); ++i) {
    labels[i] = labels_[indices[i]];
    normalized(indices[i], source.data());
    // The crop's corner relative to the image's, and whether it is mirrored.
    const auto span = static_cast<std::uint64_t>(2 * how.pad + 1);
    const std::int64_t dy = static_cast<std::int64_t>(below(generator, span)) - how.pad;
    const std::int64_t dx = static_cast<std::int64_t>(below(generator, span)) - how.pad;
    const bool mirror = how.flip && (generator() >> 63) != 0;
    const std::int64_t y_begin = std::max<std::int64_t>(0, -dy), y_end = std::min(s.h, s.h - dy);
    const std::int64_t x_begin = std::max<std::int64_t>(0, -dx), x_end = std::min(s.w, s.w - dx);
    for (std::int64_t c = 0; c < s.c; ++c) {
      for (std::int64_t y = y_begin; y < y_end && x_begin < x_end; ++y) {
        const float* from = source.data() + (c * s.h + y + dy) * s.w + x_begin + dx;
        float* row = images.data() + i * one + static_cast<std::size_t>((c * s.h + y) * s.w);
        if (mirror) {
          std::reverse_copy(from, from + (x_end - x_begin), row + (s.w - x_end));
        } else {
          std::copy_n(from, x_end - x_begin, row + x_begin);
        }
      }
    }
  }
}

}  // namespace eqo
