#pragma once
#include <cstdint>
#include <filesystem>
#include <vector>

namespace onnx {
class TensorProto;
}  // namespace onnx

namespace eqo {

// The most elements one constant of a model may have, and all that are computed or decoded while importing it.
inline constexpr std::int64_t kMaxConstant = std::int64_t{1} << 28;

// A constant of an ONNX graph: a weight, or a number of its shape arithmetic. Row-major; a scalar has no dims.
struct ConstTensor {
  std::vector<std::int64_t> dims;
  bool integer = false;
  std::vector<float> f;         // if not integer
  std::vector<std::int64_t> i;  // if integer (bool: 0 or 1)

  std::int64_t size() const { return static_cast<std::int64_t>(integer ? i.size() : f.size()); }
  float as_float(std::size_t n) const { return integer ? static_cast<float>(i[n]) : f[n]; }
};

// The product of dims. Throws model_error if one is negative or the product exceeds kMaxConstant.
std::int64_t element_count(const std::vector<std::int64_t>& dims);

ConstTensor int_tensor(std::vector<std::int64_t> values);  // one-dimensional
ConstTensor int_scalar(std::int64_t value);
ConstTensor empty_like(std::vector<std::int64_t> dims, bool integer);  // zeros

// float, float16, bfloat16, double become float; all integers and bool become int64. Data may be raw, typed or external
// (in `folder`); its length must be that of dims, which is checked before anything is allocated.
// Throws model_error.
ConstTensor decode_tensor(const onnx::TensorProto& tensor, const std::filesystem::path& folder);

}  // namespace eqo
