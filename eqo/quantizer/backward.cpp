#include "eqo/quantizer/backward.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string>

#include "eqo/core/error.h"
#include "eqo/core/thread_pool.h"
#include "eqo/quantizer/conv_batch.h"
#include "eqo/quantizer/gemm.h"
#include "eqo/quantizer/graph_analysis.h"

namespace eqo::quant {
namespace {

using Matrix = PackedMatrix<float>;

ConvSpec spec_of(const FloatNode& node) {
  return {linear_window(node), node.op == FloatOp::kLinear ? 1 : node.groups, node.shape.c};
}

// Adds a matrix of columns, as batch_columns() makes it of one image, back to the places its values came from.
void add_columns(const float* columns, std::size_t ld, const ConvSpec& spec, std::int64_t group, const Shape& in,
                 float* image) {
  const Window& win = spec.window;
  const std::int64_t oh = win.out_h(in.h), ow = win.out_w(in.w), channels = in.c / spec.groups;
  for (std::int64_t c = 0; c < channels; ++c)
    for (std::int64_t i = 0; i < win.kernel_h; ++i)
      for (std::int64_t j = 0; j < win.kernel_w; ++j, columns += ld) {
        float* plane = image + (group * channels + c) * in.h * in.w;
        for (std::int64_t y = 0; y < oh; ++y) {
          const std::int64_t r = y * win.stride_h - win.pad_top + i * win.dilation_h;
          if (r < 0 || r >= in.h) continue;
          for (std::int64_t z = 0; z < ow; ++z) {
            const std::int64_t s = z * win.stride_w - win.pad_left + j * win.dilation_w;
            if (s >= 0 && s < in.w) plane[r * in.w + s] += columns[y * ow + z];
          }
        }
      }
}

void conv_backward(const FloatNode& node, const Shape& in, const FloatBatch& gradient, FloatBatch& into,
                   ThreadPool& pool) {
  const ConvSpec spec = spec_of(node);
  const auto groups = static_cast<std::size_t>(spec.groups), rows = static_cast<std::size_t>(spec.filters) / groups;
  const std::size_t inner = node.weight.size() / (rows * groups);
  const auto positions = static_cast<std::size_t>(gradient.shape.h * gradient.shape.w);
  std::vector<Matrix> transposed;
  for (std::size_t g = 0; g < groups; ++g) {
    std::vector<float> t(inner * rows);
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t i = 0; i < inner; ++i) t[i * rows + r] = node.weight[(g * rows + r) * inner + i];
    transposed.emplace_back(t, inner, rows);
  }
  const std::size_t ld = Matrix::padded_cols(positions);
  pool.parallel_for(gradient.count, 1, [&](std::size_t begin, std::size_t end) {
    std::vector<float> g(rows * ld, 0.0F), columns(transposed.front().padded_rows() * ld);
    for (std::size_t n = begin; n < end; ++n)
      for (std::size_t group = 0; group < groups; ++group) {
        for (std::size_t r = 0; r < rows; ++r)
          std::copy_n(gradient.image(n) + (group * rows + r) * positions, positions, g.data() + r * ld);
        transposed[group].multiply(g, ld, columns);
        add_columns(columns.data(), ld, spec, static_cast<std::int64_t>(group), in, into.image(n));
      }
  });
}

void pool_backward(const FloatNode& node, const FloatBatch& x, const FloatBatch& output, const FloatBatch& gradient,
                   FloatBatch& into) {
  const Window& w = node.window;
  const Shape in = x.shape, out = gradient.shape;
  const bool maximum = node.op == FloatOp::kMaxPool;
  const float share = 1.0F / static_cast<float>(w.kernel_h * w.kernel_w);
  for (std::size_t n = 0; n < x.count; ++n)
    for (std::int64_t c = 0; c < out.c; ++c) {
      const float* plane = x.image(n) + c * in.h * in.w;
      float* to = into.image(n) + c * in.h * in.w;
      for (std::int64_t y = 0; y < out.h; ++y)
        for (std::int64_t z = 0; z < out.w; ++z) {
          const std::int64_t o = (c * out.h + y) * out.w + z;
          const float g = gradient.image(n)[o], most = output.image(n)[o];
          bool found = false;  // the first maximum takes all
          for (std::int64_t i = 0; i < w.kernel_h; ++i)
            for (std::int64_t j = 0; j < w.kernel_w; ++j) {
              const std::int64_t r = y * w.stride_h - w.pad_top + i * w.dilation_h;
              const std::int64_t s = z * w.stride_w - w.pad_left + j * w.dilation_w;
              if (r < 0 || r >= in.h || s < 0 || s >= in.w) continue;
              if (!maximum) {
                to[r * in.w + s] += g * share;
              } else if (!found && plane[r * in.w + s] == most) {
                to[r * in.w + s] += g;
                found = true;
              }
            }
        }
    }
}

void add_to(FloatBatch& into, const FloatBatch& gradient) {
  for (std::size_t i = 0; i < into.data.size(); ++i) into.data[i] += gradient.data[i];
}

// Calls move(index in the small tensor, index in the large one) for elements start + step * (c, h, w) of the large one;
// outside of it nothing.
template <class Move>
void for_each_place(const Shape& small, const Shape& large, const std::array<std::int64_t, 3>& start,
                    const std::array<std::int64_t, 3>& step, Move move) {
  std::int64_t at = 0;
  for (std::int64_t c = 0; c < small.c; ++c)
    for (std::int64_t h = 0; h < small.h; ++h)
      for (std::int64_t w = 0; w < small.w; ++w, ++at) {
        const std::int64_t lc = start[0] + step[0] * c, lh = start[1] + step[1] * h, lw = start[2] + step[2] * w;
        if (lc >= 0 && lc < large.c && lh >= 0 && lh < large.h && lw >= 0 && lw < large.w)
          move(at, (lc * large.h + lh) * large.w + lw);
      }
}

}  // namespace

void backpropagate(const FloatNode& node, std::span<const FloatBatch* const> inputs, const FloatBatch& output,
                   const FloatBatch& gradient, std::span<FloatBatch* const> into, ThreadPool& pool) {
  if (inputs.size() != into.size() || inputs.empty()) throw internal_error("reverse pass: inputs don't fit");
  const FloatBatch& x = *inputs[0];
  FloatBatch* const to = into[0];
  switch (node.op) {
    case FloatOp::kConv:
    case FloatOp::kLinear:
      if (to != nullptr) conv_backward(node, x.shape, gradient, *to, pool);
      return;
    case FloatOp::kRelu:
    case FloatOp::kClip: {
      if (to == nullptr) return;
      const float lo = node.op == FloatOp::kRelu ? 0.0F : node.clip_lo;
      const float hi = node.op == FloatOp::kRelu ? std::numeric_limits<float>::infinity() : node.clip_hi;
      for (std::size_t i = 0; i < x.data.size(); ++i)
        if (x.data[i] > lo && x.data[i] < hi) to->data[i] += gradient.data[i];
      return;
    }
    case FloatOp::kMaxPool:
    case FloatOp::kAvgPool:
      if (to != nullptr) pool_backward(node, x, output, gradient, *to);
      return;
    case FloatOp::kAdd:
      for (FloatBatch* t : into)
        if (t != nullptr) add_to(*t, gradient);
      return;
    case FloatOp::kConcat: {
      std::size_t first = 0;
      for (std::size_t k = 0; k < inputs.size(); ++k) {
        const std::size_t size = inputs[k]->stride();
        for (std::size_t n = 0; into[k] != nullptr && n < gradient.count; ++n)
          for (std::size_t i = 0; i < size; ++i) into[k]->image(n)[i] += gradient.image(n)[first + i];
        first += size;
      }
      return;
    }
    case FloatOp::kReshape:
      if (to != nullptr) add_to(*to, gradient);
      return;
    case FloatOp::kPad:
    case FloatOp::kSlice: {
      if (to == nullptr) return;
      const bool pad = node.op == FloatOp::kPad;
      for (std::size_t n = 0; n < gradient.count; ++n) {
        const float* g = gradient.image(n);
        float* t = to->image(n);
        if (pad) {
          for_each_place(x.shape, gradient.shape, node.pad_before, {1, 1, 1},
                         [&](std::int64_t small, std::int64_t large) { t[small] += g[large]; });
        } else {
          for_each_place(gradient.shape, x.shape, node.start, node.step,
                         [&](std::int64_t small, std::int64_t large) { t[large] += g[small]; });
        }
      }
      return;
    }
    case FloatOp::kInput:
    case FloatOp::kBatchNorm:
      break;
  }
  throw internal_error(std::string("no reverse pass through a ") + float_op_name(node.op));
}

std::vector<float> weight_gradient(const FloatNode& node, const FloatBatch& input, const FloatBatch& gradient,
                                   std::size_t n) {
  const ConvSpec spec = spec_of(node);
  const auto groups = static_cast<std::size_t>(spec.groups), rows = static_cast<std::size_t>(spec.filters) / groups;
  const std::size_t inner = node.weight.size() / (rows * groups);
  const auto positions = static_cast<std::size_t>(gradient.shape.h * gradient.shape.w);
  const std::size_t ld = Matrix::padded_cols(inner);
  std::vector<float> columns(inner * positions), transposed(positions * ld, 0.0F), out(node.weight.size());
  for (std::size_t group = 0; group < groups; ++group) {
    batch_columns(input, spec, static_cast<std::int64_t>(group), n, 1, positions, columns.data());
    for (std::size_t i = 0; i < inner; ++i)
      for (std::size_t p = 0; p < positions; ++p) transposed[p * ld + i] = columns[i * positions + p];
    const std::span<const float> part(gradient.image(n) + group * rows * positions, rows * positions);
    const Matrix g(part, rows, positions);
    std::vector<float> product(g.padded_rows() * ld);
    g.multiply(transposed, ld, product);
    for (std::size_t r = 0; r < rows; ++r)
      std::copy_n(product.data() + r * ld, inner, out.data() + (group * rows + r) * inner);
  }
  return out;
}

std::vector<float> winograd_gradient(const FloatNode& node, const FloatBatch& input, const FloatBatch& gradient,
                                     std::size_t n) {
  // Y = A^T M A on a tile, so that the gradient at M is A G A^T.
  static constexpr float kOutputs[2][4] = {{1, 1, 1, 0}, {0, 1, -1, -1}};
  const Shape out = gradient.shape;
  const auto filters = static_cast<std::size_t>(out.c), channels = static_cast<std::size_t>(input.shape.c);
  const std::int64_t per_row = (out.w + 1) / 2;
  const auto tiles = static_cast<std::size_t>(winograd_tile_count(out.h, out.w));
  std::vector<float> v(16 * channels * tiles), m(16 * filters * tiles), result(16 * filters * channels);
  winograd_tiles(input.image(n), input.shape, linear_window(node), v.data(), tiles);
  for (std::size_t k = 0; k < filters; ++k)
    for (std::size_t t = 0; t < tiles; ++t) {
      const std::int64_t y = static_cast<std::int64_t>(t) / per_row * 2, z = static_cast<std::int64_t>(t) % per_row * 2;
      for (std::size_t i = 0; i < 4; ++i)
        for (std::size_t j = 0; j < 4; ++j) {
          float sum = 0;
          for (std::int64_t a = 0; a < 2 && y + a < out.h; ++a)
            for (std::int64_t b = 0; b < 2 && z + b < out.w; ++b)
              sum += kOutputs[a][i] * kOutputs[b][j] *
                     gradient.image(n)[(static_cast<std::int64_t>(k) * out.h + y + a) * out.w + z + b];
          m[((4 * i + j) * filters + k) * tiles + t] = sum;
        }
    }
  const std::size_t ld = Matrix::padded_cols(channels);
  std::vector<float> transposed(tiles * ld, 0.0F);
  for (std::size_t tap = 0; tap < 16; ++tap) {
    for (std::size_t c = 0; c < channels; ++c)
      for (std::size_t t = 0; t < tiles; ++t) transposed[t * ld + c] = v[(tap * channels + c) * tiles + t];
    const std::span<const float> gradients(m);
    const Matrix g(gradients.subspan(tap * filters * tiles, filters * tiles), filters, tiles);
    std::vector<float> product(g.padded_rows() * ld);
    g.multiply(transposed, ld, product);
    for (std::size_t k = 0; k < filters; ++k)
      std::copy_n(product.data() + k * ld, channels, result.data() + (tap * filters + k) * channels);
  }
  return result;
}

}  // namespace eqo::quant
