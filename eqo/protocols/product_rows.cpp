#include "eqo/protocols/product_rows.h"

#include "eqo/core/error.h"

namespace eqo {
namespace {

constexpr std::uint64_t kMaxElements = std::uint64_t{1} << 40;
constexpr std::uint64_t kMinPanelCols = 64, kMaxPanelCols = 1024;
constexpr std::uint64_t kPanelElements = std::uint64_t{1} << 17;  // of one product's V, so that a cache holds it
constexpr std::uint64_t kTaskBlocks = 1024;                       // of one pad
static_assert(kTaskBlocks * 16 <= kMaxTaskBytes && 8 * kMaxPanelCols * 8 <= kMaxTaskBytes);

bool bounded(std::uint64_t a, std::uint64_t b, std::uint64_t c) { return a <= kMaxElements / b / c; }

}  // namespace

void ProductSpec::validate() const {
  const auto& [count, rows, inner, cols, ring] = shape;
  auto refuse = [](const char* what) {
    throw model_error(std::string("matrix product: ") + what, "check the layer's sizes and weight formats");
  };
  if (count == 0 || rows == 0 || inner == 0 || cols == 0) refuse("a size is zero");
  if (std::max({count, rows, inner, cols}) > kMaxElements || !bounded(count, rows, inner) ||
      !bounded(count, std::max(rows, inner), cols))
    refuse("it is too large");
  if (formats.size() != 1 && formats.size() != count) refuse("one weight format or one a product is needed");
  for (const WeightCode& f : formats) f.validate();
}

std::vector<RowSegment> row_segments(const ProductSpec& spec) {
  const std::uint64_t size = spec.shape.rows * spec.shape.inner;
  const unsigned ring_bits = spec.shape.ring.bits();
  unsigned max_bits = 0;
  for (const WeightCode& f : spec.formats) max_bits = std::max(max_bits, f.bits());
  std::vector<RowSegment> out;
  std::uint64_t key = 0;
  const std::uint64_t groups = spec.formats.size(), group_size = spec.shape.count / groups * size;
  for (unsigned bit = 0; bit < max_bits; ++bit) {
    for (std::uint64_t g = 0; g < groups; ++g) {
      const WeightCode& f = spec.formats[g];
      if (bit >= f.bits() || f.place(bit) >= ring_bits) continue;
      const bool negative = f.signs[bit] < 0;
      const std::uint64_t first = g * group_size;
      RowSegment* last = out.empty() ? nullptr : &out.back();
      if (last != nullptr && last->bit == bit && last->place == f.place(bit) && last->negative == negative &&
          last->first_weight + last->rows == first) {
        last->rows += group_size;
      } else {
        out.push_back({bit, f.place(bit), ring_bits - f.place(bit), negative, first, key, group_size});
      }
      key += group_size;
    }
  }
  return out;
}

RowPlan::RowPlan(const ProductSpec& spec, std::uint64_t batch) : shape_(spec.shape), segments_(row_segments(spec)) {
  if (batch == 0 || batch > kMaxElements || !bounded(shape_.cols, batch, 1) ||
      !bounded(shape_.count * std::max(shape_.rows, shape_.inner), shape_.cols, batch))
    throw internal_error("matrix product: the batch is empty or too large");
  cols_ = shape_.cols * batch;
  const std::uint64_t wanted =
      std::clamp(kPanelElements / shape_.inner / kMinPanelCols * kMinPanelCols, kMinPanelCols, kMaxPanelCols);
  // Panels of about equal width.
  const std::uint64_t count = (cols_ + wanted - 1) / wanted;
  panel_cols_ = std::min(wanted, ((cols_ + count - 1) / count + 7) / 8 * 8);
  if (panels() > (std::uint64_t{1} << kPanelBits)) throw internal_error("matrix product: the batch is too large");
}

std::uint64_t RowPlan::total_bits() const {
  std::uint64_t row_bits = 0;
  for (const RowSegment& s : segments_) row_bits += s.rows * s.width;
  return row_bits * cols_;
}

std::uint64_t RowPlan::rows_at_once(std::uint64_t panel, const RowSegment& segment) const {
  return std::max<std::uint64_t>(8, kTaskBlocks / pad_blocks(cols_of(panel), segment.width) / 8 * 8);
}

RowTask RowPlan::Cursor::peek() const {
  const RowSegment& s = plan_.segments_[segment_];
  const std::uint64_t rows = std::min(plan_.rows_at_once(panel_, s), s.rows - row_);
  return {&s, panel_, row_, rows, bit_, rows * plan_.cols_of(panel_) * s.width};
}

void RowPlan::Cursor::advance() {
  const RowTask task = peek();
  bit_ += task.bits;
  row_ += task.rows;
  if (row_ < task.segment->rows) return;
  row_ = 0;
  if (++segment_ < plan_.segments_.size()) return;
  segment_ = 0;
  ++panel_;
}

}  // namespace eqo
