#include "eqo/quantizer/batch.h"

#include <algorithm>
#include <limits>

#include "eqo/core/thread_pool.h"

namespace eqo::quant {
namespace {

// Calls reduce(accumulator, value or nullptr for padding) over the window of every output element.
template <class T, class Reduce>
Batch<T> pool_batch(const Batch<T>& x, const Window& window, T start, ThreadPool& pool, Reduce reduce) {
  const Shape in = x.shape;
  Batch<T> out(Shape{in.c, window.out_h(in.h), window.out_w(in.w)}, x.count);
  const Shape os = out.shape;
  pool.parallel_for(x.count, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      T* o = out.image(n);
      for (std::int64_t c = 0; c < os.c; ++c) {
        const T* plane = x.image(n) + c * in.h * in.w;
        for (std::int64_t y = 0; y < os.h; ++y)
          for (std::int64_t z = 0; z < os.w; ++z) {
            T value = start;
            for (std::int64_t i = 0; i < window.kernel_h; ++i)
              for (std::int64_t j = 0; j < window.kernel_w; ++j) {
                const std::int64_t r = y * window.stride_h - window.pad_top + i * window.dilation_h;
                const std::int64_t s = z * window.stride_w - window.pad_left + j * window.dilation_w;
                const bool inside = r >= 0 && r < in.h && s >= 0 && s < in.w;
                value = reduce(value, inside ? plane + r * in.w + s : nullptr);
              }
            *o++ = value;
          }
      }
    }
  });
  return out;
}

}  // namespace

template <class T>
void relu_batch(Batch<T>& x) {
  for (T& v : x.data) v = std::max(v, T{0});
}

template <class T>
Batch<T> sum_pool_batch(const Batch<T>& x, const Window& window, ThreadPool& pool) {
  return pool_batch<T>(x, window, T{0}, pool, [](T sum, const T* v) { return v != nullptr ? sum + *v : sum; });
}

template <class T>
Batch<T> max_pool_batch(const Batch<T>& x, const Window& window, T pad_value, ThreadPool& pool) {
  return pool_batch<T>(x, window, std::numeric_limits<T>::lowest(), pool,
                       [pad_value](T max, const T* v) { return std::max(max, v != nullptr ? *v : pad_value); });
}

template <class T>
Batch<T> concat_batch(std::span<const Batch<T>* const> inputs) {
  Shape shape = inputs.front()->shape;
  shape.c = 0;
  for (const Batch<T>* x : inputs) shape.c += x->shape.c;
  Batch<T> out(shape, inputs.front()->count);
  for (std::size_t n = 0; n < out.count; ++n) {
    T* o = out.image(n);
    for (const Batch<T>* x : inputs) o = std::copy_n(x->image(n), x->stride(), o);
  }
  return out;
}

template <class T>
Batch<T> pad_batch(const Batch<T>& x, const std::array<std::int64_t, 3>& before,
                   const std::array<std::int64_t, 3>& after) {
  const Shape in = x.shape;
  Batch<T> out(Shape{in.c + before[0] + after[0], in.h + before[1] + after[1], in.w + before[2] + after[2]}, x.count);
  for (std::size_t n = 0; n < x.count; ++n)
    for (std::int64_t c = 0; c < in.c; ++c)
      for (std::int64_t y = 0; y < in.h; ++y)
        std::copy_n(x.image(n) + (c * in.h + y) * in.w, in.w,
                    out.image(n) + ((c + before[0]) * out.shape.h + y + before[1]) * out.shape.w + before[2]);
  return out;
}

template <class T>
Batch<T> slice_batch(const Batch<T>& x, const std::array<std::int64_t, 3>& start,
                     const std::array<std::int64_t, 3>& step, const Shape& shape) {
  const Shape in = x.shape;
  Batch<T> out(shape, x.count);
  for (std::size_t n = 0; n < x.count; ++n) {
    T* o = out.image(n);
    for (std::int64_t c = 0; c < shape.c; ++c)
      for (std::int64_t y = 0; y < shape.h; ++y)
        for (std::int64_t z = 0; z < shape.w; ++z)
          *o++ = x.image(n)[((start[0] + c * step[0]) * in.h + start[1] + y * step[1]) * in.w + start[2] + z * step[2]];
  }
  return out;
}

#define EQO_INSTANTIATE(T)                                                           \
  template void relu_batch(Batch<T>&);                                               \
  template Batch<T> sum_pool_batch(const Batch<T>&, const Window&, ThreadPool&);     \
  template Batch<T> max_pool_batch(const Batch<T>&, const Window&, T, ThreadPool&);  \
  template Batch<T> concat_batch(std::span<const Batch<T>* const>);                  \
  template Batch<T> pad_batch(const Batch<T>&, const std::array<std::int64_t, 3>&,   \
                              const std::array<std::int64_t, 3>&);                   \
  template Batch<T> slice_batch(const Batch<T>&, const std::array<std::int64_t, 3>&, \
                                const std::array<std::int64_t, 3>&, const Shape&)
EQO_INSTANTIATE(float);
EQO_INSTANTIATE(std::int64_t);
#undef EQO_INSTANTIATE

}  // namespace eqo::quant
