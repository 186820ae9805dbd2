#include "eqo/kernels/layout.h"

#include <algorithm>
#include <string>

#include "eqo/core/error.h"

namespace eqo {
namespace {

constexpr std::int64_t kMaxExtent = std::int64_t{1} << 24;

std::array<std::int64_t, 3> axes(const Shape& s) { return {s.c, s.h, s.w}; }

void check_length(std::span<const Word> x, std::size_t batch, const Shape& s, const char* what) {
  if (x.size() != batch * static_cast<std::size_t>(s.size()))
    throw internal_error(std::string(what) + ": the input does not fit the shape");
}

Shape bounded(const std::array<std::int64_t, 3>& n, const Shape& in, const char* what) {
  std::int64_t left = std::int64_t{1} << 40;
  for (const std::int64_t v : n) {
    if (v < 1 || v > kMaxExtent) left = 0;
    if (left > 0) left /= v;
  }
  if (left == 0)
    throw model_error(std::string(what) + " of " + in.to_string() + ": the result is empty or too large",
                      "check the layer's attributes and input size");
  return {n[0], n[1], n[2]};
}

}  // namespace

Shape slice_shape(const Shape& in, const Slices& slices) {
  std::array<std::int64_t, 3> n{};
  const auto size = axes(in);
  for (std::size_t a = 0; a < 3; ++a) {
    const Slice& s = slices[a];
    n[a] = s.count;
    const bool small = s.count >= 1 && s.count <= size[a] && s.step >= -kMaxExtent && s.step <= kMaxExtent &&
                       s.start >= 0 && s.start < size[a];
    const std::int64_t last = small ? s.start + (s.count - 1) * s.step : -1;
    if (last < 0 || last >= size[a])
      throw model_error("slice of " + in.to_string() + ": it reaches outside", "check the layer's starts and ends");
  }
  return bounded(n, in, "slice");
}

Words slice(const Shape& in, const Slices& s, std::size_t batch, std::span<const Word> x) {
  check_length(x, batch, in, "slice");
  const Shape out = slice_shape(in, s);
  Words y(batch * static_cast<std::size_t>(out.size()));
  Word* to = y.data();
  for (std::size_t n = 0; n < batch; ++n) {
    const Word* image = x.data() + n * static_cast<std::size_t>(in.size());
    for (std::int64_t c = 0; c < out.c; ++c)
      for (std::int64_t i = 0; i < out.h; ++i) {
        const Word* row = image + ((s[0].start + c * s[0].step) * in.h + s[1].start + i * s[1].step) * in.w;
        for (std::int64_t j = 0; j < out.w; ++j) *to++ = row[s[2].start + j * s[2].step];
      }
  }
  return y;
}

Shape pad_shape(const Shape& in, const Margins& margins) {
  std::array<std::int64_t, 3> n = axes(in);
  for (std::size_t a = 0; a < 3; ++a) {
    for (const std::int64_t m : {margins[a].before, margins[a].after})
      if (m < -kMaxExtent || m > kMaxExtent) n[a] = 0;
    if (n[a] > 0) n[a] += margins[a].before + margins[a].after;
  }
  return bounded(n, in, "padding");
}

Words pad(const Shape& in, const Margins& m, std::size_t batch, std::span<const Word> x, Word fill) {
  check_length(x, batch, in, "pad");
  const Shape out = pad_shape(in, m);
  Words y(batch * static_cast<std::size_t>(out.size()));
  std::fill(y.begin(), y.end(), fill);
  // The part of each axis that survives, in input coordinates.
  auto first = [&](std::size_t a) { return std::max<std::int64_t>(0, -m[a].before); };
  auto last = [&](std::size_t a, std::int64_t size) { return std::min(size, size + m[a].after); };
  for (std::size_t n = 0; n < batch; ++n) {
    const Word* from = x.data() + n * static_cast<std::size_t>(in.size());
    Word* to = y.data() + n * static_cast<std::size_t>(out.size());
    for (std::int64_t c = first(0); c < last(0, in.c); ++c)
      for (std::int64_t i = first(1); i < last(1, in.h); ++i)
        for (std::int64_t j = first(2); j < last(2, in.w); ++j)
          to[((c + m[0].before) * out.h + i + m[1].before) * out.w + j + m[2].before] = from[(c * in.h + i) * in.w + j];
  }
  return y;
}

Shape concat_shape(std::span<const Shape> in) {
  if (in.empty()) throw model_error("concatenation of nothing");
  Shape out{0, in[0].h, in[0].w};
  for (const Shape& s : in) {
    if (s.h != out.h || s.w != out.w)
      throw model_error("concatenation of " + in[0].to_string() + " and " + s.to_string() + ": the sizes differ");
    if (s.c < 1 || s.c > kMaxExtent || out.c > kMaxExtent) throw model_error("concatenation: too many channels");
    out.c += s.c;
  }
  return bounded(axes(out), in[0], "concatenation");
}

Words concat(std::span<const Shape> in, std::size_t batch, std::span<const std::span<const Word>> x) {
  const Shape out = concat_shape(in);
  if (x.size() != in.size()) throw internal_error("concat: as many inputs as shapes are needed");
  for (std::size_t i = 0; i < in.size(); ++i) check_length(x[i], batch, in[i], "concat");
  Words y(batch * static_cast<std::size_t>(out.size()));
  Word* to = y.data();
  for (std::size_t n = 0; n < batch; ++n)
    for (std::size_t i = 0; i < in.size(); ++i) {
      const auto size = static_cast<std::size_t>(in[i].size());
      to = std::copy_n(x[i].data() + n * size, size, to);
    }
  return y;
}

}  // namespace eqo
