#include "eqo/peers/cross_product.h"

#include <algorithm>

#include "eqo/core/bits.h"
#include "eqo/core/ct.h"
#include "eqo/core/error.h"
#include "eqo/crypto/hash.h"
#include "eqo/ot/pads.h"
#include "eqo/protocols/local.h"

namespace eqo::peers {
namespace {

constexpr std::uint64_t kRequestBits = std::uint64_t{1} << 23;  // of one message
constexpr std::uint64_t kReplyWords = std::uint64_t{1} << 18;

void check(const CrossShape& s) {
  if (s.bits < 1 || s.bits > s.ring.bits()) throw internal_error("cross product: the bits do not fit the ring");
}

// Calls body(first, count) for the messages of the choice corrections.
template <typename F>
void for_requests(std::uint64_t cots, const F& body) {
  for (std::uint64_t at = 0; at < cots; at += kRequestBits) body(at, std::min(kRequestBits, cots - at));
}

// The COTs of one message: elements [first, first + count) of R, their bit `bit`.
struct Piece {
  std::uint64_t cot = 0, first = 0, count = 0;
  unsigned bit = 0, width = 0;  // width: of its words
};
template <typename F>
void for_pieces(const CrossShape& s, const F& body) {
  const std::uint64_t elements = s.rows * s.inner;
  const std::uint64_t step = std::max<std::uint64_t>(1, kReplyWords / std::max<std::uint64_t>(1, s.cols));
  for (unsigned bit = 0; bit < s.bits; ++bit)
    for (std::uint64_t at = 0; at < elements; at += step)
      body(Piece{bit * elements + at, at, std::min(step, elements - at), bit, s.ring.bits() - bit});
}

// Words of a pad that come from a block.
std::size_t lanes_of(unsigned width) { return width <= 32 ? 4 : 2; }
std::size_t pad_blocks(unsigned width, std::uint64_t cols) { return (cols + lanes_of(width) - 1) / lanes_of(width); }

// The first out.size() words of a pad, not reduced.
void pad_words(std::span<const Block> pad, unsigned width, std::span<Word> out) {
  const std::size_t lanes = lanes_of(width), whole = out.size() / lanes;
  Word* to = out.data();
  for (std::size_t b = 0; b < whole; ++b, to += lanes) {
    to[0] = pad[b].lo;
    to[lanes / 2] = pad[b].hi;
    if (lanes == 2) continue;
    to[1] = pad[b].lo >> 32;
    to[3] = pad[b].hi >> 32;
  }
  for (std::size_t c = whole * lanes; c < out.size(); ++c) {
    const std::size_t lane = c % lanes;
    const Word half = 2 * lane < lanes ? pad[whole].lo : pad[whole].hi;
    out[c] = lanes == 4 ? half >> (lane % 2 * 32) : half;
  }
}

std::size_t grain(std::uint64_t cols) { return std::max<std::size_t>(16, kPadGrain / std::max<std::size_t>(1, cols)); }

// sum[row of element e] += (z[e] << bit), for a piece's words z; columns side by side on the threads.
void accumulate(Context& ctx, const CrossShape& s, const Piece& piece, std::span<const Word> z, std::span<Word> sum) {
  ctx.threads.parallel_for(s.cols, std::max<std::size_t>(1, kLoopGrain / piece.count + 1),
                           [&](std::size_t begin, std::size_t end) {
                             for (std::uint64_t e = 0; e < piece.count; ++e) {
                               Word* const to = sum.data() + (piece.first + e) / s.inner * s.cols;
                               const Word* const from = z.data() + e * s.cols;
                               for (std::size_t c = begin; c < end; ++c) to[c] += from[c] << piece.bit;
                             }
                           });
}

}  // namespace

Words cross_product_receive(Context& ctx, const CrossShape& shape, std::span<const Word> r) {
  check(shape);
  const std::uint64_t elements = shape.rows * shape.inner;
  require_length("cross product", r.size(), elements);
  const CotReceiverBatch cots = ctx.ot.take_receiver(shape.cots());
  for_requests(shape.cots(), [&](std::uint64_t first, std::uint64_t count) {
    Bits corrections(count);
    for (std::uint64_t e = 0; e < count; ++e) {
      const std::uint64_t cot = first + e;
      corrections[e] = static_cast<std::uint8_t>((r[cot % elements] >> (cot / elements) ^ cots.choices[cot]) & 1U);
    }
    ctx.channel.send_bits(corrections);
  });
  Words sum(shape.rows * shape.cols);
  for_pieces(shape, [&](const Piece& piece) {
    Words z = ctx.channel.recv_words(piece.count * shape.cols, piece.width);
    const std::size_t blocks = pad_blocks(piece.width, shape.cols);
    ctx.threads.parallel_for(piece.count, grain(shape.cols), [&](std::size_t begin, std::size_t end) {
      Blocks pad(blocks);
      Words words(shape.cols);
      for (std::size_t e = begin; e < end; ++e) {
        hash_expand(cots.t.subspan(piece.cot + e, 1), kCotProductDomain, blocks, pad);
        pad_words(pad, piece.width, words);
        const Word choice = ct::mask_from_bit(r[piece.first + e] >> piece.bit);
        Word* const row = z.data() + e * shape.cols;
        for (std::size_t c = 0; c < shape.cols; ++c) row[c] = words[c] + (row[c] & choice);
      }
    });
    accumulate(ctx, shape, piece, z, sum);
  });
  for (Word& w : sum) w = shape.ring.reduce(w);
  return sum;
}

Words cross_product_send(Context& ctx, const CrossShape& shape, std::span<const Word> s) {
  check(shape);
  require_length("cross product", s.size(), shape.inner * shape.cols);
  const CotSenderBatch cots = ctx.ot.take_sender(shape.cots());
  Bits corrections(shape.cots());
  for_requests(shape.cots(), [&](std::uint64_t first, std::uint64_t count) {
    const Bits got = ctx.channel.recv_bits(count);
    std::copy(got.begin(), got.end(), corrections.begin() + static_cast<std::ptrdiff_t>(first));
  });
  Words sum(shape.rows * shape.cols);
  for_pieces(shape, [&](const Piece& piece) {
    const Ring ring(piece.width);
    Words message(piece.count * shape.cols), z(piece.count * shape.cols);
    const std::size_t blocks = pad_blocks(piece.width, shape.cols);
    ctx.threads.parallel_for(piece.count, grain(shape.cols), [&](std::size_t begin, std::size_t end) {
      Blocks pad(blocks), zero(1), one(1);
      Words words(shape.cols);
      for (std::size_t e = begin; e < end; ++e) {
        corrected_keys(cots, piece.cot + e, std::span(corrections).subspan(piece.cot + e, 1), zero, one);
        const std::span<Word> own = std::span(z).subspan(e * shape.cols, shape.cols);
        hash_expand(zero, kCotProductDomain, blocks, pad);
        pad_words(pad, piece.width, own);
        hash_expand(one, kCotProductDomain, blocks, pad);
        pad_words(pad, piece.width, words);
        const Word* const row = s.data() + (piece.first + e) % shape.inner * shape.cols;
        Word* const out = message.data() + e * shape.cols;
        for (std::size_t c = 0; c < shape.cols; ++c) out[c] = ring.reduce(own[c] + row[c] - words[c]);
      }
    });
    ctx.channel.send_words(message, piece.width);
    accumulate(ctx, shape, piece, z, sum);
  });
  for (Word& w : sum) w = shape.ring.neg(w);
  return sum;
}

void cross_product_cost(CostMeter& meter, Party sender, const CrossShape& shape) {
  check(shape);
  meter.cots(sender, shape.cots());
  for_requests(shape.cots(),
               [&](std::uint64_t, std::uint64_t count) { meter.send(other(sender), packed_bytes(count, 1)); });
  for_pieces(shape,
             [&](const Piece& piece) { meter.send(sender, packed_bytes(piece.count * shape.cols, piece.width)); });
}

}  // namespace eqo::peers
