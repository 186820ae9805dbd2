#include <cstring>

#include "eqo/core/bits.h"
#include "eqo/core/error.h"
#include "eqo/crypto/hash.h"
#include "eqo/kernels/gemm.h"
#include "eqo/kernels/lane_packing.h"
#include "eqo/protocols/ot_product_base.h"

namespace eqo {
namespace {

// One online() call of the server.
template <Lane A>
class ServerRun {
 public:
  ServerRun(Context& ctx, const ProductSpec& spec, std::span<const std::uint16_t> codes, const Blocks& keys,
            std::uint64_t counter, std::uint64_t batch, std::span<const Word> v)
      : ctx_(ctx),
        spec_(spec),
        codes_(codes),
        keys_(keys),
        counter_(counter),
        plan_(spec, batch),
        sums_(local_product(v), plan_.cols()) {}

  Words run() {
    // The stream's bytes from `base` on; a task runs when all its bytes are there.
    Bytes buffer(kRowMessageBytes + kMaxTaskBytes + 1);
    const std::uint64_t total = packed_bytes(plan_.total_bits(), 1);
    std::uint64_t base = 0, received = 0;
    std::vector<RowTask> wave;
    for (RowPlan::Cursor cursor(plan_); !cursor.done();) {
      const std::uint64_t n = std::min(kRowMessageBytes, total - received);
      ctx_.channel.recv(std::span(buffer).subspan(received - base, n));
      received += n;
      wave.clear();
      for (; !cursor.done() && cursor.peek().first_bit + cursor.peek().bits <= received * 8; cursor.advance())
        wave.push_back(cursor.peek());
      run_wave(wave, base * 8, std::span(buffer).first(received - base));
      const std::uint64_t next = cursor.done() ? received : cursor.peek().first_bit / 8;
      std::memmove(buffer.data(), buffer.data() + (next - base), received - next);
      base = next;
    }
    return from_lanes<A>(sums_.lanes(), spec_.shape.ring);
  }

 private:
  // U * V_s with the full weights, offsets included. Runs while the first rows are on their way.
  Lanes<A> local_product(std::span<const Word> v) const {
    const ProductShape& s = spec_.shape;
    Lanes<A> m(s.count * s.rows * plan_.cols());
    gemm_mod({s.count, s.rows, s.inner, plan_.cols()}, decode_codes<A>(spec_.formats, s.count, codes_), to_lanes<A>(v),
             m, ctx_.threads);
    return m;
  }

  void run_wave(const std::vector<RowTask>& wave, std::uint64_t base_bit, std::span<const std::byte> buffer) {
    ctx_.threads.parallel_for(wave.size(), 1, [&](std::size_t begin, std::size_t end) {
      auto scratch = pool_.take();
      for (std::size_t i = begin; i < end; ++i) {
        const RowTask& task = wave[i];
        const std::uint64_t at = task.first_bit - base_bit, bytes = packed_bytes(task.bits, 1);
        std::span<const std::byte> in = buffer.subspan(at / 8, packed_bytes(at % 8 + task.bits, 1));
        if (at % 8 != 0) {
          const std::span<std::byte> aligned{at_least(scratch->packed, bytes), bytes};
          shift_out(in, static_cast<unsigned>(at % 8), aligned);
          in = aligned;
        }
        with_row_lane(task.segment->width, [&]<RowLane L>() { run_task<L>(task, *scratch, in); });
      }
      pool_.give_back(std::move(scratch));
    });
  }

  template <RowLane L>
  void run_task(const RowTask& task, RowScratch& scratch, std::span<const std::byte> in) {
    const RowSegment& segment = *task.segment;
    const std::uint64_t cols = plan_.cols_of(task.panel), blocks = pad_blocks(cols, segment.width);
    const std::uint64_t stride = blocks * 16 / sizeof(L);
    Block* pad = at_least(scratch.pad0, task.rows * blocks);
    hash_expand(std::span(keys_).subspan(segment.first_key + task.first_row, task.rows),
                pad_domain(counter_, task.panel), blocks, {pad, task.rows * blocks});
    L* message = lanes_of<L>(scratch.message, task.rows * cols);
    unpack_lanes(in, segment.width, std::span<L>(message, task.rows * cols));
    L* select = lanes_of<L>(scratch.select, task.rows);
    bit_masks(task.rows, codes_.data() + segment.first_weight + task.first_row, segment.bit, select);

    const L* known = reinterpret_cast<const L*>(pad);
    L* sum = lanes_of<L>(scratch.sum, cols);
    for_each_run(spec_.shape, task, [&](std::uint64_t r, std::uint64_t n, std::uint64_t row, std::uint64_t) {
      std::fill_n(sum, cols, L{0});
      select_rows(n, cols, known + r * stride, stride, message + r * cols, select + r, sum);
      sums_.add(row, plan_.first_col(task.panel), cols, sum, segment.place, segment.negative);
    });
  }

  Context& ctx_;
  const ProductSpec& spec_;
  const std::span<const std::uint16_t> codes_;
  const Blocks& keys_;
  const std::uint64_t counter_;
  RowPlan plan_;
  RowAccumulator<A> sums_;
  RowScratchPool pool_;
};

class Server final : public OtProduct {
 public:
  Server(ProductSpec spec, std::span<const std::uint16_t> codes) : OtProduct(std::move(spec)), codes_(codes) {
    const ProductShape& s = spec_.shape;
    if (codes.size() != s.count * s.rows * s.inner)
      throw internal_error("matrix product: the weights do not fit the shape");
  }

  void setup(Context& ctx) override {
    begin_setup();
    const std::vector<RowSegment> segments = row_segments(spec_);
    auto segment = segments.begin();
    std::uint64_t row = 0;  // next row of *segment
    for (std::size_t done = 0; done < keys_.size(); done += kSetupChunk) {
      const std::size_t n = std::min<std::size_t>(kSetupChunk, keys_.size() - done);
      const CotReceiverBatch cots = ctx.ot.take_receiver(n);
      std::copy(cots.t.begin(), cots.t.end(), keys_.begin() + static_cast<std::ptrdiff_t>(done));
      Bits corrections(n);
      for (std::size_t i = 0; i < n;) {
        const std::size_t step = std::min<std::uint64_t>(n - i, segment->rows - row);
        const std::uint16_t* codes = codes_.data() + segment->first_weight + row;
        for (std::size_t j = 0; j < step; ++j)
          corrections[i + j] = static_cast<std::uint8_t>(cots.choices[i + j] ^ ((codes[j] >> segment->bit) & 1));
        i += step;
        row += step;
        if (row == segment->rows) {
          ++segment;
          row = 0;
        }
      }
      ctx.channel.send_bits(corrections);
    }
  }

  Words online(Context& ctx, std::uint64_t counter, std::uint64_t batch, std::span<const Word> v) override {
    begin_online(counter, batch, v.size());
    if (fits_lane32(spec_.shape.ring))
      return ServerRun<std::uint32_t>(ctx, spec_, codes_, keys_, counter, batch, v).run();
    return ServerRun<std::uint64_t>(ctx, spec_, codes_, keys_, counter, batch, v).run();
  }

 private:
  std::span<const std::uint16_t> codes_;
};

}  // namespace

std::unique_ptr<SecretProduct> make_ot_product_server(ProductSpec spec, std::span<const std::uint16_t> codes) {
  return std::make_unique<Server>(std::move(spec), codes);
}

}  // namespace eqo
