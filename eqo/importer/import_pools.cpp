#include <onnx/onnx_pb.h>

#include <algorithm>
#include <array>
#include <string>

#include "eqo/core/error.h"
#include "eqo/importer/import_context.h"

namespace eqo {
namespace {

// One spatial axis of a window.
struct Axis {
  std::int64_t kernel, stride, dilation, before, after;
  bool extended = false;  // `after` was made larger for ceil_mode
};

constexpr std::int64_t kMaxExtent = std::int64_t{1} << 24;

void check_extent(std::int64_t value, std::int64_t low, const char* what) {
  if (value < low || value > kMaxExtent) {
    throw model_error(std::string("its ") + what + " of " + std::to_string(value) + " is out of range");
  }
}

void pad_same(Axis& a, std::int64_t size, bool upper) {
  const std::int64_t out = (size - 1) / a.stride + 1;
  const std::int64_t total = std::max<std::int64_t>(0, (out - 1) * a.stride + a.dilation * (a.kernel - 1) + 1 - size);
  a.before = upper ? total / 2 : total - total / 2;
  a.after = total - a.before;
}

// ceil_mode: the last window may start inside of the image or the padding before it, and reach beyond its end.
void extend(Axis& a, std::int64_t size) {
  const std::int64_t extent = a.dilation * (a.kernel - 1) + 1;
  const std::int64_t span = size + a.before + a.after - extent;
  if (span < 0) return;
  std::int64_t last = (span + a.stride - 1) / a.stride;
  if (last * a.stride >= size + a.before) --last;
  if (last > span / a.stride) {
    a.after = last * a.stride + extent - size - a.before;
    a.extended = true;
  }
}

std::array<Axis, 2> read_axes(const NodeContext& c, const Dims& kernel, const Shape& in, bool ceil) {
  const NodeAttributes& attrs = c.attrs();
  const Dims strides = attrs.get_ints("strides", {1, 1});
  const Dims dilations = attrs.get_ints("dilations", {1, 1});
  const Dims pads = attrs.get_ints("pads", {0, 0, 0, 0});
  if (kernel.size() != 2 || strides.size() != 2 || dilations.size() != 2 || pads.size() != 4) {
    throw model_error("only two-dimensional windows are supported");
  }
  const std::string mode = attrs.get_string("auto_pad", "NOTSET");
  const std::int64_t size[2] = {in.h, in.w};
  std::array<Axis, 2> axes{};
  for (std::size_t i = 0; i < 2; ++i) {
    Axis& a = axes[i];
    a = {kernel[i], strides[i], dilations[i], pads[i], pads[i + 2]};
    check_extent(a.kernel, 1, "kernel size");
    check_extent(a.stride, 1, "stride");
    check_extent(a.dilation, 1, "dilation");
    check_extent(a.before, 0, "padding");
    check_extent(a.after, 0, "padding");
    if (mode == "SAME_UPPER" || mode == "SAME_LOWER") {
      pad_same(a, size[i], mode == "SAME_UPPER");
    } else if (mode == "VALID") {
      a.before = a.after = 0;
    } else if (mode != "NOTSET" && !mode.empty()) {
      throw model_error("an auto_pad that ONNX doesn't define");
    }
    if (ceil) extend(a, size[i]);
  }
  return axes;
}

Window window_of(const std::array<Axis, 2>& a) {
  return {a[0].kernel, a[1].kernel, a[0].stride, a[1].stride,   a[0].before,
          a[1].before, a[0].after,  a[1].after,  a[0].dilation, a[1].dilation};
}

void add_pool(NodeContext& c, FloatOp op, int input, const Window& window, bool count_include_pad) {
  FloatNode node;
  node.op = op;
  node.inputs = {input};
  node.window = window;
  node.count_include_pad = count_include_pad;
  const int out = c.add(std::move(node));
  const Shape s = c.builder().shape(out);
  c.set_activation(out, {1, s.c, s.h, s.w});
}

void global_pool(NodeContext& c, FloatOp op) {
  const int input = c.images(0, 4);
  const Shape in = c.builder().shape(input);
  add_pool(c, op, input, Window{.kernel_h = in.h, .kernel_w = in.w}, false);
}

void reduce(NodeContext& c, FloatOp op) {
  const ImportValue& x = c.activation(0);
  const Dims axes = c.has_input(1) ? *c.optional_ints(1) : c.attrs().get_ints("axes");
  if (axes.empty() && c.attrs().get_int("noop_with_empty_axes", 0) != 0) return c.set_output(x);
  if ((x.dims.size() != 4 && x.dims.size() != 3) || x.dims[0] != 1)
    throw model_error("needs an image and a batch of 1");
  const Shape in = c.builder().shape(x.node);
  Window window;
  Dims kept = x.dims;
  bool ok = !axes.empty();
  for (const std::int64_t a : axes) {
    const std::size_t axis = normal_axis(a, x.dims.size());
    kept[axis] = 1;
    if (axis == 2) window.kernel_h = in.h;
    if (axis == 3) window.kernel_w = in.w;
    ok = ok && axis >= 2;
  }
  if (!ok) throw model_error("only the spatial axes can be reduced");
  FloatNode node;
  node.op = op;
  node.inputs = {x.node};
  node.window = window;
  ImportValue out = x;
  out.node = c.add(std::move(node));
  out.dims = kept;
  if (c.attrs().get_int("keepdims", 1) == 0) {
    kept = squeezed(kept, axes);
  }
  c.set_relabelled(out, kept);
}

}  // namespace

Window read_window(const NodeContext& c, const Dims& kernel, const Shape& in) {
  return window_of(read_axes(c, kernel, in, false));
}

void import_max_pool(NodeContext& c) {
  const int input = c.images(0, 4);
  const Shape in = c.builder().shape(input);
  const bool ceil = c.attrs().get_int("ceil_mode", 0) != 0;
  add_pool(c, FloatOp::kMaxPool, input, window_of(read_axes(c, c.attrs().get_ints("kernel_shape"), in, ceil)), false);
}

void import_average_pool(NodeContext& c) {
  int input = c.images(0, 4);
  const Shape in = c.builder().shape(input);
  const bool ceil = c.attrs().get_int("ceil_mode", 0) != 0;
  bool include = c.attrs().get_int("count_include_pad", 0) != 0;
  const Dims kernel = c.attrs().get_ints("kernel_shape");
  std::array<Axis, 2> axes = read_axes(c, kernel, in, ceil);
  if (include && (axes[0].extended || axes[1].extended)) {
    // The padding counts, what ceil_mode adds doesn't: make the padding part of the image.
    const std::array<Axis, 2> plain = read_axes(c, kernel, in, false);
    FloatNode pad;
    pad.op = FloatOp::kPad;
    pad.inputs = {input};
    for (std::size_t i = 0; i < 2; ++i) {
      pad.pad_before[i + 1] = plain[i].before;
      pad.pad_after[i + 1] = plain[i].after;
      axes[i].before = 0;
      axes[i].after = std::max<std::int64_t>(0, axes[i].after - plain[i].after);
    }
    input = c.add(std::move(pad), "/pad");
    include = false;
  }
  add_pool(c, FloatOp::kAvgPool, input, window_of(axes), include);
}

void import_global_average_pool(NodeContext& c) { global_pool(c, FloatOp::kAvgPool); }
void import_global_max_pool(NodeContext& c) { global_pool(c, FloatOp::kMaxPool); }
void import_reduce_mean(NodeContext& c) { reduce(c, FloatOp::kAvgPool); }
void import_reduce_max(NodeContext& c) { reduce(c, FloatOp::kMaxPool); }

}  // namespace eqo
