#include "eqo/train/quant_ops.h"

#include <ATen/ATen.h>
#include <torch/autograd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

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
  static Tensor forward(AutogradContext* ctx, const Tensor& x, double constant, bool relu, std::int64_t shift,
                        double limit, double penalty) {
    ctx->save_for_backward({x});
    ctx->saved_data["constant"] = constant;
    ctx->saved_data["relu"] = relu;
    ctx->saved_data["shift"] = shift;
    ctx->saved_data["limit"] = limit;
    ctx->saved_data["penalty"] = penalty;
    Tensor out = at::empty_like(x);
    const float* from = x.data_ptr<float>();
    float* to = out.data_ptr<float>();
    const auto n = static_cast<std::size_t>(x.numel());
    const auto c = static_cast<std::int32_t>(constant), floor = relu ? 0 : INT32_MIN;
    for (std::size_t i = 0; i < n; ++i)
      to[i] = static_cast<float>(std::max(static_cast<std::int32_t>(from[i]) + c, floor) >> shift);
    return out;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const Tensor x = ctx->get_saved_variables()[0], g = laid_out_as(grads[0], x);
    const auto constant = static_cast<float>(ctx->saved_data["constant"].toDouble());
    const auto limit = static_cast<float>(ctx->saved_data["limit"].toDouble());
    const auto penalty = static_cast<float>(ctx->saved_data["penalty"].toDouble());
    const bool relu = ctx->saved_data["relu"].toBool();
    const float unit = 1.0F / static_cast<float>(std::int64_t{1} << ctx->saved_data["shift"].toInt());
    const float pull = limit > 0 ? penalty / (limit * limit) : 0.0F;
    const float least = relu ? 0.0F : -0x1p30F;
    Tensor out = at::empty_like(x);
    const float* value = x.data_ptr<float>();
    const float* from = g.data_ptr<float>();
    float* to = out.data_ptr<float>();
    const auto n = static_cast<std::size_t>(x.numel());
    for (std::size_t i = 0; i < n; ++i) {
      const float v = value[i] + constant;
      const float excess = std::max(v - limit, 0.0F) + std::min(v + limit, 0.0F);
      to[i] = (v > least ? from[i] * unit : 0.0F) + pull * excess;
    }
    return {out, Tensor(), Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

// [4 outputs * 16 pixels][16 taps]: what a tap's weight contributes to the effective kernel of one output of a tile.
const Tensor& effective_kernels() {
  static const Tensor matrix = [] {
    constexpr std::array<std::array<float, 4>, 4> kB = {{{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}}};
    constexpr std::array<std::array<float, 4>, 2> kA = {{{1, 1, 1, 0}, {0, 1, -1, -1}}};
    Tensor m = at::empty({4 * 16, 16}, at::kFloat);
    float* to = m.data_ptr<float>();
    for (std::size_t rs = 0; rs < 4; ++rs)
      for (std::size_t ij = 0; ij < 16; ++ij)
        for (std::size_t pq = 0; pq < 16; ++pq)
          *to++ = kA[rs / 2][pq / 4] * kB[pq / 4][ij / 4] * kA[rs % 2][pq % 4] * kB[pq % 4][ij % 4];
    return m;
  }();
  return matrix;
}

}  // namespace

Tensor round_to_levels(const Tensor& v, const std::vector<std::vector<float>>& levels) {
  return RoundToLevels::apply(v.contiguous(), &levels);
}

Tensor round_to_integer(const Tensor& x) { return RoundToInteger::apply(x); }

Tensor requantize(const Tensor& x, const Requantization& how) {
  const Tensor dense = x.is_non_overlapping_and_dense() ? x : x.contiguous(at::MemoryFormat::ChannelsLast);
  return Requantize::apply(dense, static_cast<double>(how.constant), how.relu, static_cast<std::int64_t>(how.shift),
                           static_cast<double>(how.limit), static_cast<double>(how.penalty));
}

Tensor winograd_convolution(const Tensor& x, const Tensor& u, const Tensor& bias, const Window& w) {
  const std::int64_t n = x.size(0), channels = x.size(1), filters = bias.size(0);
  const std::int64_t h = w.out_h(x.size(2)), width = w.out_w(x.size(3)), rows = (h + 1) / 2, columns = (width + 1) / 2;
  const Tensor kernels = at::matmul(effective_kernels(), u)
                             .reshape({4, 16, filters, channels})
                             .permute({0, 2, 3, 1})
                             .reshape({4 * filters, channels, 4, 4})
                             .contiguous(at::MemoryFormat::ChannelsLast);
  const Tensor padded =
      at::constant_pad_nd(
          x, {w.pad_left, 2 * columns + 2 - x.size(3) - w.pad_left, w.pad_top, 2 * rows + 2 - x.size(2) - w.pad_top}, 0)
          .contiguous(at::MemoryFormat::ChannelsLast);
  const Tensor tiles = at::conv2d(padded, kernels, bias.repeat({4}), {2, 2});
  // The pixel shuffle, in channels-last memory: rows of K values stay together.
  const Tensor y = tiles.permute({0, 2, 3, 1})
                       .reshape({n, rows, columns, 2, 2, filters})
                       .permute({0, 1, 3, 2, 4, 5})
                       .reshape({n, 2 * rows, 2 * columns, filters})
                       .permute({0, 3, 1, 2});
  if (2 * rows == h && 2 * columns == width) return y;
  return y.slice(2, 0, h).slice(3, 0, width).contiguous(at::MemoryFormat::ChannelsLast);
}

}  // namespace eqo
