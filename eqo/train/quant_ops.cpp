#include "eqo/train/quant_ops.h"

#include <ATen/ATen.h>
#include <torch/autograd.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "eqo/train/requantize_kernel.h"
#include "eqo/train/torch_util.h"
#include "eqo/train/winograd_kernel.h"

namespace eqo {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// `t` with the memory layout of `like`.
Tensor laid_out_as(const Tensor& t, const Tensor& like) {
  if (t.strides() == like.strides()) return t;
  return at::empty_like(like).copy_(t);
}

std::size_t nearest(const std::vector<float>& levels, float v) {
  const auto above = std::lower_bound(levels.begin(), levels.end(), v);
  if (above == levels.begin()) return 0;
  if (above == levels.end()) return levels.size() - 1;
  const auto i = static_cast<std::size_t>(above - levels.begin());
  return v - levels[i - 1] < levels[i] - v ? i - 1 : i;
}

class RoundToLevels : public torch::autograd::Function<RoundToLevels> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& v, const std::vector<std::vector<float>>* levels) {
    Tensor out = at::empty_like(v), side = at::empty_like(v);
    const auto n = static_cast<std::size_t>(v.numel()) / levels->size();
    const float* from = v.data_ptr<float>();
    float* to = out.data_ptr<float>();
    float* beyond = side.data_ptr<float>();
    for (std::size_t tap = 0; tap < levels->size(); ++tap) {
      const std::vector<float>& l = (*levels)[tap];
      for (std::size_t j = tap * n; j < (tap + 1) * n; ++j) {
        to[j] = l[nearest(l, from[j])];
        beyond[j] = from[j] < l.front() ? -1.0F : from[j] > l.back() ? 1.0F : 0.0F;
      }
    }
    ctx->save_for_backward({side});
    return out;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const Tensor side = ctx->get_saved_variables()[0];
    return {at::where(side.mul(grads[0]).lt(0), at::zeros_like(side), grads[0]), Tensor()};
  }
};

class RoundToInteger : public torch::autograd::Function<RoundToInteger> {
 public:
  static Tensor forward(AutogradContext*, const Tensor& x) { return at::round(x); }
  static variable_list backward(AutogradContext*, variable_list grads) { return grads; }
};

class Requantize : public torch::autograd::Function<Requantize> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Requantization& how) {
    ctx->save_for_backward({x});
    ctx->saved_data["how"] = std::vector<double>{how.constant, how.limit, how.penalty};
    ctx->saved_data["relu"] = how.relu;
    ctx->saved_data["shift"] = static_cast<std::int64_t>(how.shift);
    Tensor out = at::empty_like(x);
    requantize_values(how, static_cast<std::size_t>(x.numel()), x.data_ptr<float>(), out.data_ptr<float>());
    return out;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const Tensor x = ctx->get_saved_variables()[0], dy = laid_out_as(grads[0], x);
    const std::vector<double> reals = ctx->saved_data["how"].toDoubleVector();
    const Requantization how{static_cast<float>(reals[0]), ctx->saved_data["relu"].toBool(),
                             static_cast<unsigned>(ctx->saved_data["shift"].toInt()), static_cast<float>(reals[1]),
                             static_cast<float>(reals[2])};
    Tensor dx = at::empty_like(x);
    requantize_gradient(how, static_cast<std::size_t>(x.numel()), x.data_ptr<float>(), dy.data_ptr<float>(),
                        dx.data_ptr<float>());
    return {dx, Tensor()};
  }
};

WinogradShape winograd_shape(const Tensor& x, std::int64_t out_h, std::int64_t out_w, std::int64_t pad_top,
                             std::int64_t pad_left, std::int64_t filters) {
  const auto size = [](std::int64_t n) { return static_cast<std::size_t>(n); };
  return {size(x.size(0)), size(x.size(2)), size(x.size(3)), size(x.size(1)), size(out_h),
          size(out_w),     size(filters),   size(pad_top),   size(pad_left)};
}

class Winograd : public torch::autograd::Function<Winograd> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& u, const Tensor& bias,
                        const WinogradShape& shape) {
    const auto size = [](std::size_t n) { return static_cast<std::int64_t>(n); };
    ctx->save_for_backward({x, u});
    ctx->saved_data["shape"] = std::vector<std::int64_t>{size(shape.out_height), size(shape.out_width),
                                                         size(shape.pad_top), size(shape.pad_left), bias.size(0)};
    Tensor y = at::empty({x.size(0), bias.size(0), size(shape.out_height), size(shape.out_width)}, at::kFloat,
                         at::MemoryFormat::ChannelsLast);
    winograd_forward(shape, x.data_ptr<float>(), u.data_ptr<float>(), bias.data_ptr<float>(), y.data_ptr<float>());
    return y;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor &x = saved[0], &u = saved[1];
    const std::vector<std::int64_t> s = ctx->saved_data["shape"].toIntVector();
    const Tensor dy = grads[0].contiguous(at::MemoryFormat::ChannelsLast);
    Tensor dx;
    if (ctx->needs_input_grad(0)) dx = at::empty_like(x);
    const WinogradGradients g =
        winograd_backward(winograd_shape(x, s[0], s[1], s[2], s[3], s[4]), x.data_ptr<float>(), u.data_ptr<float>(),
                          dy.data_ptr<float>(), dx.defined() ? dx.data_ptr<float>() : nullptr);
    return {dx, from_values(g.u, u.sizes(), "weights"), from_values(g.bias, {s[4]}, "bias"), Tensor()};
  }
};

}  // namespace

Tensor round_to_levels(const Tensor& v, const std::vector<std::vector<float>>& levels) {
  return RoundToLevels::apply(v.contiguous(), &levels);
}

Tensor round_to_integer(const Tensor& x) { return RoundToInteger::apply(x); }

Tensor requantize(const Tensor& x, const Requantization& how) {
  const Tensor dense = x.is_non_overlapping_and_dense() ? x : x.contiguous(at::MemoryFormat::ChannelsLast);
  return Requantize::apply(dense, how);
}

Tensor winograd_convolution(const Tensor& x, const Tensor& u, const Tensor& bias, const Window& w) {
  const Tensor dense = x.contiguous(at::MemoryFormat::ChannelsLast);
  return Winograd::apply(
      dense, u.contiguous(), bias.contiguous(),
      winograd_shape(dense, w.out_h(x.size(2)), w.out_w(x.size(3)), w.pad_top, w.pad_left, bias.size(0)));
}

}  // namespace eqo
