#include "eqo/ot/softspoken_pool.h"

#include <algorithm>
#include <string>

#include "eqo/core/error.h"
#include "eqo/ot/base_ot.h"
#include "eqo/ot/cot_store.h"
#include "eqo/ot/pprf.h"

namespace eqo {
namespace {

using detail::kBothWaysBytes, detail::Store, detail::Window;

constexpr std::uint64_t kBaseOts = 128;
// One way, the receiver's work and the sender's overlap message by message.
constexpr std::uint64_t kOneWayBlocks = 512;

std::uint64_t message_blocks(const Forest& forest, std::uint64_t one, std::uint64_t other) {
  if (one == 0 || other == 0) return kOneWayBlocks;
  return kBothWaysBytes / softspoken_message_bytes(forest, 1) / kTileBlocks * kTileBlocks;
}

// The blocks of [begin, all) that the message at `begin` covers.
std::uint64_t covered(std::uint64_t begin, std::uint64_t all, std::uint64_t step) {
  return begin < all ? std::min(step, all - begin) : 0;
}

class SoftSpokenPool final : public OtPool {
 public:
  SoftSpokenPool(Channel& channel, Prg& prg, ThreadPool& threads, const Forest& forest)
      : channel_(channel), forest_(forest) {
    SoftSpokenPair pair = softspoken_setup(channel, prg, threads, forest);
    sender_ = std::move(pair.sender);
    receiver_ = std::move(pair.receiver);
  }

  void reserve(std::uint64_t as_sender, std::uint64_t as_receiver) override {
    const std::uint64_t send_blocks = softspoken_blocks(as_sender), receive_blocks = softspoken_blocks(as_receiver);
    q_.make_room(sent_.begin, sent_.left, send_blocks * kCotsPerBlock);
    t_.make_room(received_.begin, received_.left, receive_blocks * kCotsPerBlock);
    choices_.make_room(received_.begin, received_.left, receive_blocks * kCotsPerBlock);
    sent_.begin = received_.begin = 0;
    const std::span<Block> q = std::span(q_.data).subspan(sent_.left);
    const std::span<Block> t = std::span(t_.data).subspan(received_.left);
    const std::span<std::uint8_t> choices = std::span(choices_.data).subspan(received_.left);
    const std::uint64_t step = message_blocks(forest_, send_blocks, receive_blocks);
    const std::uint64_t all = std::max(send_blocks, receive_blocks);
    std::vector<std::byte> buffer(softspoken_message_bytes(forest_, std::min(step, all)));
    for (std::uint64_t first = 0; first < all; first += step) {
      const std::size_t at = first * kCotsPerBlock;
      if (const std::uint64_t n = covered(first, receive_blocks, step); n > 0) {
        const auto message = std::span(buffer).first(softspoken_message_bytes(forest_, n));
        receiver_->extend(t.subspan(at, n * kCotsPerBlock), choices.subspan(at, n * kCotsPerBlock), message);
        channel_.send(message);
      }
      if (const std::uint64_t n = covered(first, send_blocks, step); n > 0) {
        const auto message = std::span(buffer).first(softspoken_message_bytes(forest_, n));
        channel_.recv(message);
        sender_->extend(q.subspan(at, n * kCotsPerBlock), message);
      }
    }
    sent_.left += as_sender;
    received_.left += as_receiver;
  }

  CotSenderBatch take_sender(std::size_t n) override {
    const std::uint64_t index = sent_.index;
    const std::size_t at = sent_.take(n, "sender");
    return {std::span(q_.data).subspan(at, n), sender_->delta(), index};
  }
  CotReceiverBatch take_receiver(std::size_t n) override {
    const std::uint64_t index = received_.index;
    const std::size_t at = received_.take(n, "receiver");
    return {std::span(t_.data).subspan(at, n), std::span(choices_.data).subspan(at, n), index};
  }
  std::uint64_t sender_left() const override { return sent_.left; }
  std::uint64_t receiver_left() const override { return received_.left; }

 private:
  Channel& channel_;
  Forest forest_;
  std::unique_ptr<SoftSpokenSender> sender_;
  std::unique_ptr<SoftSpokenReceiver> receiver_;
  Store<Block> q_, t_;
  Store<std::uint8_t> choices_;
  Window sent_, received_;
};

}  // namespace

std::uint64_t softspoken_blocks(std::uint64_t n) {
  detail::check_cots(n);
  return (n + kCotsPerBlock - 1) / kCotsPerBlock;
}

SoftSpokenPair softspoken_setup(Channel& channel, Prg& prg, ThreadPool& threads, const Forest& forest) {
  SoftSpokenPair pair;
  Bits choices(kBaseOts);
  prg.fill_bits(choices);
  const BaseOts base = base_ots(channel, prg, threads, choices);
  Blocks message(forest.message_bytes() / sizeof(Block)), leaves;
  pprf_expand(forest, base.sent, leaves, message);
  pair.receiver = std::make_unique<SoftSpokenReceiver>(forest, leaves, threads);
  channel.send(std::as_bytes(std::span(message)));
  channel.recv(std::as_writable_bytes(std::span(message)));
  Block delta;
  pprf_reconstruct(forest, base.received, choices, message, leaves, delta);
  pair.sender = std::make_unique<SoftSpokenSender>(forest, leaves, delta, threads);
  explicit_bzero(&delta, sizeof delta);
  return pair;
}

void softspoken_setup_cost(CostMeter& meter, const Forest& forest) {
  base_ot_cost(meter, kBaseOts);
  meter.exchange(forest.message_bytes(), forest.message_bytes());
}

std::unique_ptr<OtPool> make_softspoken_pool(Channel& channel, Prg& prg, ThreadPool& threads, const Forest& forest) {
  return std::make_unique<SoftSpokenPool>(channel, prg, threads, forest);
}

void softspoken_reserve_cost(CostMeter& meter, const Forest& forest, std::uint64_t server_sends,
                             std::uint64_t client_sends) {
  // COTs that the server sends are made by the client's message.
  const std::uint64_t by_client = softspoken_blocks(server_sends), by_server = softspoken_blocks(client_sends);
  const std::uint64_t step = message_blocks(forest, by_client, by_server);
  for (std::uint64_t first = 0; first < std::max(by_client, by_server); first += step)
    meter.exchange(softspoken_message_bytes(forest, covered(first, by_server, step)),
                   softspoken_message_bytes(forest, covered(first, by_client, step)));
}

}  // namespace eqo
