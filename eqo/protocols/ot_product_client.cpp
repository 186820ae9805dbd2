#include <cstring>

#include "eqo/core/bits.h"
#include "eqo/core/error.h"
#include "eqo/crypto/hash.h"
#include "eqo/kernels/lane_packing.h"
#include "eqo/protocols/ot_product_base.h"

namespace eqo {
namespace {

// V in one lane type, panel by panel: [panel][count * inner][columns of the panel].
template <RowLane L>
WipedVector<L> panel_values(const RowPlan& plan, std::uint64_t rows, std::span<const Word> v) {
  WipedVector<L> out(v.size());
  L* to = out.data();
  for (std::uint64_t p = 0; p < plan.panels(); ++p)
    for (std::uint64_t r = 0; r < rows; ++r) {
      const Word* from = v.data() + r * plan.cols() + plan.first_col(p);
      const std::uint64_t n = plan.cols_of(p);
      for (std::uint64_t t = 0; t < n; ++t) *to++ = static_cast<L>(from[t]);
    }
  return out;
}

// One online() call of the client.
template <Lane A>
class ClientRun {
 public:
  ClientRun(Context& ctx, const ProductSpec& spec, const Blocks& keys, Block delta, std::uint64_t counter,
            std::uint64_t batch, std::span<const Word> v)
      : ctx_(ctx),
        spec_(spec),
        keys_(keys),
        delta_(delta),
        counter_(counter),
        plan_(spec, batch),
        sums_(Lanes<A>(spec.shape.count * spec.shape.rows * plan_.cols()), plan_.cols()) {
    bool used[3] = {};
    for (const RowSegment& s : plan_.segments()) used[row_lane_bytes(s.width) / 4] = true;
    const std::uint64_t rows = spec.shape.count * spec.shape.inner;
    if (used[0]) v16_ = panel_values<std::uint16_t>(plan_, rows, v);
    if (used[1]) v32_ = panel_values<std::uint32_t>(plan_, rows, v);
    if (used[2]) v64_ = panel_values<std::uint64_t>(plan_, rows, v);
    add_offsets(v);
  }

  Words run() {
    // The stream's bytes from `base` on. A wave of tasks fills one message; what is beyond stays for the next.
    Bytes buffer(kRowMessageBytes + kMaxTaskBytes + 1);
    std::uint64_t base = 0, end = 0;
    std::vector<RowTask> wave;
    for (RowPlan::Cursor cursor(plan_); !cursor.done();) {
      for (wave.clear(); !cursor.done() && end < (base + kRowMessageBytes) * 8; cursor.advance()) {
        wave.push_back(cursor.peek());
        end += wave.back().bits;
      }
      run_wave(wave, base * 8, buffer);
      if (end < (base + kRowMessageBytes) * 8) break;
      ctx_.channel.send(std::span(buffer).first(kRowMessageBytes));
      base += kRowMessageBytes;
      std::memmove(buffer.data(), buffer.data() + kRowMessageBytes, packed_bytes(end, 1) - base);
    }
    ctx_.channel.send(std::span(buffer).first(packed_bytes(end, 1) - base));
    return from_lanes<A>(sums_.lanes(), spec_.shape.ring);
  }

 private:
  // The client's part of the public offsets: offset * (column sums of its share of V), the same for all rows.
  void add_offsets(std::span<const Word> v) {
    const ProductShape& s = spec_.shape;
    const std::uint64_t cols = plan_.cols();
    for (std::uint64_t p = 0; p < s.count; ++p) {
      const WeightCode& f = spec_.format(p);
      if (f.offset == 0) continue;
      Lanes<A> sum(cols);
      for (std::uint64_t c = 0; c < s.inner; ++c)
        for (std::uint64_t t = 0; t < cols; ++t) sum[t] += static_cast<A>(v[(p * s.inner + c) * cols + t]);
      const A factor = static_cast<A>(static_cast<A>(f.offset) << f.shift);
      for (std::uint64_t k = 0; k < s.rows; ++k) {
        A* m = sums_.lanes().data() + (p * s.rows + k) * cols;
        for (std::uint64_t t = 0; t < cols; ++t) m[t] += factor * sum[t];
      }
    }
  }

  // Tasks that begin inside a byte are packed apart and put in afterwards, in order: the byte has two writers.
  void run_wave(const std::vector<RowTask>& wave, std::uint64_t base_bit, Bytes& buffer) {
    std::vector<Bytes> apart(wave.size());
    ctx_.threads.parallel_for(wave.size(), 1, [&](std::size_t begin, std::size_t end) {
      auto scratch = pool_.take();
      for (std::size_t i = begin; i < end; ++i) {
        const RowTask& task = wave[i];
        const std::uint64_t bytes = packed_bytes(task.bits, 1), at = task.first_bit - base_bit;
        if (at % 8 != 0) apart[i] = Bytes(bytes);
        const std::span<std::byte> out = at % 8 == 0 ? std::span(buffer).subspan(at / 8, bytes) : std::span(apart[i]);
        with_row_lane(task.segment->width, [&]<RowLane L>() { run_task<L>(task, *scratch, out); });
      }
      pool_.give_back(std::move(scratch));
    });
    for (std::size_t i = 0; i < wave.size(); ++i) {
      const std::uint64_t at = wave[i].first_bit - base_bit;
      if (!apart[i].empty()) place(apart[i], at, wave[i].bits, buffer);
    }
  }

  // Only bytes that these bits reach are written: the next one belongs to the next task.
  static void place(const Bytes& bits_of_task, std::uint64_t at, std::uint64_t bits, Bytes& buffer) {
    Bytes shifted(bits_of_task.size() + 1);
    const std::uint64_t first = at / 8, n = packed_bytes(at % 8 + bits, 1);
    shifted[0] = buffer[first];
    shift_in(bits_of_task, static_cast<unsigned>(at % 8), shifted);
    std::memcpy(buffer.data() + first, shifted.data(), n);
  }

  template <RowLane L>
  void run_task(const RowTask& task, RowScratch& scratch, std::span<std::byte> out) {
    const RowSegment& segment = *task.segment;
    const std::uint64_t cols = plan_.cols_of(task.panel), blocks = pad_blocks(cols, segment.width);
    const std::uint64_t stride = blocks * 16 / sizeof(L), domain = pad_domain(counter_, task.panel);
    const auto keys = std::span(keys_).subspan(segment.first_key + task.first_row, task.rows);
    Block* flipped = at_least(scratch.flipped, task.rows);
    for (std::size_t r = 0; r < keys.size(); ++r) flipped[r] = keys[r] ^ delta_;
    Block* pad0 = at_least(scratch.pad0, task.rows * blocks);
    Block* pad1 = at_least(scratch.pad1, task.rows * blocks);
    hash_expand(keys, domain, blocks, {pad0, task.rows * blocks});
    hash_expand({flipped, task.rows}, domain, blocks, {pad1, task.rows * blocks});

    const L* zero = reinterpret_cast<const L*>(pad0);
    const L* one = reinterpret_cast<const L*>(pad1);
    L* message = lanes_of<L>(scratch.message, task.rows * cols);
    L* sum = lanes_of<L>(scratch.sum, cols);
    const L* values = panel<L>(task.panel);
    for_each_run(spec_.shape, task, [&](std::uint64_t r, std::uint64_t n, std::uint64_t row, std::uint64_t value_row) {
      std::fill_n(sum, cols, L{0});
      mask_rows(n, cols, zero + r * stride, one + r * stride, stride, values + value_row * cols, message + r * cols,
                sum);
      sums_.add(row, plan_.first_col(task.panel), cols, sum, segment.place, !segment.negative);
    });
    pack_lanes(std::span<const L>(message, task.rows * cols), segment.width, out);
  }

  template <RowLane L>
  const L* panel(std::uint64_t p) const {
    const std::uint64_t at = spec_.shape.count * spec_.shape.inner * plan_.first_col(p);
    if constexpr (sizeof(L) == 2) {
      return v16_.data() + at;
    } else if constexpr (sizeof(L) == 4) {
      return v32_.data() + at;
    } else {
      return v64_.data() + at;
    }
  }

  Context& ctx_;
  const ProductSpec& spec_;
  const Blocks& keys_;
  const Block delta_;
  const std::uint64_t counter_;
  RowPlan plan_;
  RowAccumulator<A> sums_;
  WipedVector<std::uint16_t> v16_;
  WipedVector<std::uint32_t> v32_;
  WipedVector<std::uint64_t> v64_;
  RowScratchPool pool_;
};

class Client final : public OtProduct {
 public:
  using OtProduct::OtProduct;
  ~Client() override { explicit_bzero(&delta_, sizeof(delta_)); }

  void setup(Context& ctx) override {
    begin_setup();
    for (std::size_t done = 0; done < keys_.size(); done += kSetupChunk) {
      const std::size_t n = std::min<std::size_t>(kSetupChunk, keys_.size() - done);
      const CotSenderBatch cots = ctx.ot.take_sender(n);
      const Bits corrections = ctx.channel.recv_bits(n);
      delta_ = cots.delta;
      // t = q ^ choice * Delta becomes t = q' ^ bit * Delta with q' = q ^ (choice ^ bit) * Delta.
      for (std::size_t i = 0; i < n; ++i) keys_[done + i] = cots.q[i] ^ masked(corrections[i], delta_);
    }
  }

  Words online(Context& ctx, std::uint64_t counter, std::uint64_t batch, std::span<const Word> v) override {
    begin_online(counter, batch, v.size());
    if (fits_lane32(spec_.shape.ring))
      return ClientRun<std::uint32_t>(ctx, spec_, keys_, delta_, counter, batch, v).run();
    return ClientRun<std::uint64_t>(ctx, spec_, keys_, delta_, counter, batch, v).run();
  }

 private:
  Block delta_;
};

}  // namespace

std::unique_ptr<SecretProduct> make_ot_product_client(ProductSpec spec) {
  return std::make_unique<Client>(std::move(spec));
}

}  // namespace eqo
