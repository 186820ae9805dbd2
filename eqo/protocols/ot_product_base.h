#pragma once
#include <array>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "eqo/kernels/lanes.h"
#include "eqo/kernels/masked_rows.h"
#include "eqo/protocols/ot_product.h"
#include "eqo/protocols/product_rows.h"

namespace eqo {

// What the two sides of the OT product have in common.

// COTs of one message of choice corrections.
inline constexpr std::uint64_t kSetupChunk = std::uint64_t{1} << 20;

class OtProduct : public SecretProduct {
 public:
  explicit OtProduct(ProductSpec spec) : spec_(std::move(spec)) { spec_.validate(); }

 protected:
  void begin_setup();
  // Checks the call and burns the counter.
  void begin_online(std::uint64_t counter, std::uint64_t batch, std::size_t values);

  ProductSpec spec_;
  Blocks keys_;  // in segment order: q of the client, t of the server

 private:
  bool ready_ = false;
  std::uint64_t next_counter_ = 0;
};

// Buffers of one running task; they hold pads and shares.
struct RowScratch {
  Blocks flipped, pad0, pad1;
  Words message, select, sum;
  Bytes packed;
};

class RowScratchPool {
 public:
  std::unique_ptr<RowScratch> take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return std::make_unique<RowScratch>();
    auto scratch = std::move(free_.back());
    free_.pop_back();
    return scratch;
  }
  void give_back(std::unique_ptr<RowScratch> scratch) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(scratch));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<RowScratch>> free_;
};

// Buffers only grow: a smaller task must not wipe and allocate again.
template <typename V>
auto* at_least(V& buffer, std::size_t n) {
  if (buffer.size() < n) buffer = V(n);
  return buffer.data();
}
template <RowLane L>
L* lanes_of(Words& buffer, std::size_t n) {
  return reinterpret_cast<L*>(at_least(buffer, (n * sizeof(L) + 7) / 8));
}

// M [count * rows][cols], added to by several tasks at once.
template <Lane A>
class RowAccumulator {
 public:
  RowAccumulator(Lanes<A> m, std::uint64_t cols) : m_(std::move(m)), cols_(cols) {}

  template <RowLane L>
  void add(std::uint64_t row, std::uint64_t first_col, std::size_t cols, const L* sum, unsigned place, bool negative) {
    const std::lock_guard lock(mutexes_[row % mutexes_.size()]);
    add_shifted(cols, sum, place, negative, m_.data() + row * cols_ + first_col);
  }
  Lanes<A>& lanes() { return m_; }

 private:
  Lanes<A> m_;
  std::uint64_t cols_;
  std::array<std::mutex, 64> mutexes_;
};

// Calls run(first, rows, output_row, value_row) for the pieces of a task that add to one row of M. `first` counts
// from the task's first row.
template <typename F>
void for_each_run(const ProductShape& shape, const RowTask& task, F&& run) {
  std::uint64_t weight = task.segment->first_weight + task.first_row;
  for (std::uint64_t r = 0; r < task.rows;) {
    const std::uint64_t c = weight % shape.inner, row = weight / shape.inner;
    const std::uint64_t n = std::min(shape.inner - c, task.rows - r);
    run(r, n, row, row / shape.rows * shape.inner + c);
    r += n;
    weight += n;
  }
}

// Calls f.template operator()<L>() with the lane type for this width.
template <typename F>
void with_row_lane(unsigned width, F&& f) {
  switch (row_lane_bytes(width)) {
    case 2:
      return f.template operator()<std::uint16_t>();
    case 4:
      return f.template operator()<std::uint32_t>();
    default:
      return f.template operator()<std::uint64_t>();
  }
}

}  // namespace eqo
