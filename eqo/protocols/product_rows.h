#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "eqo/protocols/product.h"

namespace eqo {

// The order in which the rows of an OT product travel; both parties walk it. The columns are cut into panels; within a
// panel come the segments, within a segment the rows by (product, row of U, inner index).

// Consecutive products whose weight bit `bit` has the same place and sign: rows of one width.
struct RowSegment {
  unsigned bit = 0, place = 0, width = 0;
  bool negative = false;
  std::uint64_t first_weight = 0;  // index into the codes, [count][rows][inner]
  std::uint64_t first_key = 0;     // keys lie in segment order
  std::uint64_t rows = 0;
};
std::vector<RowSegment> row_segments(const ProductSpec& spec);

// A piece of work: some rows of one segment in one panel, at most kMaxTaskBytes of the stream.
inline constexpr std::uint64_t kMaxTaskBytes = std::uint64_t{1} << 16;
struct RowTask {
  const RowSegment* segment = nullptr;
  std::uint64_t panel = 0;
  std::uint64_t first_row = 0, rows = 0;  // within the segment
  std::uint64_t first_bit = 0, bits = 0;  // within the whole stream
};

class RowPlan {
 public:
  // Throws internal_error for a batch of 0 or one with more than 2^40 elements or 2^16 panels.
  RowPlan(const ProductSpec& spec, std::uint64_t batch);

  const std::vector<RowSegment>& segments() const { return segments_; }
  std::uint64_t cols() const { return cols_; }
  std::uint64_t panels() const { return (cols_ + panel_cols_ - 1) / panel_cols_; }
  std::uint64_t first_col(std::uint64_t panel) const { return panel * panel_cols_; }
  std::uint64_t cols_of(std::uint64_t panel) const { return std::min(panel_cols_, cols_ - first_col(panel)); }
  std::uint64_t total_bits() const;

  // All tasks in stream order, one at a time. A task begins at a whole number of bytes from its segment's start.
  class Cursor {
   public:
    explicit Cursor(const RowPlan& plan) : plan_(plan) {}
    bool done() const { return panel_ == plan_.panels() || plan_.segments_.empty(); }
    RowTask peek() const;
    void advance();

   private:
    const RowPlan& plan_;
    std::uint64_t panel_ = 0, segment_ = 0, row_ = 0, bit_ = 0;
  };

 private:
  std::uint64_t rows_at_once(std::uint64_t panel, const RowSegment& segment) const;

  ProductShape shape_;
  std::vector<RowSegment> segments_;
  std::uint64_t cols_ = 0, panel_cols_ = 1;
};

// Bytes of one lane for elements of this width.
constexpr unsigned row_lane_bytes(unsigned width) { return width <= 16 ? 2 : width <= 32 ? 4 : 8; }
// Blocks of a key's pad for a row.
constexpr std::uint64_t pad_blocks(std::uint64_t cols, unsigned width) {
  return (cols * row_lane_bytes(width) + 15) / 16;
}
// The hash's tweak domain of a panel in one online() call.
inline constexpr unsigned kPanelBits = 16, kCounterBits = 48;
constexpr std::uint64_t pad_domain(std::uint64_t counter, std::uint64_t panel) { return counter << kPanelBits | panel; }

}  // namespace eqo
