#include "eqo/ot/kkot.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <string>
#include <utility>

#include "eqo/core/bits.h"
#include "eqo/core/error.h"
#include "eqo/ot/base_ot.h"
#include "eqo/ot/pads.h"

namespace eqo {
namespace {

constexpr std::uint64_t kTile = 64;                          // blocks of OTs that one task works on
constexpr std::uint64_t kChunkOts = std::uint64_t{1} << 16;  // OTs of one message

std::uint64_t blocks_of(std::uint64_t n) { return (n + Kkot::kBlockOts - 1) / Kkot::kBlockOts; }

void check_widths(unsigned m, unsigned w) {
  if (m < 1 || m > 8 || w < 1 || w > 64)
    throw internal_error("KKOT: m = " + std::to_string(m) + ", w = " + std::to_string(w));
}

// Calls body(first block, blocks) for each tile.
template <typename F>
void for_tiles(ThreadPool& threads, std::uint64_t blocks, const F& body) {
  threads.parallel_for((blocks + kTile - 1) / kTile, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t tile = begin; tile < end; ++tile) body(tile * kTile, std::min(kTile, blocks - tile * kTile));
  });
}

// Calls body(first, n) for the chunks of n OTs.
template <typename F>
void for_chunks(std::uint64_t n, const F& body) {
  for (std::uint64_t at = 0; at < n; at += kChunkOts) body(at, std::min(kChunkOts, n - at));
}

// Both halves of a tile's matrix to rows.
void transpose(const Blocks& columns, std::uint64_t first, std::uint64_t n, Kkot::Rows& rows) {
  const std::size_t at = first * Kkot::kBlockOts;
  detail::kernel().transpose(columns.data(), kTile, n, rows.lo.data() + at);
  detail::kernel().transpose(columns.data() + 128 * kTile, kTile, n, rows.hi.data() + at);
}

// H(index, lo || hi); one object a task, as the key schedule is secret.
class RowHash {
 public:
  ~RowHash() { explicit_bzero(&key_, sizeof key_); }
  Word operator()(Block lo, Block hi, std::uint64_t index) {
    const Block x = hi ^ Block { index, kKkotDomain };
    Block y;
    detail::kernel().expand_key(lo, key_);
    detail::kernel().ctr(key_, x, 1, &y);
    return y.lo ^ x.lo;
  }

 private:
  detail::AesKey key_;
};

std::size_t hash_grain(unsigned m) { return std::max<std::size_t>(kPadGrain >> m, 64); }

Word equal_mask(std::uint64_t a, std::uint64_t b) { return Word{0} - (((a ^ b) - 1) >> 63); }

// Masks and sends n instances; message(i, v) is message v of instance i.
template <typename F>
void transfer(Context& ctx, Kkot& kkot, unsigned m, unsigned w, std::uint64_t n, const F& message) {
  const std::size_t values = std::size_t{1} << m;
  const bool one_word = values * w <= 64;
  const Ring ring(w);
  std::array<Kkot::Word256, 256> selected;
  for (std::size_t v = 0; v < values; ++v) selected[v] = kkot.selected(static_cast<unsigned>(v));
  for_chunks(n, [&](std::uint64_t first, std::uint64_t count) {
    const Bytes request = ctx.channel.recv(blocks_of(count) * Kkot::kBlockMessageBytes);
    const Kkot::Rows rows = kkot.send_rows(request);
    Words reply(one_word ? count : count * values);
    ctx.threads.parallel_for(count, hash_grain(m), [&](std::size_t begin, std::size_t end) {
      RowHash hash;
      for (std::size_t i = begin; i < end; ++i) {
        Word all = 0;
        for (std::size_t v = 0; v < values; ++v) {
          const Word pad = hash(rows.lo[i] ^ selected[v].lo, rows.hi[i] ^ selected[v].hi, rows.first + i);
          const Word masked = ring.reduce(message(first + i, v) ^ pad);
          if (one_word) {
            all |= masked << (v * w);
          } else {
            reply[i * values + v] = masked;
          }
        }
        if (one_word) reply[i] = all;
      }
    });
    ctx.channel.send_words(reply, one_word ? static_cast<unsigned>(values * w) : w);
  });
  explicit_bzero(selected.data(), sizeof selected);
}

}  // namespace

Kkot::Kkot(Channel& channel, Prg& prg, ThreadPool& threads)
    : threads_(threads), first_(kCodeBits), second_(kCodeBits), chosen_(kCodeBits), secret_(kCodeBits) {
  prg.fill_bits(secret_);
  const BaseOts base = base_ots(channel, prg, threads, secret_);
  for (std::size_t j = 0; j < kCodeBits; ++j) {
    detail::kernel().expand_key(base.sent[j][0], first_[j]);
    detail::kernel().expand_key(base.sent[j][1], second_[j]);
    detail::kernel().expand_key(base.received[j], chosen_[j]);
    Block& half = j < 128 ? s_.lo : s_.hi;
    (j % 128 < 64 ? half.lo : half.hi) |= std::uint64_t{secret_[j]} << (j % 64);
  }
}

Kkot::~Kkot() { explicit_bzero(&s_, sizeof s_); }

Kkot::Word256 Kkot::selected(unsigned v) const {
  std::array<std::uint64_t, 4> code{};
  for (unsigned j = 0; j < kCodeBits; ++j)
    code[j / 64] |= std::uint64_t{static_cast<unsigned>(std::popcount(v & j)) & 1U} << (j % 64);
  return {s_.lo & Block{code[0], code[1]}, s_.hi & Block{code[2], code[3]}};
}

Kkot::Rows Kkot::receive_rows(unsigned m, std::span<const std::uint8_t> choices, std::span<std::byte> message) {
  const std::uint64_t blocks = blocks_of(choices.size());
  if (message.size() != blocks * kBlockMessageBytes) throw internal_error("KKOT: a message of the wrong size");
  Rows rows{Blocks(blocks * kBlockOts), Blocks(blocks * kBlockOts), received_blocks_ * kBlockOts};
  for_tiles(threads_, blocks, [&](std::uint64_t first, std::uint64_t n) {
    Blocks columns(kCodeBits * kTile), planes(m * kTile), sum(kTile);
    const std::size_t begin = first * kBlockOts, end = std::min<std::size_t>(choices.size(), (first + n) * kBlockOts);
    for (std::size_t i = begin; i < end; ++i) {
      const std::size_t at = i - begin;
      for (unsigned b = 0; b < m; ++b) {
        Block& plane = planes[b * kTile + at / 128];
        (at % 128 < 64 ? plane.lo : plane.hi) |= std::uint64_t{(choices[i] >> b) & 1U} << (at % 64);
      }
    }
    std::byte* out = message.data() + first * kBlockMessageBytes;
    for (std::size_t j = 0; j < kCodeBits; ++j, out += n * sizeof(Block)) {
      Block* const column = columns.data() + j * kTile;
      detail::kernel().ctr(first_[j], {received_blocks_ + first, 0}, n, column);
      detail::kernel().ctr(second_[j], {received_blocks_ + first, 0}, n, sum.data());
      for (std::size_t i = 0; i < n; ++i) sum[i] ^= column[i];
      for (unsigned b = 0; b < m; ++b)
        if ((j >> b & 1) != 0)
          for (std::size_t i = 0; i < n; ++i) sum[i] ^= planes[b * kTile + i];
      std::memcpy(out, sum.data(), n * sizeof(Block));
    }
    transpose(columns, first, n, rows);
  });
  received_blocks_ += blocks;
  return rows;
}

Kkot::Rows Kkot::send_rows(std::span<const std::byte> message) {
  const std::uint64_t blocks = message.size() / kBlockMessageBytes;
  if (message.size() % kBlockMessageBytes != 0) throw internal_error("KKOT: a message of the wrong size");
  Rows rows{Blocks(blocks * kBlockOts), Blocks(blocks * kBlockOts), sent_blocks_ * kBlockOts};
  for_tiles(threads_, blocks, [&](std::uint64_t first, std::uint64_t n) {
    Blocks columns(kCodeBits * kTile), theirs(kTile);
    const std::byte* in = message.data() + first * kBlockMessageBytes;
    for (std::size_t j = 0; j < kCodeBits; ++j, in += n * sizeof(Block)) {
      Block* const column = columns.data() + j * kTile;
      detail::kernel().ctr(chosen_[j], {sent_blocks_ + first, 0}, n, column);
      std::memcpy(static_cast<void*>(theirs.data()), in, n * sizeof(Block));
      for (std::size_t i = 0; i < n; ++i) column[i] ^= masked(secret_[j], theirs[i]);
    }
    transpose(columns, first, n, rows);
  });
  sent_blocks_ += blocks;
  return rows;
}

KkotReceiver::KkotReceiver(Context& ctx, Kkot& kkot, unsigned m, unsigned w, std::span<const std::uint8_t> choices)
    : ctx_(ctx), m_(m), w_(w), choices_(choices.begin(), choices.end()), pads_(choices.size()) {
  check_widths(m, w);
  const Ring ring(w);
  for (std::uint8_t& c : choices_) c = static_cast<std::uint8_t>(c & Ring(m).mask());
  for_chunks(choices_.size(), [&](std::uint64_t first, std::uint64_t count) {
    Bytes request(blocks_of(count) * Kkot::kBlockMessageBytes);
    const Kkot::Rows rows = kkot.receive_rows(m, std::span(choices_).subspan(first, count), request);
    ctx.channel.send(request);
    ctx.threads.parallel_for(count, kPadGrain, [&](std::size_t begin, std::size_t end) {
      RowHash hash;
      for (std::size_t i = begin; i < end; ++i)
        pads_[first + i] = ring.reduce(hash(rows.lo[i], rows.hi[i], rows.first + i));
    });
  });
}

Words KkotReceiver::finish() {
  const std::size_t values = std::size_t{1} << m_;
  const Ring ring(w_);
  for_chunks(pads_.size(), [&](std::uint64_t first, std::uint64_t count) {
    if (values * w_ <= 64) {
      const Words tables = ctx_.channel.recv_words(count, static_cast<unsigned>(values * w_));
      // A shift takes the same time for any count.
      for (std::size_t i = 0; i < count; ++i) pads_[first + i] ^= ring.reduce(tables[i] >> (choices_[first + i] * w_));
    } else {
      const Words all = ctx_.channel.recv_words(count * values, w_);
      for (std::size_t i = 0; i < count; ++i)
        for (std::size_t v = 0; v < values; ++v)
          pads_[first + i] ^= all[i * values + v] & equal_mask(v, choices_[first + i]);
    }
  });
  choices_.clear();
  return std::move(pads_);
}

void kkot_transfer(Context& ctx, Kkot& kkot, unsigned m, unsigned w, std::span<const Word> messages) {
  check_widths(m, w);
  const std::size_t values = std::size_t{1} << m;
  if (messages.size() % values != 0) throw internal_error("KKOT: the number of messages");
  transfer(ctx, kkot, m, w, messages.size() / values,
           [&](std::size_t i, std::size_t v) { return messages[i * values + v]; });
}

void kkot_transfer_tables(Context& ctx, Kkot& kkot, unsigned m, unsigned w, std::span<const Word> tables) {
  check_widths(m, w);
  if (w << m > 64) throw internal_error("KKOT: a table of more than 64 bits");
  transfer(ctx, kkot, m, w, tables.size(), [&](std::size_t i, std::size_t v) { return tables[i] >> (v * w); });
}

void kkot_setup_cost(CostMeter& meter) { base_ot_cost(meter, Kkot::kCodeBits); }

void kkot_request_cost(CostMeter& meter, Party sender, std::uint64_t n) {
  for_chunks(n, [&](std::uint64_t, std::uint64_t count) {
    meter.send(other(sender), blocks_of(count) * Kkot::kBlockMessageBytes);
  });
}

void kkot_reply_cost(CostMeter& meter, Party sender, unsigned m, unsigned w, std::uint64_t n) {
  check_widths(m, w);
  for_chunks(n, [&](std::uint64_t, std::uint64_t count) { meter.send(sender, packed_bytes(count << m, w)); });
}

void kkot_cost(CostMeter& meter, Party sender, unsigned m, unsigned w, std::uint64_t n) {
  kkot_request_cost(meter, sender, n);
  kkot_reply_cost(meter, sender, m, w, n);
}

}  // namespace eqo
