#include "eqo/importer/const_fold.h"

#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/importer/shape_args.h"

namespace eqo {
namespace {

using Inputs = std::vector<const ConstTensor*>;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

const ConstTensor& need(const Inputs& inputs, std::size_t i) {
  if (i >= inputs.size() || inputs[i] == nullptr) throw model_error("input " + std::to_string(i) + " is missing");
  return *inputs[i];
}

void check_folded(const Dims& dims) {
  if (element_count(dims) > kMaxFolded) throw model_error("shape arithmetic makes a constant that is too large");
}

// out[n] = in[from(n)]
template <class From>
ConstTensor picked(const ConstTensor& in, Dims dims, const From& from) {
  ConstTensor out = empty_like(std::move(dims), in.integer);
  for (std::int64_t n = 0; n < out.size(); ++n) {
    const std::size_t source = from(n);
    if (in.integer) {
      out.i[at(n)] = in.i[source];
    } else {
      out.f[at(n)] = in.f[source];
    }
  }
  return out;
}

ConstTensor relabelled(const ConstTensor& in, Dims dims) {
  ConstTensor out = in;
  out.dims = std::move(dims);
  return out;
}

ConstTensor cast(const ConstTensor& in, std::int64_t to) {
  const bool integer = to != onnx::TensorProto::FLOAT && to != onnx::TensorProto::DOUBLE &&
                       to != onnx::TensorProto::FLOAT16 && to != onnx::TensorProto::BFLOAT16;
  if (integer == in.integer && to != onnx::TensorProto::BOOL) return in;
  ConstTensor out = empty_like(in.dims, integer);
  for (std::int64_t n = 0; n < in.size(); ++n) {
    if (!integer) {
      out.f[at(n)] = static_cast<float>(in.i[at(n)]);
    } else if (to == onnx::TensorProto::BOOL) {
      out.i[at(n)] = (in.integer ? in.i[at(n)] != 0 : in.f[at(n)] != 0) ? 1 : 0;
    } else {
      const float v = in.f[at(n)];
      if (!(v > -9e18F && v < 9e18F)) throw model_error("casts a number that doesn't fit into an integer");
      out.i[at(n)] = static_cast<std::int64_t>(v);
    }
  }
  return out;
}

ConstTensor gather(const ConstTensor& in, const ConstTensor& index, std::int64_t axis_arg) {
  if (!index.integer) throw model_error("gathers by a float index");
  const std::size_t axis = normal_axis(axis_arg, in.dims.size());
  const std::int64_t inner =
      element_count(Dims(in.dims.begin() + static_cast<std::ptrdiff_t>(axis) + 1, in.dims.end()));
  const std::int64_t size = in.dims[axis];
  Dims dims(in.dims.begin(), in.dims.begin() + static_cast<std::ptrdiff_t>(axis));
  dims.insert(dims.end(), index.dims.begin(), index.dims.end());
  dims.insert(dims.end(), in.dims.begin() + static_cast<std::ptrdiff_t>(axis) + 1, in.dims.end());
  check_folded(dims);
  const std::int64_t picks = index.size();
  return picked(in, dims, [&](std::int64_t n) {
    const std::int64_t p = index.i[at(n / inner % picks)];
    if (p < -size || p >= size) throw model_error("gathers index " + std::to_string(p) + " of " + std::to_string(size));
    return at((n / inner / picks * size + (p < 0 ? p + size : p)) * inner + n % inner);
  });
}

ConstTensor concat(const Inputs& inputs, std::int64_t axis_arg) {
  Dims dims = need(inputs, 0).dims;
  const std::size_t axis = normal_axis(axis_arg, dims.size());
  ConstTensor out;
  out.integer = need(inputs, 0).integer;
  std::int64_t total = 0;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    const ConstTensor& t = need(inputs, k);
    Dims same = t.dims;
    if (same.size() != dims.size() || t.integer != out.integer) throw model_error("concatenates different kinds");
    total += same[axis];
    same[axis] = dims[axis];
    if (same != dims) throw model_error("concatenates constants of different shapes");
  }
  dims[axis] = total;
  out = empty_like(dims, out.integer);
  const std::int64_t inner = element_count(Dims(dims.begin() + static_cast<std::ptrdiff_t>(axis) + 1, dims.end()));
  const std::int64_t outer = element_count(Dims(dims.begin(), dims.begin() + static_cast<std::ptrdiff_t>(axis)));
  std::int64_t before = 0;
  for (const ConstTensor* t : inputs) {
    const std::int64_t run = t->dims[axis] * inner;
    for (std::int64_t o = 0; o < outer; ++o) {
      const std::int64_t to = o * total * inner + before;
      if (out.integer) {
        std::copy_n(t->i.begin() + o * run, run, out.i.begin() + to);
      } else {
        std::copy_n(t->f.begin() + o * run, run, out.f.begin() + to);
      }
    }
    before += run;
  }
  return out;
}

ConstTensor transpose(const ConstTensor& in, const Dims& perm_arg) {
  const Dims perm = permutation(in.dims.size(), perm_arg);
  Dims strides(in.dims.size(), 1);
  for (std::size_t i = strides.size(); i-- > 1;) strides[i - 1] = strides[i] * in.dims[i];
  Dims dims;
  for (const std::int64_t p : perm) dims.push_back(in.dims[at(p)]);
  return picked(in, dims, [&](std::int64_t n) {
    std::int64_t source = 0;
    for (std::size_t i = dims.size(); i-- > 0;) {
      source += n % dims[i] * strides[at(perm[i])];
      n /= dims[i];
    }
    return at(source);
  });
}

ConstTensor slice(const ConstTensor& in, const std::vector<SliceRange>& ranges) {
  Dims dims;
  for (const SliceRange& r : ranges) dims.push_back(r.count);
  return picked(in, dims, [&](std::int64_t n) {
    std::int64_t source = 0;
    std::int64_t stride = 1;
    for (std::size_t i = dims.size(); i-- > 0;) {
      source += (ranges[i].start + n % dims[i] * ranges[i].step) * stride;
      n /= dims[i];
      stride *= in.dims[i];
    }
    return at(source);
  });
}

ConstTensor slice_node(const NodeAttributes& attrs, int opset, const Inputs& inputs) {
  const ConstTensor& in = need(inputs, 0);
  const auto values = [&](std::size_t i) {
    return i < inputs.size() && inputs[i] != nullptr ? int_values(*inputs[i]) : Dims{};
  };
  if (opset < 10) {
    return slice(in,
                 slice_ranges(in.dims, attrs.get_ints("starts"), attrs.get_ints("ends"), attrs.get_ints("axes"), {}));
  }
  return slice(in,
               slice_ranges(in.dims, int_values(need(inputs, 1)), int_values(need(inputs, 2)), values(3), values(4)));
}

std::int64_t int_op(const std::string& op, std::int64_t a, std::int64_t b) {
  std::int64_t r = 0;
  bool bad = false;
  if (op == "Add") bad = __builtin_add_overflow(a, b, &r);
  if (op == "Sub") bad = __builtin_sub_overflow(a, b, &r);
  if (op == "Mul") bad = __builtin_mul_overflow(a, b, &r);
  if (op == "Div") {
    bad = b == 0 || (b == -1 && a == std::numeric_limits<std::int64_t>::min());
    if (!bad) r = a / b;
  }
  if (op == "Min") r = std::min(a, b);
  if (op == "Max") r = std::max(a, b);
  if (op == "Equal") r = a == b ? 1 : 0;
  if (bad) throw model_error("shape arithmetic overflows or divides by 0");
  return r;
}

float float_op(const std::string& op, float a, float b) {
  if (op == "Add") return a + b;
  if (op == "Sub") return a - b;
  if (op == "Mul") return a * b;
  if (op == "Div") return a / b;
  return op == "Min" ? std::min(a, b) : std::max(a, b);
}

ConstTensor binary(const std::string& op, const ConstTensor& a, const ConstTensor& b) {
  if (a.integer != b.integer) throw model_error("mixes integers and floats");
  const Dims dims = broadcast_dims(a.dims, b.dims);
  if (element_count(dims) > std::max(a.size(), b.size())) check_folded(dims);
  ConstTensor out = empty_like(dims, a.integer || op == "Equal");
  for (std::int64_t n = 0; n < out.size(); ++n) {
    const std::size_t x = broadcast_index(a.dims, dims, n);
    const std::size_t y = broadcast_index(b.dims, dims, n);
    if (a.integer) {
      out.i[at(n)] = int_op(op, a.i[x], b.i[y]);
    } else if (op == "Equal") {
      out.i[at(n)] = a.f[x] == b.f[y] ? 1 : 0;
    } else {
      out.f[at(n)] = float_op(op, a.f[x], b.f[y]);
    }
  }
  return out;
}

ConstTensor unary(const std::string& op, ConstTensor t) {
  if (t.integer && op != "Neg" && op != "Abs") throw model_error("needs a float");
  for (std::int64_t& v : t.i) {
    if (v == std::numeric_limits<std::int64_t>::min()) throw model_error("shape arithmetic overflows");
    v = op == "Neg" ? -v : std::abs(v);
  }
  for (float& v : t.f) {
    if (op == "Neg") v = -v;
    if (op == "Abs") v = std::fabs(v);
    if (op == "Sqrt") v = std::sqrt(v);
    if (op == "Reciprocal") v = 1 / v;
    if (op == "Floor") v = std::floor(v);
    if (op == "Ceil") v = std::ceil(v);
  }
  return t;
}

ConstTensor constant_of_shape(const NodeAttributes& attrs, const ConstTensor& shape) {
  const Dims dims = int_values(shape);
  check_folded(dims);
  ConstTensor fill;
  fill.f = {0};
  if (const auto* a = attrs.find("value"); a != nullptr) fill = decode_tensor(a->t(), {});
  if (fill.size() != 1) throw model_error("its value must have one element");
  return picked(fill, dims, [](std::int64_t) { return std::size_t{0}; });
}

ConstTensor range(const ConstTensor& start, const ConstTensor& limit, const ConstTensor& delta) {
  for (const auto* t : {&start, &limit, &delta}) {
    if (!t->integer || t->size() != 1) throw model_error("needs integer scalars");
  }
  const std::int64_t a = start.i[0];
  const std::int64_t b = limit.i[0];
  const std::int64_t d = delta.i[0];
  constexpr std::int64_t kBound = std::int64_t{1} << 40;
  for (const std::int64_t v : {a, b, d}) {
    if (v < -kBound || v > kBound) throw model_error("its bounds are out of range");
  }
  if (d == 0) throw model_error("its step is 0");
  const std::int64_t span = d > 0 ? b - a : a - b;
  const std::int64_t step = std::abs(d);
  const std::int64_t count = span <= 0 ? 0 : (span - 1) / step + 1;
  check_folded({count});
  std::vector<std::int64_t> values;
  for (std::int64_t n = 0; n < count; ++n) values.push_back(a + n * d);
  return int_tensor(std::move(values));
}

ConstTensor expand(const ConstTensor& in, const ConstTensor& shape) {
  const Dims dims = broadcast_dims(in.dims, int_values(shape));
  check_folded(dims);
  return picked(in, dims, [&](std::int64_t n) { return broadcast_index(in.dims, dims, n); });
}

ConstTensor where(const ConstTensor& condition, const ConstTensor& x, const ConstTensor& y) {
  if (!condition.integer || x.integer != y.integer) throw model_error("mixes integers and floats");
  const Dims dims = broadcast_dims(condition.dims, broadcast_dims(x.dims, y.dims));
  check_folded(dims);
  ConstTensor out = empty_like(dims, x.integer);
  for (std::int64_t n = 0; n < out.size(); ++n) {
    const ConstTensor& from = condition.i[broadcast_index(condition.dims, dims, n)] != 0 ? x : y;
    const std::size_t source = broadcast_index(from.dims, dims, n);
    if (out.integer) {
      out.i[at(n)] = from.i[source];
    } else {
      out.f[at(n)] = from.f[source];
    }
  }
  return out;
}

ConstTensor reduce_prod(const NodeAttributes& attrs, const ConstTensor& in) {
  if (!in.integer || in.dims.size() != 1) throw model_error("only integer vectors are multiplied");
  std::int64_t product = 1;
  for (const std::int64_t v : in.i) product = int_op("Mul", product, v);
  return attrs.get_int("keepdims", 1) != 0 ? int_tensor({product}) : int_scalar(product);
}

std::optional<Dims> axes_of(const NodeAttributes& attrs, const Inputs& inputs) {
  if (inputs.size() > 1 && inputs[1] != nullptr) return int_values(*inputs[1]);
  if (attrs.has("axes")) return attrs.get_ints("axes");
  return std::nullopt;
}

}  // namespace

std::vector<std::int64_t> int_values(const ConstTensor& t) {
  if (!t.integer || t.dims.size() > 1) throw model_error("needs a vector of integers");
  return t.i;
}

std::optional<ConstTensor> fold_constant(const onnx::NodeProto& node, int opset, const Inputs& inputs) {
  const std::string& op = node.op_type();
  const NodeAttributes attrs(node);
  const auto in = [&](std::size_t i) -> const ConstTensor& { return need(inputs, i); };
  if (op == "Identity") return in(0);
  if (op == "Cast") return cast(in(0), attrs.get_int("to", 0));
  if (op == "Shape") return int_tensor(in(0).dims);
  if (op == "Size") return int_scalar(in(0).size());
  if (op == "Gather") return gather(in(0), in(1), attrs.get_int("axis", 0));
  if (op == "Concat") return concat(inputs, attrs.get_int("axis", 0));
  if (op == "Unsqueeze") return relabelled(in(0), unsqueezed(in(0).dims, axes_of(attrs, inputs).value_or(Dims{})));
  if (op == "Squeeze") return relabelled(in(0), squeezed(in(0).dims, axes_of(attrs, inputs)));
  if (op == "Reshape") {
    return relabelled(in(0), reshaped(in(0).dims, int_values(in(1)), attrs.get_int("allowzero", 0) != 0));
  }
  if (op == "Flatten") return relabelled(in(0), flattened(in(0).dims, attrs.get_int("axis", 1)));
  if (op == "Slice") return slice_node(attrs, opset, inputs);
  if (op == "Transpose") return transpose(in(0), attrs.get_ints("perm"));
  if (op == "ConstantOfShape") return constant_of_shape(attrs, in(0));
  if (op == "Range") return range(in(0), in(1), in(2));
  if (op == "Expand") return expand(in(0), in(1));
  if (op == "Where") return where(in(0), in(1), in(2));
  if (op == "ReduceProd") return reduce_prod(attrs, in(0));
  for (const char* name : {"Add", "Sub", "Mul", "Div", "Min", "Max", "Equal"}) {
    if (op == name && inputs.size() == 2) return binary(op, in(0), in(1));
  }
  for (const char* name : {"Neg", "Abs", "Sqrt", "Reciprocal", "Floor", "Ceil"}) {
    if (op == name) return unary(op, in(0));
  }
  return std::nullopt;
}

}  // namespace eqo
