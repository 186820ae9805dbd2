#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "eqo/core/shape.h"

namespace eqo {
class ThreadPool;
}

namespace eqo::quant {

// The same tensor of `count` images, one image behind the other.
template <class T>
struct Batch {
  Shape shape;
  std::size_t count = 0;
  std::vector<T> data;

  Batch() = default;
  Batch(Shape s, std::size_t n) : shape(s), count(n), data(static_cast<std::size_t>(s.size()) * n) {}
  std::size_t stride() const { return static_cast<std::size_t>(shape.size()); }
  T* image(std::size_t i) { return data.data() + i * stride(); }
  const T* image(std::size_t i) const { return data.data() + i * stride(); }
};
using FloatBatch = Batch<float>;
using IntBatch = Batch<std::int64_t>;

// The operators that calibration needs, on whole batches; T is float or int64_t. Shapes are the caller's to check.
template <class T>
void relu_batch(Batch<T>& x);
// Sum over the window, padding counts as 0.
template <class T>
Batch<T> sum_pool_batch(const Batch<T>& x, const Window& window, ThreadPool& pool);
// Maximum over the window; padding counts as `pad_value`.
template <class T>
Batch<T> max_pool_batch(const Batch<T>& x, const Window& window, T pad_value, ThreadPool& pool);
// Channels behind one another.
template <class T>
Batch<T> concat_batch(std::span<const Batch<T>* const> inputs);
template <class T>
Batch<T> pad_batch(const Batch<T>& x, const std::array<std::int64_t, 3>& before,
                   const std::array<std::int64_t, 3>& after);
// Element (c, h, w) of the result is element start + step * (c, h, w) of x.
template <class T>
Batch<T> slice_batch(const Batch<T>& x, const std::array<std::int64_t, 3>& start,
                     const std::array<std::int64_t, 3>& step, const Shape& shape);

}  // namespace eqo::quant
