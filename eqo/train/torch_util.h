#pragma once
#include <ATen/ATen.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "eqo/core/error.h"
#include "eqo/core/shape.h"

namespace eqo {

// Internal to the layer.
inline at::Tensor from_values(const std::vector<float>& values, at::IntArrayRef sizes, const std::string& name) {
  at::Tensor t = at::empty(sizes, at::kFloat);
  if (static_cast<std::size_t>(t.numel()) != values.size()) {
    throw model_error(name + ": parameters have the wrong size", "check the model with eqo check");
  }
  std::copy(values.begin(), values.end(), t.data_ptr<float>());
  return t;
}

inline void to_values(const at::Tensor& t, std::vector<float>& values) {
  const at::Tensor flat = t.detach().contiguous();
  values.assign(flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel());
}

// A libtorch failure is a bug of ours, except for memory.
template <typename F>
auto guarded(F&& body) {
  try {
    return body();
  } catch (const c10::Error& e) {
    const std::string what = e.what_without_backtrace();
    if (what.find("allocate memory") != std::string::npos) {
      throw resource_error("not enough memory to train this model", "use a smaller batch");
    }
    throw internal_error("libtorch: " + what.substr(0, what.find('\n')));
  }
}

// Rows [begin, end) of the batch that worker `w` of `workers` takes.
inline std::pair<std::size_t, std::size_t> shard(std::size_t batch, std::size_t w, std::size_t workers) {
  return {batch * w / workers, batch * (w + 1) / workers};
}

inline at::Tensor image_tensor(std::span<const float> images, std::int64_t count, const Shape& shape) {
  at::Tensor x = at::empty({count, shape.c, shape.h, shape.w}, at::kFloat);
  std::copy(images.begin(), images.end(), x.data_ptr<float>());
  return x.contiguous(at::MemoryFormat::ChannelsLast);
}

}  // namespace eqo
