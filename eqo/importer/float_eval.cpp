#include "eqo/importer/float_eval.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/importer/float_gemm.h"
#include "eqo/importer/passes.h"

namespace eqo {
namespace {

using Values = std::vector<float>;
using View = std::span<const float>;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }
Values zeros(const Shape& s) { return Values(at(s.size())); }

// The image with its zero padding written out.
Values padded(View in, const Shape& s, const Window& w, Shape& out) {
  out = {s.c, s.h + w.pad_top + w.pad_bottom, s.w + w.pad_left + w.pad_right};
  Values v = zeros(out);
  for (std::int64_t r = 0; r < s.c * s.h; ++r) {
    const std::int64_t to = (r / s.h * out.h + r % s.h + w.pad_top) * out.w + w.pad_left;
    std::memcpy(&v[at(to)], &in[at(r * s.w)], at(s.w) * sizeof(float));
  }
  return v;
}

// Output positions of one row of the output that lie in one panel.
struct Run {
  std::size_t to;     // first place in the panel
  std::int64_t from;  // their first pixel in the padded plane
  std::size_t count;
};

// The positions first .. first + count - 1 of the output, as runs.
std::vector<Run> panel_runs(std::int64_t first, std::int64_t count, const Shape& plane, const Shape& out,
                            const Window& w) {
  std::vector<Run> runs;
  for (std::int64_t p = first; p < first + count;) {
    const std::int64_t x = p % out.w;
    const std::int64_t n = std::min(out.w - x, first + count - p);
    runs.push_back({at(p - first), p / out.w * w.stride_h * plane.w + x * w.stride_w, at(n)});
    p += n;
  }
  return runs;
}

// panel[r][p] = the pixel under tap r of position p; r runs over (channel, row, column) of the filter.
void fill_panel(const float* planes, const Shape& plane, std::int64_t channels, const Window& w,
                const std::vector<Run>& runs, float* panel) {
  const auto stride = at(w.stride_w);
  for (std::int64_t c = 0; c < channels; ++c) {
    for (std::int64_t ky = 0; ky < w.kernel_h; ++ky) {
      for (std::int64_t kx = 0; kx < w.kernel_w; ++kx) {
        const float* tap = planes + (c * plane.h + ky * w.dilation_h) * plane.w + kx * w.dilation_w;
        for (const Run& run : runs) {
          const float* from = tap + run.from;
          float* to = panel + run.to;
          if (stride == 1) {
            std::memcpy(to, from, run.count * sizeof(float));
          } else {
            for (std::size_t i = 0; i < run.count; ++i) to[i] = from[i * stride];
          }
        }
        panel += kPanelWidth;
      }
    }
  }
}

Values conv(const FloatNode& node, const Shape& in, View x) {
  const Shape& out = node.shape;
  const Window& w = node.window;
  const std::int64_t positions = out.h * out.w;
  const std::int64_t channels = in.c / node.groups;
  const std::int64_t filters = out.c / node.groups;
  const std::size_t depth = at(channels * w.kernel_h * w.kernel_w);
  Shape plane = in;
  Values copy;
  if (w.pad_top + w.pad_left + w.pad_bottom + w.pad_right > 0) {
    copy = padded(x, in, w, plane);
    x = copy;
  }
  const bool direct = w == Window{};  // 1x1 over all pixels: the image is the panel
  Values y = zeros(out);
  Values panel(depth * kPanelWidth);
  Values part(at(filters) * kPanelWidth);
  for (std::int64_t first = 0; first < positions; first += static_cast<std::int64_t>(kPanelWidth)) {
    const std::int64_t count = std::min<std::int64_t>(positions - first, kPanelWidth);
    const bool full = count == static_cast<std::int64_t>(kPanelWidth);
    const std::vector<Run> runs = direct && full ? std::vector<Run>{} : panel_runs(first, count, plane, out, w);
    for (std::int64_t g = 0; g < node.groups; ++g) {
      const float* planes = x.data() + g * channels * plane.h * plane.w;
      const float* source = panel.data();
      std::size_t source_stride = kPanelWidth;
      if (direct && full) {
        source = planes + first;
        source_stride = at(positions);
      } else {
        fill_panel(planes, plane, channels, w, runs, panel.data());
      }
      float* to = y.data() + g * filters * positions + first;
      const float* weight = node.weight.data() + at(g * filters) * depth;
      const float* bias = node.bias.empty() ? nullptr : node.bias.data() + g * filters;
      if (full) {
        panel_gemm(weight, at(filters), depth, source, source_stride, bias, to, at(positions));
        continue;
      }
      panel_gemm(weight, at(filters), depth, source, source_stride, bias, part.data(), kPanelWidth);
      for (std::int64_t k = 0; k < filters; ++k) {
        std::copy_n(part.begin() + k * static_cast<std::int64_t>(kPanelWidth), count, to + k * positions);
      }
    }
  }
  return y;
}

Values linear(const FloatNode& node, View x) {
  constexpr std::size_t kLanes = 16;  // independent sums, which the compiler turns into vectors
  Values y = zeros(node.shape);
  const std::size_t n = x.size();
  for (std::size_t k = 0; k < y.size(); ++k) {
    const float* w = node.weight.data() + k * n;
    std::array<float, kLanes> sums{};
    std::size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
      for (std::size_t j = 0; j < kLanes; ++j) sums[j] += w[i + j] * x[i + j];
    }
    float sum = node.bias.empty() ? 0 : node.bias[k];
    for (const float s : sums) sum += s;
    for (; i < n; ++i) sum += w[i] * x[i];
    y[k] = sum;
  }
  return y;
}

Values pool(const FloatNode& node, const Shape& in, View x) {
  const Shape& out = node.shape;
  const Window& w = node.window;
  const bool max = node.op == FloatOp::kMaxPool;
  Values y = zeros(out);
  std::size_t next = 0;
  for (std::int64_t c = 0; c < out.c; ++c) {
    for (std::int64_t oy = 0; oy < out.h; ++oy) {
      for (std::int64_t ox = 0; ox < out.w; ++ox) {
        float best = -std::numeric_limits<float>::infinity();
        double sum = 0;
        std::int64_t count = 0;
        for (std::int64_t ky = 0; ky < w.kernel_h; ++ky) {
          const std::int64_t iy = oy * w.stride_h - w.pad_top + ky * w.dilation_h;
          if (iy < 0 || iy >= in.h) continue;
          for (std::int64_t kx = 0; kx < w.kernel_w; ++kx) {
            const std::int64_t ix = ox * w.stride_w - w.pad_left + kx * w.dilation_w;
            if (ix < 0 || ix >= in.w) continue;
            const float v = x[at((c * in.h + iy) * in.w + ix)];
            best = std::max(best, v);
            sum += static_cast<double>(v);
            ++count;
          }
        }
        if (node.count_include_pad) count = w.kernel_h * w.kernel_w;
        y[next++] = max ? best : static_cast<float>(sum / static_cast<double>(count));
      }
    }
  }
  return y;
}

Values batch_norm(const FloatNode& node, View x) {
  Values y(x.begin(), x.end());
  const std::size_t pixels = x.size() / node.scale.size();
  for (std::size_t c = 0; c < node.scale.size(); ++c) {
    const double gain = node.scale[c] / std::sqrt(static_cast<double>(node.variance[c]) + node.epsilon);
    const auto g = static_cast<float>(gain);
    const auto o = static_cast<float>(node.shift[c] - gain * node.mean[c]);
    for (std::size_t i = c * pixels; i < (c + 1) * pixels; ++i) y[i] = y[i] * g + o;
  }
  return y;
}

Values pad(const FloatNode& node, const Shape& in, View x) {
  const Shape& out = node.shape;
  Values y = zeros(out);
  for (std::int64_t r = 0; r < in.c * in.h; ++r) {
    const std::int64_t c = r / in.h + node.pad_before[0];
    const std::int64_t row = r % in.h + node.pad_before[1];
    std::memcpy(&y[at((c * out.h + row) * out.w + node.pad_before[2])], &x[at(r * in.w)], at(in.w) * sizeof(float));
  }
  return y;
}

Values slice(const FloatNode& node, const Shape& in, View x) {
  const Shape& out = node.shape;
  Values y = zeros(out);
  std::size_t next = 0;
  for (std::int64_t c = 0; c < out.c; ++c) {
    for (std::int64_t h = 0; h < out.h; ++h) {
      const std::int64_t row = (node.start[0] + c * node.step[0]) * in.h + node.start[1] + h * node.step[1];
      for (std::int64_t w = 0; w < out.w; ++w) y[next++] = x[at(row * in.w + node.start[2] + w * node.step[2])];
    }
  }
  return y;
}

Values concat(std::span<const View> inputs) {
  Values y;
  for (const View x : inputs) y.insert(y.end(), x.begin(), x.end());
  return y;
}

Values elementwise(const FloatNode& node, std::span<const View> inputs) {
  Values y(inputs[0].begin(), inputs[0].end());
  if (node.op == FloatOp::kAdd) {
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += inputs[1][i];
  } else if (node.op == FloatOp::kRelu) {
    for (float& v : y) v = v > 0 ? v : 0;
  } else if (node.op == FloatOp::kClip) {
    for (float& v : y) v = std::clamp(v, node.clip_lo, node.clip_hi);
  }
  return y;  // kInput, kReshape: as it is
}

}  // namespace

std::vector<float> evaluate_node(const FloatNode& node, std::span<const Shape> shapes, std::span<const View> inputs) {
  switch (node.op) {
    case FloatOp::kConv:
      return conv(node, shapes[0], inputs[0]);
    case FloatOp::kLinear:
      return linear(node, inputs[0]);
    case FloatOp::kBatchNorm:
      return batch_norm(node, inputs[0]);
    case FloatOp::kMaxPool:
    case FloatOp::kAvgPool:
      return pool(node, shapes[0], inputs[0]);
    case FloatOp::kPad:
      return pad(node, shapes[0], inputs[0]);
    case FloatOp::kSlice:
      return slice(node, shapes[0], inputs[0]);
    case FloatOp::kConcat:
      return concat(inputs);
    case FloatOp::kInput:
    case FloatOp::kRelu:
    case FloatOp::kClip:
    case FloatOp::kAdd:
    case FloatOp::kReshape:
      return elementwise(node, inputs);
  }
  throw internal_error("an operator the evaluator doesn't know");
}

FloatEvaluator::FloatEvaluator(FloatGraph graph) : graph_(std::move(graph)) {
  validate(graph_);
  last_use_.resize(graph_.nodes.size());
  for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
    last_use_[n] = n;
    for (const int i : graph_.nodes[n].inputs) last_use_[static_cast<std::size_t>(i)] = n;
  }
}

void FloatEvaluator::run(View image, const Observer& observe) const {
  if (static_cast<std::int64_t>(image.size()) != graph_.input_shape().size()) {
    throw usage_error("the model takes images of " + graph_.input_shape().to_string() + ", got " +
                      std::to_string(image.size()) + " numbers");
  }
  std::vector<Values> values(graph_.nodes.size());
  std::vector<Shape> shapes;
  std::vector<View> inputs;
  for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
    const FloatNode& node = graph_.nodes[n];
    shapes.clear();
    inputs.clear();
    for (const int i : node.inputs) {
      shapes.push_back(graph_.nodes[static_cast<std::size_t>(i)].shape);
      inputs.emplace_back(values[static_cast<std::size_t>(i)]);
    }
    if (n == 0) inputs.push_back(image);
    values[n] = evaluate_node(node, shapes, inputs);
    observe(static_cast<int>(n), values[n]);
    for (const int i : node.inputs) {
      if (last_use_[static_cast<std::size_t>(i)] == n) Values().swap(values[static_cast<std::size_t>(i)]);
    }
    if (last_use_[n] == n) Values().swap(values[n]);
  }
}

std::vector<float> FloatEvaluator::logits(View image) const {
  Values out;
  run(image, [&](int node, View values) {
    if (node == graph_.output) out.assign(values.begin(), values.end());
  });
  return out;
}

}  // namespace eqo
