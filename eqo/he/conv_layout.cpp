#include "eqo/he/conv_layout.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>

#include "eqo/core/bits.h"
#include "eqo/core/error.h"

namespace eqo {
namespace {

std::uint64_t u64(std::int64_t x) { return static_cast<std::uint64_t>(x); }
constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return a >= 0 ? (a + b - 1) / b : -(-a / b); }
constexpr std::uint64_t chunks(std::uint64_t n, std::uint64_t of) { return (n + of - 1) / of; }
// The smallest chunk that makes no more chunks than `of`.
constexpr std::uint64_t even_chunk(std::uint64_t n, std::uint64_t of) { return chunks(n, chunks(n, of)); }

ConvLayout::Axis vertical(const ConvShape& s, std::int64_t phase) {
  const Window& w = s.window;
  return {s.in.h, s.out().h, w.pad_top, w.kernel_h, w.stride_h, w.dilation_h, phase};
}
ConvLayout::Axis horizontal(const ConvShape& s, std::int64_t phase) {
  const Window& w = s.window;
  return {s.in.w, s.out().w, w.pad_left, w.kernel_w, w.stride_w, w.dilation_w, phase};
}

// What the tiles of one axis need at most.
struct Bounds {
  std::int64_t begin = std::numeric_limits<std::int64_t>::max();  // of the image's rows
  std::int64_t end = 0;                                           // of them
  std::int64_t extent = 0;                                        // rows read
  std::int64_t tail = 0;                                          // of them, from `begin` on
  std::int64_t span = 0;                                          // from the first output to the last, plus one

  Bounds(const ConvLayout::Axis& axis, std::int64_t tile) {
    for (std::int64_t first = 0; first < axis.out; first += tile) {
      const std::int64_t count = std::min(tile, axis.out - first);
      span = std::max(span, (count - 1) * axis.step + 1);
      for (std::size_t p = 0; p < axis.phases.size(); ++p) {
        const auto rows = axis.rows(first, count, static_cast<std::int64_t>(p));
        extent = std::max(extent, rows.extent);
        if (rows.begin == rows.end) continue;  // padding alone
        begin = std::min(begin, rows.begin);
        end = std::max(end, rows.end);
      }
    }
    if (end == 0) begin = 0;
    tail = extent - begin;  // what one tile reads beyond its end may be another's beginning
  }
};

}  // namespace

ConvLayout::Axis::Axis(std::int64_t in_size, std::int64_t out_size, std::int64_t padding, std::int64_t kernel,
                       std::int64_t stride, std::int64_t dilation, std::int64_t phase_step)
    : in(in_size), out(out_size), pad(padding), phase(phase_step), step(stride / phase_step) {
  for (std::int64_t t = 0; t < kernel; ++t) {
    const std::int64_t which = t * dilation % phase, offset = t * dilation / phase;
    auto found = std::find(phases.begin(), phases.end(), which);
    if (found == phases.end()) found = phases.insert(found, which);
    taps.push_back({found - phases.begin(), offset});
    extent = std::max(extent, offset + 1);
  }
}

ConvLayout::Axis::Rows ConvLayout::Axis::rows(std::int64_t first, std::int64_t count, std::int64_t which_phase) const {
  Rows r;
  r.extent = (count - 1) * step + extent;
  const std::int64_t a = phases[u64(which_phase)], base = first * step;
  r.begin = std::clamp<std::int64_t>(ceil_div(pad - a, phase) - base, 0, r.extent);
  r.end = std::clamp(ceil_div(in + pad - a, phase) - base, r.begin, r.extent);
  return r;
}

// Reading beyond a row's or block's end must meet zeros only, so the next one's data may begin no earlier than what is
// read beyond; and no two outputs may share a coefficient.
ConvLayout::Geometry::Geometry(const Axis& y, const Axis& x, std::int64_t tile_h, std::int64_t tile_w) {
  const Bounds rows(y, tile_h), columns(x, tile_w);
  pitch = std::max({columns.end, columns.tail, columns.span});
  block = std::max({(rows.end - 1) * pitch + columns.end, (rows.tail - 1) * pitch + columns.tail,
                    (rows.span - 1) * pitch + columns.span});
  const std::int64_t kernel = (y.extent - 1) * pitch + x.extent;
  const std::int64_t read = (rows.extent - 1) * pitch + columns.extent;
  lead = std::min(rows.begin * pitch + columns.begin, kernel - 1);
  excess = std::max({std::int64_t{0}, read - lead - block, kernel - block});
  excess_without_lead = std::max({std::int64_t{0}, read - block, kernel - block});
}

std::uint64_t ConvLayout::Geometry::room(std::size_t degree) const {
  const auto n = static_cast<std::int64_t>(degree);
  return n <= excess ? 0 : u64((n - excess) / block);
}

ConvLayout::ConvLayout(const ConvShape& shape, std::size_t degree, const ConvTiling& tiling)
    : shape_(shape),
      degree_(degree),
      tiling_(tiling),
      y_(vertical(shape, tiling.phase_h)),
      x_(horizontal(shape, tiling.phase_w)),
      geometry_(y_, x_, tiling.tile_h, tiling.tile_w) {
  if (shape.domain != ConvDomain::kDirect) throw internal_error("polynomial layout: the convolution is not direct");
  tiles_at_once_ = geometry_.room(degree) / (tiling.channels * tiling.outputs);
  if (tiles_at_once_ == 0) throw internal_error("polynomial layout: the tiling does not fit the ring");
  const std::int64_t blocks = static_cast<std::int64_t>(tiling.channels * tiles_at_once_) * geometry_.block;
  if (tiling.outputs == 1 && blocks + geometry_.excess_without_lead <= static_cast<std::int64_t>(degree))
    geometry_.lead = 0;
}

std::uint64_t ConvLayout::channels() const { return u64(shape_.in.c) * y_.phases.size() * x_.phases.size(); }
std::uint64_t ConvLayout::channel_chunks() const { return chunks(channels(), tiling_.channels); }
std::uint64_t ConvLayout::output_chunks() const { return chunks(u64(shape_.out_channels), tiling_.outputs); }
std::uint64_t ConvLayout::tiles_of(std::uint64_t batch) const {
  return batch * u64(ceil_div(y_.out, tiling_.tile_h) * ceil_div(x_.out, tiling_.tile_w));
}
std::uint64_t ConvLayout::tile_chunks(std::uint64_t batch) const { return chunks(tiles_of(batch), tiles_at_once_); }

std::int64_t ConvLayout::kernel() const { return (y_.extent - 1) * geometry_.pitch + x_.extent; }

// The place of a kernel's last tap.
std::int64_t ConvLayout::top() const {
  return (static_cast<std::int64_t>(tiling_.channels) - 1) * geometry_.block + kernel() - 1;
}

HeSupport ConvLayout::support(std::uint64_t output_chunk, std::uint64_t channel_chunk) const {
  const std::uint64_t outputs = std::min(tiling_.outputs, u64(shape_.out_channels) - output_chunk * tiling_.outputs);
  const std::uint64_t present = std::min(tiling_.channels, channels() - channel_chunk * tiling_.channels);
  const std::uint64_t block = u64(geometry_.block);
  return {static_cast<std::uint32_t>((tiling_.channels - present) * block),
          static_cast<std::uint32_t>((outputs - 1) * tiling_.channels * block + u64(top()) + 1)};
}

std::vector<std::uint32_t> ConvLayout::used(std::uint64_t batch, std::uint64_t tile_chunk) const {
  std::vector<std::uint32_t> out(channel_chunks(), static_cast<std::uint32_t>(degree_));
  // With several outputs in a product, or data that wraps around, everything reaches what is needed.
  if (tiling_.outputs != 1 || geometry_.lead != 0) return out;
  const std::uint64_t first = tile_chunk * tiles_at_once_, last = std::min(first + tiles_at_once_, tiles_of(batch));
  std::uint64_t end = 0;  // of the needed coefficients
  for (std::uint64_t index = first; index < last; ++index) {
    const Tile t = tile(index);
    end = std::max(end, (index - first) * tiling_.channels * u64(geometry_.block) +
                            u64(top() + (t.h - 1) * y_.step * geometry_.pitch + (t.w - 1) * x_.step + 1));
  }
  for (std::uint64_t c = 0; c < out.size(); ++c)
    out[c] = static_cast<std::uint32_t>(std::min<std::uint64_t>(degree_, (end - support(0, c).begin + 7) / 8 * 8));
  return out;
}

std::uint64_t ConvLayout::inputs_bytes(const HeParams& params, std::uint64_t batch, std::uint64_t tile_chunk) const {
  return he_inputs_bytes(params, used(batch, tile_chunk));
}

ConvLayout::Tile ConvLayout::tile(std::uint64_t index) const {
  const std::uint64_t across = u64(ceil_div(x_.out, tiling_.tile_w));
  const std::uint64_t each = u64(ceil_div(y_.out, tiling_.tile_h)) * across;
  Tile t{};
  t.image = index / each;
  t.y = static_cast<std::int64_t>(index % each / across) * tiling_.tile_h;
  t.x = static_cast<std::int64_t>(index % across) * tiling_.tile_w;
  t.h = std::min(tiling_.tile_h, y_.out - t.y);
  t.w = std::min(tiling_.tile_w, x_.out - t.x);
  return t;
}

std::vector<std::uint32_t> ConvLayout::sources(std::uint64_t output_chunk) const {
  const std::uint64_t outputs = u64(shape_.out_channels), phases = y_.phases.size() * x_.phases.size();
  const std::uint64_t first = output_chunk * tiling_.outputs;
  const std::uint64_t last = std::min(first + tiling_.outputs, outputs) - 1;
  const std::uint64_t rows = u64(shape_.out_channels / shape_.groups),
                      inner = u64(shape_.in.c / shape_.groups) * phases;
  // Groups follow one another, so the channels of several are a range.
  const std::uint64_t begin = first / rows * inner, end = (last / rows + 1) * inner;
  std::vector<std::uint32_t> out;
  for (std::uint64_t c = begin / tiling_.channels; c <= (end - 1) / tiling_.channels; ++c)
    out.push_back(static_cast<std::uint32_t>(c));
  return out;
}

std::uint64_t ConvLayout::weight_polynomials() const {
  std::uint64_t sum = 0;
  for (std::uint64_t o = 0; o < output_chunks(); ++o) sum += sources(o).size();
  return sum;
}

Words ConvLayout::inputs(std::uint64_t batch, std::uint64_t tile_chunk, std::span<const Word> x) const {
  if (x.size() != batch * u64(shape_.in.size())) throw internal_error("polynomial layout: the input does not fit");
  Words out(channel_chunks() * degree_);
  const auto c = static_cast<std::int64_t>(tiling_.channels), k = static_cast<std::int64_t>(tiling_.outputs);
  const std::uint64_t first = tile_chunk * tiles_at_once_, last = std::min(first + tiles_at_once_, tiles_of(batch));
  for (std::uint64_t index = first; index < last; ++index) {
    const Tile t = tile(index);
    const std::int64_t at = static_cast<std::int64_t>(index - first) * c * k * geometry_.block - geometry_.lead;
    std::int64_t v = 0;
    for (std::int64_t channel = 0; channel < shape_.in.c; ++channel) {
      const Word* plane = x.data() + (t.image * u64(shape_.in.c) + u64(channel)) * u64(shape_.in.h * shape_.in.w);
      for (std::size_t py = 0; py < y_.phases.size(); ++py) {
        const auto rows = y_.rows(t.y, t.h, static_cast<std::int64_t>(py));
        for (std::size_t px = 0; px < x_.phases.size(); ++px, ++v) {
          const auto columns = x_.rows(t.x, t.w, static_cast<std::int64_t>(px));
          Word* block = out.data() + u64(v / c) * degree_;
          for (std::int64_t i = rows.begin; i < rows.end; ++i) {
            const std::int64_t row = (t.y * y_.step + i) * y_.phase + y_.phases[py] - y_.pad;
            const std::int64_t to = at + v % c * geometry_.block + i * geometry_.pitch;
            for (std::int64_t j = columns.begin; j < columns.end; ++j)
              block[to + j] = plane[row * shape_.in.w + (t.x * x_.step + j) * x_.phase + x_.phases[px] - x_.pad];
          }
        }
      }
    }
  }
  return out;
}

void ConvLayout::weights(std::uint64_t output_chunk, std::uint64_t channel_chunk, std::span<const std::int32_t> weights,
                         std::span<std::int32_t> polynomial) const {
  const Window& w = shape_.window;
  const std::int64_t inner = shape_.in.c / shape_.groups, rows = shape_.out_channels / shape_.groups;
  if (weights.size() != u64(shape_.out_channels * inner * w.kernel_h * w.kernel_w) || polynomial.size() != degree_)
    throw internal_error("polynomial layout: the weights do not fit");
  std::fill(polynomial.begin(), polynomial.end(), 0);
  const auto c = static_cast<std::int64_t>(tiling_.channels), k = static_cast<std::int64_t>(tiling_.outputs);
  const auto phases_h = static_cast<std::int64_t>(y_.phases.size());
  const auto phases_w = static_cast<std::int64_t>(x_.phases.size());
  const std::int64_t first_output = static_cast<std::int64_t>(output_chunk) * k;
  const std::int64_t first_v = static_cast<std::int64_t>(channel_chunk) * c, end_v = first_v + c;
  for (std::int64_t o = first_output; o < std::min(first_output + k, shape_.out_channels); ++o) {
    const std::int64_t at = (o - first_output) * c * geometry_.block + top();
    const std::int64_t group = o / rows * inner;
    const std::int64_t from = std::max<std::int64_t>(first_v / (phases_h * phases_w) - group, 0);
    const std::int64_t to = std::min((end_v - 1) / (phases_h * phases_w) - group + 1, inner);
    for (std::int64_t channel = from; channel < to; ++channel) {
      const std::int32_t* kernel = weights.data() + (o * inner + channel) * w.kernel_h * w.kernel_w;
      for (const Axis::Tap& ty : y_.taps) {
        for (const Axis::Tap& tx : x_.taps) {
          const std::int32_t value = *kernel++;
          const std::int64_t v = ((group + channel) * phases_h + ty.phase) * phases_w + tx.phase;
          if (v < first_v || v >= end_v) continue;
          // Taps that read nothing but padding may share a coefficient.
          polynomial[u64(at - (v - first_v) * geometry_.block - ty.offset * geometry_.pitch - tx.offset)] += value;
        }
      }
    }
  }
}

ConvLayout::Results ConvLayout::results(std::uint64_t batch, std::uint64_t tile_chunk,
                                        std::uint64_t output_chunk) const {
  Results out;
  const auto c = static_cast<std::int64_t>(tiling_.channels), k = static_cast<std::int64_t>(tiling_.outputs);
  const std::int64_t first_output = static_cast<std::int64_t>(output_chunk) * k;
  const std::uint64_t first = tile_chunk * tiles_at_once_, last = std::min(first + tiles_at_once_, tiles_of(batch));
  for (std::uint64_t index = first; index < last; ++index) {
    const Tile t = tile(index);
    for (std::int64_t o = first_output; o < std::min(first_output + k, shape_.out_channels); ++o) {
      const std::int64_t at = (static_cast<std::int64_t>(index - first) * k + o - first_output) * c * geometry_.block +
                              top() - geometry_.lead;
      const std::int64_t plane = (static_cast<std::int64_t>(t.image) * shape_.out_channels + o) * y_.out;
      for (std::int64_t i = 0; i < t.h; ++i) {
        for (std::int64_t j = 0; j < t.w; ++j) {
          out.coefficients.push_back(static_cast<std::uint32_t>(at + i * y_.step * geometry_.pitch + j * x_.step));
          out.places.push_back(u64((plane + t.y + i) * x_.out + t.x + j));
        }
      }
    }
  }
  return out;
}

std::uint64_t ConvLayout::result_count(std::uint64_t batch, std::uint64_t tile_chunk,
                                       std::uint64_t output_chunk) const {
  const std::uint64_t first = tile_chunk * tiles_at_once_, last = std::min(first + tiles_at_once_, tiles_of(batch));
  const std::uint64_t outputs = std::min(tiling_.outputs, u64(shape_.out_channels) - output_chunk * tiling_.outputs);
  std::uint64_t sum = 0;
  for (std::uint64_t index = first; index < last; ++index) {
    const Tile t = tile(index);
    sum += u64(t.h * t.w) * outputs;
  }
  return sum;
}

void for_each_tiling(const ConvShape& shape, std::size_t degree,
                     const std::function<void(const ConvTiling&, const ChunkCounts&)>& f) {
  const Shape out = shape.out();
  const auto sizes = [](std::int64_t n) {  // of tiles, no two for one number of tiles
    std::vector<std::int64_t> s;
    for (std::int64_t tile = n; tile >= 1; tile = tile == 1 ? 0 : ceil_div(n, ceil_div(n, tile - 1))) s.push_back(tile);
    return s;
  };
  const auto phases = [](std::int64_t stride) {
    return stride == 1 ? std::vector<std::int64_t>{1} : std::vector<std::int64_t>{1, stride};
  };
  const auto outputs = u64(shape.out_channels);
  ConvTiling t;
  for (const std::int64_t phase_h : phases(shape.window.stride_h)) {
    const ConvLayout::Axis y = vertical(shape, phase_h);
    for (const std::int64_t phase_w : phases(shape.window.stride_w)) {
      const ConvLayout::Axis x = horizontal(shape, phase_w);
      const std::uint64_t channels = u64(shape.in.c) * y.phases.size() * x.phases.size();
      for (const std::int64_t tile_h : sizes(out.h)) {
        for (const std::int64_t tile_w : sizes(out.w)) {
          if (tile_h * tile_w > static_cast<std::int64_t>(degree)) continue;
          const std::uint64_t tiles = u64(ceil_div(out.h, tile_h) * ceil_div(out.w, tile_w));
          const std::uint64_t room = ConvLayout::Geometry(y, x, tile_h, tile_w).room(degree);
          for (std::uint64_t c = std::min(room, channels); c >= 1; c = c == 1 ? 0 : even_chunk(channels, c - 1)) {
            c = even_chunk(channels, c);
            const std::uint64_t k = even_chunk(outputs, std::min(room / c, outputs));
            t = {phase_h, phase_w, tile_h, tile_w, c, k};
            f(t, {chunks(tiles, room / (c * k)), chunks(channels, c), chunks(outputs, k)});
          }
        }
      }
    }
  }
}

ConvLayoutChoice choose_conv_layout(const ConvShape& shape, const HeSizes& sizes) {
  if (shape.domain != ConvDomain::kDirect) throw internal_error("polynomial layout: the convolution is not direct");
  struct Best {
    std::uint64_t bytes = std::numeric_limits<std::uint64_t>::max();
    ConvTiling tiling;
    HeParams params;
  } best;
  std::optional<Error> refused;
  for (const std::size_t degree : {std::size_t{4096}, std::size_t{8192}}) {
    if (degree < sizes.min_degree) continue;
    // Parameters by k; none if they need a larger ring.
    std::map<std::uint64_t, std::optional<HeParams>> by_outputs;
    const auto params = [&](std::uint64_t k) -> const std::optional<HeParams>& {
      const auto [at, fresh] = by_outputs.try_emplace(k);
      if (!fresh) return at->second;
      HeSizes s = sizes;
      s.folded_outputs = k;
      s.input_channels = u64(shape.in.c / shape.groups);
      s.kernel_area = u64(shape.window.kernel_h * shape.window.kernel_w);
      s.min_degree = degree;
      try {
        HeParams p = make_he_params(s);
        if (p.degree == degree) at->second = std::move(p);
      } catch (const Error& e) {
        refused = e;
      }
      return at->second;
    };
    HeParams least;  // no k has narrower messages
    least.ring_bits = sizes.ring_bits;
    least.degree = degree;
    least.modulus_bits = std::max(sizes.min_modulus_bits, kMinModulusBits);
    for_each_tiling(shape, degree, [&](const ConvTiling& t, const ChunkCounts& n) {
      // The answers' size is the same for any parameters. Most tilings lose without a look at theirs.
      const std::uint64_t answers =
          n.tiles * n.outputs * he_answer_bytes(least, 0) + packed_bytes(u64(shape.out().size()), least.kept_bits());
      const std::uint64_t whole = t.outputs == 1 ? 0 : n.tiles * he_inputs_bytes(least, n.channels);
      if (answers + whole >= best.bytes) return;
      const std::optional<HeParams>& p = params(t.outputs);
      if (!p) return;
      std::uint64_t bytes = answers;
      if (t.outputs == 1) {  // perhaps short ciphertexts
        const ConvLayout layout(shape, degree, t);
        for (std::uint64_t chunk = 0; chunk < n.tiles && bytes < best.bytes; ++chunk)
          bytes += layout.inputs_bytes(*p, 1, chunk);
      } else {
        bytes += n.tiles * he_inputs_bytes(*p, n.channels);
      }
      if (bytes < best.bytes) best = {bytes, t, *p};
    });
    if (best.params.degree != 0) return {best.params, ConvLayout(shape, degree, best.tiling)};
  }
  if (refused) throw Error(*refused);
  throw model_error("convolution of " + shape.in.to_string() + ": its window is too large for a homomorphic product",
                    "use another product for this layer: --products ot");
}

}  // namespace eqo
