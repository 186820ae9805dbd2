#include "eqo/ot/one_of_many.h"

#include <algorithm>
#include <string>
#include <utility>

#include "eqo/core/bits.h"
#include "eqo/core/ct.h"
#include "eqo/crypto/hash.h"
#include "eqo/ot/pads.h"

namespace eqo {
namespace {

// An instance's messages side by side: message v is bits [v * w, (v + 1) * w) of a table. Its mask is the xor over j of
// these bits of the pad of key (j, bit j of v): for a v other than the choice at least one pad is unknown to the
// receiver, and no two messages use the same bits of it.
struct Layout {
  unsigned m, w;
  std::size_t values, blocks;  // messages an instance, blocks of a pad

  Layout(unsigned choice_bits, unsigned message_bits) : m(choice_bits), w(message_bits) {
    if (m < 1 || m > 8 || w < 1 || w > 64)
      throw internal_error("one-of-many OT: m = " + std::to_string(m) + ", w = " + std::to_string(w));
    values = std::size_t{1} << m;
    blocks = (values * w + 127) / 128;
  }
  bool one_word() const { return values * w <= 64; }
  std::size_t table_bits() const { return values * w; }
  // Word k of a table: ones at the messages v with bit j set.
  Word bit_mask(unsigned j, std::size_t k) const {
    Word mask = 0;
    for (std::size_t p = 0; p < 64; ++p) mask |= Word{((64 * k + p) / w >> j) & 1} << p;
    return mask;
  }
};

// Message v of a table of several words.
Word message_at(const Word* table, std::size_t v, unsigned w) {
  const std::size_t bit = v * w, k = bit / 64, s = bit % 64;
  Word x = table[k] >> s;
  if (s + w > 64) x |= table[k + 1] << (64 - s);
  return x & Ring(w).mask();
}

Word equal_mask(std::uint64_t a, std::uint64_t b) { return ct::mask_from_bit(((a ^ b) - 1) >> 63); }

// Calls body(first instance, instances) in batches of about kPadBatch COTs.
template <typename F>
void for_batches(const Layout& layout, std::size_t begin, std::size_t end, const F& body) {
  const std::size_t step = kPadBatch / layout.m;
  for (std::size_t at = begin; at < end; at += step) body(at, std::min(step, end - at));
}

std::uint64_t domain_of(std::size_t block) { return kOneOfManyDomain | std::uint64_t{block} << 32; }

// The sender's masks, as tables of 2 * blocks words each, for a range of instances.
class SenderPads {
 public:
  SenderPads(const Layout& layout, const CotSenderBatch& cots, const Bits& corrections)
      : layout_(layout),
        cots_(cots),
        corrections_(corrections),
        zero_(kPadBatch),
        one_(kPadBatch),
        pad0_(kPadBatch),
        pad1_(kPadBatch),
        tables_((kPadBatch / layout.m) * 2 * layout.blocks),
        masks_(layout.m * 2 * layout.blocks) {
    for (unsigned j = 0; j < layout.m; ++j)
      for (std::size_t k = 0; k < 2 * layout.blocks; ++k) masks_[k * layout.m + j] = layout.bit_mask(j, k);
  }

  const Word* make(std::size_t first, std::size_t n) {
    const unsigned m = layout_.m;
    const std::size_t at = first * m, cots = n * m, words = 2 * layout_.blocks;
    const auto zero = std::span(zero_).first(cots), one = std::span(one_).first(cots);
    const auto pad0 = std::span(pad0_).first(cots), pad1 = std::span(pad1_).first(cots);
    corrected_keys(cots_, at, std::span(corrections_).subspan(at, cots), zero, one);
    for (std::size_t b = 0; b < layout_.blocks; ++b) {
      hash_blocks(zero, domain_of(b), cots_.first_index + at, pad0);
      hash_blocks(one, domain_of(b), cots_.first_index + at, pad1);
      const Word* const lo = &masks_[2 * b * m];
      const Word* const hi = lo + m;
      for (std::size_t i = 0; i < n; ++i) {
        Block sum;
        for (unsigned j = 0; j < m; ++j) {
          const Block p0 = pad0[i * m + j], p1 = pad1[i * m + j];
          sum ^= p0 ^ ((p0 ^ p1) & Block{lo[j], hi[j]});
        }
        tables_[i * words + 2 * b] = sum.lo;
        tables_[i * words + 2 * b + 1] = sum.hi;
      }
    }
    return tables_.data();
  }

 private:
  const Layout& layout_;
  const CotSenderBatch& cots_;
  const Bits& corrections_;
  Blocks zero_, one_, pad0_, pad1_;
  Words tables_, masks_;
};

std::size_t grain(const Layout& layout) { return kPadGrain / layout.m; }

}  // namespace

OneOfManyReceiver::OneOfManyReceiver(Context& ctx, unsigned m, unsigned w, std::span<const std::uint8_t> choices)
    : ctx_(ctx), m_(m), w_(w), choices_(choices.begin(), choices.end()), pads_(choices.size()) {
  const Layout layout(m, w);
  const std::size_t n = choices.size();
  const CotReceiverBatch cots = ctx.ot.take_receiver(n * m);
  Bits corrections(n * m);
  for (std::size_t i = 0; i < n; ++i) {
    choices_[i] = static_cast<std::uint8_t>(choices_[i] & (layout.values - 1));
    for (unsigned j = 0; j < m; ++j)
      corrections[i * m + j] = static_cast<std::uint8_t>(((choices_[i] >> j) ^ cots.choices[i * m + j]) & 1U);
  }
  ctx.channel.send_bits(corrections);

  ctx.threads.parallel_for(n, grain(layout), [&](std::size_t begin, std::size_t end) {
    Blocks pads(kPadBatch);
    Words tables((kPadBatch / m) * 2 * layout.blocks);
    for_batches(layout, begin, end, [&](std::size_t first, std::size_t count) {
      const std::size_t words = 2 * layout.blocks;
      for (std::size_t b = 0; b < layout.blocks; ++b) {
        hash_blocks(cots.t.subspan(first * m, count * m), domain_of(b), cots.first_index + first * m,
                    std::span(pads).first(count * m));
        for (std::size_t i = 0; i < count; ++i) {
          Block sum;
          for (unsigned j = 0; j < m; ++j) sum ^= pads[i * m + j];
          tables[i * words + 2 * b] = sum.lo;
          tables[i * words + 2 * b + 1] = sum.hi;
        }
      }
      for (std::size_t i = 0; i < count; ++i) {
        const Word* const table = &tables[i * words];
        Word pad = 0;
        if (layout.one_word()) {
          pad = table[0] >> (choices_[first + i] * w) & Ring(w).mask();  // a shift takes the same time for any count
        } else {
          for (std::size_t v = 0; v < layout.values; ++v)
            pad |= message_at(table, v, w) & equal_mask(v, choices_[first + i]);
        }
        pads_[first + i] = pad;
      }
    });
  });
}

Words OneOfManyReceiver::finish() { return finish(false); }
Words OneOfManyReceiver::finish_shares() { return finish(true); }

Words OneOfManyReceiver::finish(bool shares) {
  const Layout layout(m_, w_);
  const std::size_t n = pads_.size(), skipped = shares ? 1 : 0, sent = layout.values - skipped;
  if (layout.one_word()) {
    const unsigned low = shares ? w_ : 0;  // message 0, which is not sent, reads as 0
    const Words tables = ctx_.channel.recv_words(n, static_cast<unsigned>(layout.table_bits()) - low);
    for (std::size_t i = 0; i < n; ++i) pads_[i] ^= tables[i] << low >> (choices_[i] * w_) & Ring(w_).mask();
  } else {
    const Words all = ctx_.channel.recv_words(n * sent, w_);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t v = 0; v < sent; ++v) pads_[i] ^= all[i * sent + v] & equal_mask(v + skipped, choices_[i]);
    }
  }
  choices_.clear();
  return std::move(pads_);
}

namespace {

// Sends all messages, or all but message 0 and returns the shares.
Words send_tables(Context& ctx, unsigned m, unsigned w, std::span<const Word> tables, bool shares) {
  const Layout layout(m, w);
  if (!layout.one_word()) throw internal_error("one-of-many OT: a table of more than 64 bits");
  const std::size_t n = tables.size();
  const CotSenderBatch cots = ctx.ot.take_sender(n * m);
  const Bits corrections = ctx.channel.recv_bits(n * m);
  const Ring table_ring(static_cast<unsigned>(layout.table_bits())), ring(w);
  Word ones = 0;  // the lowest bit of each message
  for (std::size_t v = 0; v < layout.values; ++v) ones |= Word{1} << (v * w);
  Words message(n), share(shares ? n : 0);
  ctx.threads.parallel_for(n, grain(layout), [&](std::size_t begin, std::size_t end) {
    SenderPads pads(layout, cots, corrections);
    for_batches(layout, begin, end, [&](std::size_t first, std::size_t count) {
      const Word* const pad = pads.make(first, count);
      for (std::size_t i = 0; i < count; ++i) {
        const Word masked = table_ring.reduce(tables[first + i] ^ pad[2 * i]);
        if (shares) {
          share[first + i] = ring.reduce(masked);
          message[first + i] = (masked ^ ones * share[first + i]) >> w;
        } else {
          message[first + i] = masked;
        }
      }
    });
  });
  ctx.channel.send_words(message, table_ring.bits() - (shares ? w : 0));
  return share;
}

Words send_messages(Context& ctx, unsigned m, unsigned w, std::span<const Word> messages, bool shares) {
  const Layout layout(m, w);
  if (messages.size() % layout.values != 0) throw internal_error("one-of-many OT: the number of messages");
  const std::size_t n = messages.size() / layout.values;
  const Ring ring(w);
  if (layout.one_word()) {
    Words tables(n);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t v = 0; v < layout.values; ++v)
        tables[i] |= ring.reduce(messages[i * layout.values + v]) << (v * w);
    }
    return send_tables(ctx, m, w, tables, shares);
  }
  const CotSenderBatch cots = ctx.ot.take_sender(n * m);
  const Bits corrections = ctx.channel.recv_bits(n * m);
  const std::size_t skipped = shares ? 1 : 0, sent = layout.values - skipped;
  Words message(n * sent), share(shares ? n : 0);
  ctx.threads.parallel_for(n, grain(layout), [&](std::size_t begin, std::size_t end) {
    SenderPads pads(layout, cots, corrections);
    for_batches(layout, begin, end, [&](std::size_t first, std::size_t count) {
      const Word* const pad = pads.make(first, count);
      for (std::size_t i = 0; i < count; ++i) {
        const auto masked = [&](std::size_t v) {
          return ring.reduce(messages[(first + i) * layout.values + v] ^ message_at(pad + i * 2 * layout.blocks, v, w));
        };
        Word own = 0;
        if (shares) share[first + i] = own = masked(0);
        for (std::size_t v = skipped; v < layout.values; ++v)
          message[(first + i) * sent + v - skipped] = masked(v) ^ own;
      }
    });
  });
  ctx.channel.send_words(message, w);
  return share;
}

}  // namespace

void one_of_many_transfer_tables(Context& ctx, unsigned m, unsigned w, std::span<const Word> tables) {
  send_tables(ctx, m, w, tables, false);
}

void one_of_many_transfer(Context& ctx, unsigned m, unsigned w, std::span<const Word> messages) {
  send_messages(ctx, m, w, messages, false);
}

Words one_of_many_shares_of_tables(Context& ctx, unsigned m, unsigned w, std::span<const Word> tables) {
  return send_tables(ctx, m, w, tables, true);
}

Words one_of_many_shares(Context& ctx, unsigned m, unsigned w, std::span<const Word> messages) {
  return send_messages(ctx, m, w, messages, true);
}

void one_of_many_cost(CostMeter& meter, Party sender, unsigned m, unsigned w, std::uint64_t n) {
  const Layout layout(m, w);
  meter.cots(sender, n * m);
  meter.send(other(sender), packed_bytes(n * m, 1));
  meter.send(sender, packed_bytes(n * layout.values, w));
}

void one_of_many_shares_cost(CostMeter& meter, Party sender, unsigned m, unsigned w, std::uint64_t n) {
  const Layout layout(m, w);
  meter.cots(sender, n * m);
  meter.send(other(sender), packed_bytes(n * m, 1));
  meter.send(sender, packed_bytes(n * (layout.values - 1), w));
}

}  // namespace eqo
