#include "eqo/ot/silent_pool.h"

#include <algorithm>

#include "eqo/ot/cot_store.h"
#include "eqo/ot/ferret.h"
#include "eqo/ot/silent_schedule.h"
#include "eqo/ot/softspoken_pool.h"

namespace eqo {
namespace {

using detail::Store, detail::Window;

// One direction, either end. `have` elements from window.begin on are made and not taken; the first window.left of them
// are reserved.
struct Direction {
  explicit Direction(const LpnSet& set) : schedule(set) {}
  SilentSchedule schedule;
  SilentSchedule::Step step;
  std::uint64_t done = 0;  // iterations of `step`
  std::uint64_t made = 0;  // COTs so far, seeds included: the code's next row
  std::size_t have = 0;
  Window window;
  Store<Block> blocks;
  Blocks seeds;

  bool busy() const { return done < step.all(); }
  const LpnSet& set() const { return schedule.set_of(step, done); }
  // An iteration writes behind what is there, seeds for the next one last.
  std::span<Block> room() { return std::span(blocks.data).subspan(have, set().outputs()); }
  std::size_t kept() const { return set().outputs() - schedule.set().seeds(); }

  std::uint64_t turn_bytes() const {
    std::uint64_t bytes = 0;
    for (std::uint64_t i = done; i < std::min(done + schedule.turn(), step.all()); ++i)
      bytes += schedule.set_of(step, i).message_bytes(schedule.set_of(step, i).trees);
    return bytes;
  }

  void plan(std::uint64_t n) {
    step = schedule.reserve(n);
    done = 0;
    window.left += n;
  }
  void make_room() {
    if (step.all() == 0) return;
    blocks.make_room(window.begin, have, schedule.made(step) + schedule.set().seeds());
  }
  void iterated() {
    const std::span<const Block> last = room().subspan(kept());
    if (seeds.size() != last.size()) seeds = Blocks(last.size());
    std::copy(last.begin(), last.end(), seeds.begin());
    made += set().outputs();
    have += kept();
    ++done;
  }
};

class SilentPool final : public OtPool {
 public:
  SilentPool(Channel& channel, Prg& prg, ThreadPool& threads, const std::array<LpnSet, 2>& sets)
      : channel_(channel),
        threads_(threads),
        sent_(sets[static_cast<std::size_t>(channel.party())]),
        received_(sets[1 - static_cast<std::size_t>(channel.party())]),
        forest_(SilentSchedule::kSeedK),
        start_(softspoken_setup(channel, prg, threads, forest_)),
        delta_(start_.sender->delta()) {}
  ~SilentPool() override { explicit_bzero(static_cast<void*>(&delta_), sizeof delta_); }

  void reserve(std::uint64_t as_sender, std::uint64_t as_receiver) override {
    detail::check_cots(as_sender);
    detail::check_cots(as_receiver);
    sent_.plan(as_sender);
    received_.plan(as_receiver);
    if (received_.step.start) start_receiver();
    if (sent_.step.start) start_sender();
    make_room();
    while (sent_.busy() && received_.busy()) both_ways();
    while (sent_.busy()) send_iteration([this](std::span<const std::byte> message) { channel_.send(message); });
    while (received_.busy()) receive_iteration([this](std::span<std::byte> message) { channel_.recv(message); });
  }

  CotSenderBatch take_sender(std::size_t n) override {
    const std::uint64_t index = sent_.window.index;
    const std::size_t at = sent_.window.take(n, "sender");
    sent_.have -= n;
    return {std::span(sent_.blocks.data).subspan(at, n), delta_, index};
  }
  CotReceiverBatch take_receiver(std::size_t n) override {
    const std::uint64_t index = received_.window.index;
    const std::size_t at = received_.window.take(n, "receiver");
    received_.have -= n;
    return {std::span(received_.blocks.data).subspan(at, n), std::span(choices_.data).subspan(at, n), index};
  }
  std::uint64_t sender_left() const override { return sent_.window.left; }
  std::uint64_t receiver_left() const override { return received_.window.left; }

 private:
  void start_receiver() {
    const std::size_t n = received_.schedule.first_set().seeds();
    const std::uint64_t blocks = softspoken_blocks(n);
    received_.seeds = Blocks(blocks * kCotsPerBlock);
    seed_choices_ = Bits(blocks * kCotsPerBlock);
    std::vector<std::byte> message(softspoken_message_bytes(forest_, blocks));
    start_.receiver->extend(received_.seeds, seed_choices_, message);
    start_.receiver.reset();
    channel_.send(message);
    received_.seeds.resize(n);
    seed_choices_.resize(n);
  }

  void start_sender() {
    const std::size_t n = sent_.schedule.first_set().seeds();
    const std::uint64_t blocks = softspoken_blocks(n);
    sent_.seeds = Blocks(blocks * kCotsPerBlock);
    std::vector<std::byte> message(softspoken_message_bytes(forest_, blocks));
    channel_.recv(message);
    start_.sender->extend(sent_.seeds, message);
    start_.sender.reset();
    sent_.seeds.resize(n);
  }

  void make_room() {
    if (received_.step.all() > 0)
      choices_.make_room(received_.window.begin, received_.have,
                         received_.schedule.made(received_.step) + received_.schedule.set().seeds());
    for (Direction* d : {&sent_, &received_}) {
      d->make_room();
      if (d->step.all() > 0) d->window.begin = 0;
    }
  }

  // One message each, since several would be as many flights.
  void both_ways() {
    std::vector<std::byte> message;
    message.reserve(std::max(sent_.turn_bytes(), received_.turn_bytes()));
    for (std::uint64_t i = 0; i < sent_.schedule.turn() && sent_.busy(); ++i)
      send_iteration([&](std::span<const std::byte> m) { message.insert(message.end(), m.begin(), m.end()); });
    channel_.send(message);
    message.resize(received_.turn_bytes());
    channel_.recv(message);
    std::span<const std::byte> rest(message);
    for (std::uint64_t i = 0; i < received_.schedule.turn() && received_.busy(); ++i)
      receive_iteration([&](std::span<std::byte> m) {
        std::copy_n(rest.begin(), m.size(), m.begin());
        rest = rest.subspan(m.size());
      });
  }

  void send_iteration(const SendMessage& send) {
    ferret_send(sent_.set(), sent_.made, delta_, sent_.seeds, sent_.room(), threads_, send);
    sent_.iterated();
  }

  void receive_iteration(const ReceiveMessage& receive) {
    const std::span<std::uint8_t> choices = std::span(choices_.data).subspan(received_.have, received_.set().outputs());
    ferret_receive(received_.set(), received_.made, received_.seeds, seed_choices_, received_.room(), choices, threads_,
                   receive);
    const std::span<const std::uint8_t> last = choices.subspan(received_.kept());
    seed_choices_.assign(last.begin(), last.end());
    received_.iterated();
  }

  Channel& channel_;
  ThreadPool& threads_;
  Direction sent_, received_;
  Store<std::uint8_t> choices_;
  Bits seed_choices_;
  Forest forest_;
  SoftSpokenPair start_;
  Block delta_;
};

}  // namespace

std::unique_ptr<OtPool> make_silent_pool(Channel& channel, Prg& prg, ThreadPool& threads,
                                         const std::array<LpnSet, 2>& sets) {
  return std::make_unique<SilentPool>(channel, prg, threads, sets);
}

}  // namespace eqo
