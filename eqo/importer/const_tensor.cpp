#include "eqo/importer/const_tensor.h"

#include <onnx/onnx_pb.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/importer/onnx_file.h"

namespace eqo {
namespace {

using onnx::TensorProto;

float from_half(std::uint16_t h) {
  const int exponent = (h >> 10) & 31;
  const int mantissa = h & 1023;
  float value = 0;
  if (exponent == 31) {
    value = mantissa == 0 ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
  } else if (exponent == 0) {
    value = std::ldexp(static_cast<float>(mantissa), -24);
  } else {
    value = std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
  }
  return (h >> 15) != 0 ? -value : value;
}

float from_bfloat(std::uint16_t b) { return std::bit_cast<float>(static_cast<std::uint32_t>(b) << 16); }

// How one data type is stored.
struct Type {
  std::size_t bytes = 0;  // in raw data; 0: a type that isn't supported
  bool integer = false;
};

Type type_of(int data_type) {
  switch (data_type) {
    case TensorProto::FLOAT:
      return {4, false};
    case TensorProto::DOUBLE:
      return {8, false};
    case TensorProto::FLOAT16:
    case TensorProto::BFLOAT16:
      return {2, false};
    case TensorProto::INT8:
    case TensorProto::UINT8:
    case TensorProto::BOOL:
      return {1, true};
    case TensorProto::INT16:
    case TensorProto::UINT16:
      return {2, true};
    case TensorProto::INT32:
    case TensorProto::UINT32:
      return {4, true};
    case TensorProto::INT64:
    case TensorProto::UINT64:
      return {8, true};
    default:
      return {};
  }
}

template <class T>
T load(const char* p) {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return value;
}

float raw_float(int data_type, const char* p) {
  switch (data_type) {
    case TensorProto::DOUBLE:
      return static_cast<float>(load<double>(p));
    case TensorProto::FLOAT16:
      return from_half(load<std::uint16_t>(p));
    case TensorProto::BFLOAT16:
      return from_bfloat(load<std::uint16_t>(p));
    default:
      return load<float>(p);
  }
}

std::int64_t raw_int(int data_type, const char* p) {
  switch (data_type) {
    case TensorProto::INT8:
      return load<std::int8_t>(p);
    case TensorProto::UINT8:
      return load<std::uint8_t>(p);
    case TensorProto::BOOL:
      return load<std::uint8_t>(p) != 0 ? 1 : 0;
    case TensorProto::INT16:
      return load<std::int16_t>(p);
    case TensorProto::UINT16:
      return load<std::uint16_t>(p);
    case TensorProto::INT32:
      return load<std::int32_t>(p);
    case TensorProto::UINT32:
      return load<std::uint32_t>(p);
    default:
      return load<std::int64_t>(p);
  }
}

void decode_raw(const TensorProto& t, Type type, const std::string& raw, ConstTensor& out) {
  const std::size_t count = raw.size() / type.bytes;
  const int data_type = t.data_type();
  if (type.integer) {
    out.i.resize(count);
    for (std::size_t n = 0; n < count; ++n) out.i[n] = raw_int(data_type, raw.data() + n * type.bytes);
  } else if (data_type == TensorProto::FLOAT) {
    out.f.resize(count);
    if (count > 0) std::memcpy(out.f.data(), raw.data(), raw.size());
  } else {
    out.f.resize(count);
    for (std::size_t n = 0; n < count; ++n) out.f[n] = raw_float(data_type, raw.data() + n * type.bytes);
  }
}

void check_count(std::int64_t want, std::int64_t got) {
  if (want != got) {
    throw model_error("a tensor of " + std::to_string(want) + " elements holds " + std::to_string(got));
  }
}

void decode_typed(const TensorProto& t, Type type, std::int64_t count, ConstTensor& out) {
  switch (t.data_type()) {
    case TensorProto::FLOAT:
      check_count(count, t.float_data_size());
      out.f.assign(t.float_data().begin(), t.float_data().end());
      return;
    case TensorProto::DOUBLE:
      check_count(count, t.double_data_size());
      for (const double v : t.double_data()) out.f.push_back(static_cast<float>(v));
      return;
    case TensorProto::INT64:
      check_count(count, t.int64_data_size());
      out.i.assign(t.int64_data().begin(), t.int64_data().end());
      return;
    case TensorProto::UINT32:
    case TensorProto::UINT64:
      check_count(count, t.uint64_data_size());
      for (const std::uint64_t v : t.uint64_data()) out.i.push_back(static_cast<std::int64_t>(v));
      return;
    default:
      break;
  }
  check_count(count, t.int32_data_size());
  for (const std::int32_t v : t.int32_data()) {
    if (type.integer) {
      out.i.push_back(v);
    } else if (t.data_type() == TensorProto::FLOAT16) {
      out.f.push_back(from_half(static_cast<std::uint16_t>(v)));
    } else {
      out.f.push_back(from_bfloat(static_cast<std::uint16_t>(v)));
    }
  }
}

}  // namespace

std::int64_t element_count(const std::vector<std::int64_t>& dims) {
  std::int64_t count = 1;
  for (const std::int64_t d : dims) {
    if (d < 0) throw model_error("a dimension of " + std::to_string(d) + " is out of range");
    if (__builtin_mul_overflow(count, d, &count)) throw model_error("a tensor's dimensions overflow");
  }
  if (count > kMaxConstant) {
    throw model_error("a tensor of " + std::to_string(count) + " elements is larger than " +
                      std::to_string(kMaxConstant));
  }
  return count;
}

ConstTensor int_tensor(std::vector<std::int64_t> values) {
  ConstTensor t;
  t.integer = true;
  t.dims = {static_cast<std::int64_t>(values.size())};
  t.i = std::move(values);
  return t;
}

ConstTensor int_scalar(std::int64_t value) {
  ConstTensor t;
  t.integer = true;
  t.i = {value};
  return t;
}

ConstTensor empty_like(std::vector<std::int64_t> dims, bool integer) {
  ConstTensor t;
  const auto count = static_cast<std::size_t>(element_count(dims));
  t.dims = std::move(dims);
  t.integer = integer;
  if (integer) {
    t.i.resize(count);
  } else {
    t.f.resize(count);
  }
  return t;
}

ConstTensor decode_tensor(const TensorProto& t, const std::filesystem::path& folder) {
  ConstTensor out;
  out.dims.assign(t.dims().begin(), t.dims().end());
  const std::int64_t count = element_count(out.dims);
  const Type type = type_of(t.data_type());
  if (type.bytes == 0) {
    throw model_error("tensor data type " + std::to_string(t.data_type()) + " is not supported",
                      "use float32, float16, bfloat16 or double weights");
  }
  if (t.has_segment()) throw model_error("a tensor in segments is not supported");
  out.integer = type.integer;
  const std::uint64_t bytes = static_cast<std::uint64_t>(count) * type.bytes;
  if (t.data_location() == TensorProto::EXTERNAL) {
    decode_raw(t, type, read_external_data(t, folder, bytes), out);
  } else if (t.has_raw_data()) {
    if (t.raw_data().size() != bytes) {
      throw model_error("a tensor of " + std::to_string(bytes) + " bytes holds " + std::to_string(t.raw_data().size()));
    }
    decode_raw(t, type, t.raw_data(), out);
  } else {
    decode_typed(t, type, count, out);
  }
  return out;
}

}  // namespace eqo
