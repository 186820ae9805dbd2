#include "eqo/quantizer/rounding.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

#include "eqo/core/thread_pool.h"
#include "eqo/quantizer/conv_batch.h"
#include "eqo/quantizer/gemm.h"
#include "eqo/quantizer/graph_analysis.h"

namespace eqo::quant {
namespace {

constexpr std::size_t kColumns = 6144;  // of the sample that correlations are measured on
constexpr std::size_t kMinImages = 48;  // it is spread over
// Added to the diagonal, as a share of its mean: always, and the more the fewer columns there are for the rows.
constexpr double kDamping = 0.01, kShrinkage = 0.1;

// A square matrix by rows.
struct Square {
  std::size_t n = 0;
  std::vector<double> v;
  explicit Square(std::size_t size) : n(size), v(size * size, 0.0) {}
  double* row(std::size_t i) { return v.data() + i * n; }
  const double* row(std::size_t i) const { return v.data() + i * n; }
};

// Some channels of some images, and which columns of their product matrix to look at.
struct Sample {
  IntBatch x;
  std::size_t positions = 0, step = 1;
};

Sample sample_of(const IntBatch& input, std::int64_t first, std::int64_t channels, std::size_t positions) {
  Sample s;
  s.positions = positions;
  const std::size_t images = std::min(input.count, std::max(kMinImages, (kColumns + positions - 1) / positions));
  s.step = std::max<std::size_t>(1, positions * images / kColumns);
  s.x = IntBatch(Shape{channels, input.shape.h, input.shape.w}, images);
  const auto plane = static_cast<std::size_t>(input.shape.h * input.shape.w);
  for (std::size_t n = 0; n < images; ++n)
    std::copy_n(input.image(n * input.count / images) + static_cast<std::size_t>(first) * plane, s.x.stride(),
                s.x.image(n));
  return s;
}

// X [rows][kept columns] of all images of the sample.
std::vector<float> sample_columns(const Sample& s, std::size_t rows, bool winograd, const Window& window,
                                  std::size_t& kept) {
  const std::size_t total = s.positions * s.x.count;
  kept = (total + s.step - 1) / s.step;
  std::vector<float> out(rows * kept), one(rows * s.positions);
  for (std::size_t n = 0; n < s.x.count; ++n) {
    if (winograd) {
      winograd_tiles(s.x.image(n), s.x.shape, window, one.data(), s.positions);
    } else {
      batch_columns(s.x, ConvSpec{window, 1, 1}, 0, n, 1, s.positions, one.data());
    }
    // Column i of image n is column n * positions + i of all.
    const std::size_t first = n * s.positions;
    for (std::size_t i = (s.step - first % s.step) % s.step; i < s.positions; i += s.step)
      for (std::size_t r = 0; r < rows; ++r) out[r * kept + (first + i) / s.step] = one[r * s.positions + i];
  }
  return out;
}

Square gram(std::vector<float> x, std::size_t rows, std::size_t columns, bool centered) {
  // Scaled to order one, so that float sums are good enough.
  float most = 0;
  for (const float v : x) most = std::max(most, std::abs(v));
  for (std::size_t r = 0; r < rows; ++r) {
    float* row = x.data() + r * columns;
    double mean = 0;
    if (centered) mean = std::accumulate(row, row + columns, 0.0) / static_cast<double>(columns);
    for (std::size_t i = 0; i < columns; ++i)
      row[i] = most > 0 ? static_cast<float>((static_cast<double>(row[i]) - mean) / most) : 0.0F;
  }
  const std::size_t ld = PackedMatrix<float>::padded_cols(rows);
  std::vector<float> transposed(columns * ld, 0.0F);
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t i = 0; i < columns; ++i) transposed[i * ld + r] = x[r * columns + i];
  const PackedMatrix<float> left(x, rows, columns);
  std::vector<float> product(left.padded_rows() * ld);
  left.multiply(transposed, ld, product);
  Square h(rows);
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < rows; ++c)
      h.row(r)[c] = static_cast<double>(product[r * ld + c]) / static_cast<double>(columns);
  return h;
}

// An output of a tile takes tap p with A^T[a][i] * A^T[b][j]; products of taps count over all four outputs.
void weigh_taps(Square& h, std::size_t channels) {
  static constexpr int kOutputRows[2][4] = {{1, 1, 1, 0}, {0, 1, -1, -1}};
  const auto both = [](std::size_t i, std::size_t j) {
    return kOutputRows[0][i] * kOutputRows[0][j] + kOutputRows[1][i] * kOutputRows[1][j];
  };
  for (std::size_t r = 0; r < h.n; ++r)
    for (std::size_t c = 0; c < h.n; ++c) {
      const std::size_t p = r / channels, q = c / channels;
      h.row(r)[c] *= both(p / 4, q / 4) * both(p % 4, q % 4) / 4.0;
    }
}

// The upper triangular R with R^T R = H^-1, by rows; H is overwritten. From H = U U^T with U upper follows R = U^-1.
Square inverse_factor(Square& h) {
  const std::size_t n = h.n;
  std::vector<double> column(n);
  for (std::size_t j = n; j-- > 0;) {
    const double pivot = std::sqrt(std::max(h.row(j)[j], 1e-12));
    for (std::size_t i = 0; i < j; ++i) column[i] = h.row(i)[j] = h.row(i)[j] / pivot;
    h.row(j)[j] = pivot;
    for (std::size_t i = 0; i < j; ++i) {
      double* row = h.row(i);
      const double a = column[i];
      for (std::size_t k = 0; k < j; ++k) row[k] -= a * column[k];
    }
  }
  Square r(n);
  for (std::size_t i = n; i-- > 0;) {
    double* row = r.row(i);
    row[i] = 1;
    for (std::size_t k = i + 1; k < n; ++k) {
      const double a = h.row(i)[k];
      const double* other = r.row(k);
      for (std::size_t c = k; c < n; ++c) row[c] -= a * other[c];
    }
    for (std::size_t c = i; c < n; ++c) row[c] /= h.row(i)[i];
  }
  return r;
}

// Position of a weight in a block: row r is input `inner` of tap `tap`.
struct Slot {
  std::size_t tap = 0, inner = 0;
};

}  // namespace

struct RoundingCompensation::Block {
  std::size_t first_filter = 0;
  std::vector<Slot> slots;  // in the order of rounding
  Square factor;
};

namespace {

// Nothing where nothing comes in.
std::optional<Square> sorted_factor(std::vector<Slot>& slots, Square h, double damping) {
  const std::size_t n = slots.size();
  double trace = 0;
  for (std::size_t i = 0; i < n; ++i) trace += h.row(i)[i];
  if (!(trace > 0)) return {};
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return h.row(a)[a] > h.row(b)[b]; });
  Square sorted(n);
  std::vector<Slot> moved;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) sorted.row(i)[j] = h.row(order[i])[order[j]];
    moved.push_back(slots[order[i]]);
  }
  slots = std::move(moved);
  for (std::size_t i = 0; i < n; ++i) sorted.row(i)[i] += damping * trace / static_cast<double>(n);
  return inverse_factor(sorted);
}

void round_block(const LinearWeights& w, const std::vector<Slot>& slots, const Square& factor, std::size_t first_filter,
                 std::size_t filters, double step, ThreadPool& pool, QuantizedWeights& q) {
  const std::size_t n = slots.size();
  std::vector<Levels> levels;
  for (const WeightCode& code : q.codes) levels.emplace_back(code);
  pool.parallel_for(filters, 1, [&](std::size_t begin, std::size_t end) {
    std::vector<double> row(n);
    for (std::size_t k = begin; k < end; ++k) {
      const auto place = [&](std::size_t i) {
        const Slot& s = slots[i];
        return (s.tap * w.filters + first_filter + k) * w.inner + s.inner;
      };
      for (std::size_t i = 0; i < n; ++i) row[i] = w.values[place(i)];
      for (std::size_t i = 0; i < n; ++i) {
        const std::size_t tap = slots[i].tap;
        const unsigned shift = q.codes[tap].shift;
        const double tap_step = std::ldexp(step, static_cast<int>(shift));
        const double level = levels[tap].index(row[i] / tap_step), value = levels[tap].value(level);
        q.code[place(i)] = levels[tap].code(level);
        q.value[place(i)] = static_cast<std::int64_t>(value) * (std::int64_t{1} << shift);
        const double* r = factor.row(i);
        const double error = (row[i] - value * tap_step) / r[i];
        for (std::size_t j = i + 1; j < n; ++j) row[j] -= error * r[j];
      }
    }
  });
}

}  // namespace

RoundingCompensation::~RoundingCompensation() = default;

RoundingCompensation::RoundingCompensation(const FloatNode& node, const LinearWeights& w, const IntBatch& input,
                                           bool centered)
    : weights_(w), filters_(w.filters / w.groups) {
  const Window window = linear_window(node);
  const bool winograd = w.taps > 1;
  const auto kernel = winograd ? std::size_t{16} : static_cast<std::size_t>(window.kernel_h * window.kernel_w);
  const std::size_t channels = winograd ? w.inner : w.inner / kernel;  // of a group
  const std::size_t per_block = std::max<std::size_t>(1, kMaxBlock / kernel);
  const Shape out{1, window.out_h(input.shape.h), window.out_w(input.shape.w)};
  const auto positions = static_cast<std::size_t>(winograd ? winograd_tile_count(out.h, out.w) : out.h * out.w);
  if (kernel > 4 * kMaxBlock) return;
  for (std::size_t group = 0; group < w.groups; ++group)
    for (std::size_t first = 0; first < channels; first += per_block) {
      const std::size_t count = std::min(per_block, channels - first), rows = count * kernel;
      const Sample sample = sample_of(input, static_cast<std::int64_t>(group * channels + first),
                                      static_cast<std::int64_t>(count), positions);
      std::size_t columns = 0;
      std::vector<float> x = sample_columns(sample, rows, winograd, window, columns);
      Square h = gram(std::move(x), rows, columns, centered);
      std::vector<Slot> slots;
      for (std::size_t r = 0; r < rows; ++r)
        slots.push_back(winograd ? Slot{r / count, first + r % count} : Slot{0, first * kernel + r});
      if (winograd) weigh_taps(h, count);
      const double damping = kDamping + kShrinkage * static_cast<double>(rows) / static_cast<double>(columns);
      if (std::optional<Square> factor = sorted_factor(slots, std::move(h), damping))
        blocks_.push_back({group * filters_, std::move(slots), std::move(*factor)});
    }
}

void RoundingCompensation::round(double step, ThreadPool& pool, QuantizedWeights& quantized) const {
  for (const Block& block : blocks_)
    round_block(weights_, block.slots, block.factor, block.first_filter, filters_, step, pool, quantized);
}

void compensate_rounding(const FloatNode& node, const LinearWeights& weights, const IntBatch& input, double step,
                         bool centered, ThreadPool& pool, QuantizedWeights& quantized) {
  RoundingCompensation(node, weights, input, centered).round(step, pool, quantized);
}

}  // namespace eqo::quant
