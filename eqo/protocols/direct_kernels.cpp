#include "eqo/protocols/direct_kernels.h"

#include <algorithm>

#include "eqo/core/error.h"
#include "eqo/kernels/winograd_tiles.h"

namespace eqo {
namespace {

constexpr std::int64_t kB[4][4] = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}};
constexpr std::int64_t kA[2][4] = {{1, 1, 1, 0}, {0, 1, -1, -1}};

// What tap (p, q) contributes to element (i, j) of output (a, b).
constexpr std::int64_t factor(std::size_t output, std::size_t element, std::size_t tap) {
  const std::size_t a = output / 2, b = output % 2, i = element / 4, j = element % 4, p = tap / 4, q = tap % 4;
  return kA[a][p] * kA[b][q] * kB[p][i] * kB[q][j];
}

// Far beyond what a product takes; sums of 16 do not overflow.
constexpr std::uint64_t kHuge = std::uint64_t{1} << 58;

TileGrid grid(const ConvShape& s) { return {s.out().h, s.out().w}; }

}  // namespace

DirectKernels direct_kernels(const ConvSpec& spec) {
  check(spec.shape);
  DirectKernels out{spec.shape, 1};
  const auto magnitude = [](const WeightCode& f) {
    return static_cast<std::uint64_t>(std::max(f.max_value(), -f.min_value()));
  };
  std::uint64_t most = 0;
  if (spec.shape.domain == ConvDomain::kDirect) {
    for (const WeightCode& f : spec.formats) most = std::max(most, magnitude(f));
  } else {
    const Window& w = spec.shape.window;
    const TileGrid g = grid(spec.shape);
    out.shape.domain = ConvDomain::kDirect;
    out.shape.out_channels = 4 * spec.shape.out_channels;
    out.shape.window = {4,
                        4,
                        2,
                        2,
                        w.pad_top,
                        w.pad_left,
                        2 * g.rows() + 2 - spec.shape.in.h - w.pad_top,
                        2 * g.cols() + 2 - spec.shape.in.w - w.pad_left};
    check(out.shape);
    for (std::size_t output = 0; output < 4; ++output) {
      for (std::size_t element = 0; element < kWinogradTaps; ++element) {
        std::uint64_t sum = 0;
        for (std::size_t tap = 0; tap < kWinogradTaps; ++tap)
          if (factor(output, element, tap) != 0)
            sum += std::min(magnitude(spec.formats[spec.formats.size() == 1 ? 0 : tap]), kHuge);
        most = std::max(most, sum);
      }
    }
  }
  // Signed representatives are never greater than half the ring.
  out.max_weight = std::clamp<std::uint64_t>(most, 1, std::uint64_t{1} << (spec.ring.bits() - 1));
  return out;
}

WipedVector<std::int32_t> direct_weights(const ConvSpec& spec, std::span<const std::uint16_t> codes) {
  const DirectKernels direct = direct_kernels(spec);
  if (direct.max_weight >> 31 != 0) throw internal_error("direct kernels: the weights need more than 32 bits");
  if (codes.size() != spec.shape.weights()) throw internal_error("direct kernels: the weights do not fit the shape");
  const auto values = decode_codes<std::uint64_t>(spec.formats, spec.shape.products(), codes);
  const auto as_signed = [&](std::uint64_t value) {
    return static_cast<std::int32_t>(spec.ring.to_signed(spec.ring.reduce(value)));
  };
  WipedVector<std::int32_t> out(direct.shape.weights());
  if (spec.shape.domain == ConvDomain::kDirect) {
    std::transform(values.begin(), values.end(), out.begin(), as_signed);
    return out;
  }
  const std::size_t kernels = values.size() / kWinogradTaps;
  for (std::size_t output = 0; output < 4; ++output) {
    for (std::size_t element = 0; element < kWinogradTaps; ++element) {
      for (std::size_t kernel = 0; kernel < kernels; ++kernel) {
        std::uint64_t sum = 0;
        for (std::size_t tap = 0; tap < kWinogradTaps; ++tap)
          sum += static_cast<std::uint64_t>(factor(output, element, tap)) * values[tap * kernels + kernel];
        out[(output * kernels + kernel) * kWinogradTaps + element] = as_signed(sum);
      }
    }
  }
  return out;
}

Words direct_outputs(const ConvSpec& spec, std::uint64_t batch, Words y) {
  if (spec.shape.domain == ConvDomain::kDirect) return y;
  const TileGrid g = grid(spec.shape);
  const auto rows = static_cast<std::size_t>(g.rows()), cols = static_cast<std::size_t>(g.cols());
  const auto h = static_cast<std::size_t>(g.out_h), w = static_cast<std::size_t>(g.out_w);
  const auto channels = static_cast<std::size_t>(spec.shape.out_channels);
  if (y.size() != batch * 4 * channels * rows * cols)
    throw internal_error("direct kernels: the outputs do not fit the shape");
  Words out(batch * channels * h * w);
  for (std::size_t n = 0; n < batch; ++n)
    for (std::size_t k = 0; k < channels; ++k)
      for (std::size_t i = 0; i < h; ++i)
        for (std::size_t j = 0; j < w; ++j)
          out[((n * channels + k) * h + i) * w + j] =
              y[(((n * 4 + i % 2 * 2 + j % 2) * channels + k) * rows + i / 2) * cols + j / 2];
  return out;
}

}  // namespace eqo
