#include "eqo/runtime/correlations/recorder.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <tuple>

#include "eqo/crypto/kernels.h"
#include "eqo/ot/ferret.h"
#include "eqo/ot/ot_pool.h"

// What --wrap makes of the real functions' names.
#define EQO_REAL_OF(name) asm("__real_" name)
#define EQO_WRAP_OF(name) asm("__wrap_" name)
#define EQO_KERNEL "_ZN3eqo6detail6kernelEv"
#define EQO_POOL "_ZN3eqo12make_ot_poolERNS_7ChannelERNS_3PrgERNS_10ThreadPoolERKNS_9OtOptionsE"
#define EQO_SEND                                                                             \
  "_ZN3eqo11ferret_sendERKNS_6LpnSetEmNS_5BlockESt4spanIKS3_Lm18446744073709551615EES4_IS3_" \
  "Lm18446744073709551615EERNS_10ThreadPoolERKSt8functionIFvS4_IKSt4byteLm18446744073709551615EEEE"
#define EQO_RECEIVE                                                                                                    \
  "_ZN3eqo14ferret_receiveERKNS_6LpnSetEmSt4spanIKNS_5BlockELm18446744073709551615EES3_IKhLm18446744073709551615EES3_" \
  "IS4_Lm18446744073709551615EES3_IhLm18446744073709551615EERNS_10ThreadPoolERKSt8functionIFvS3_"                      \
  "ISt4byteLm18446744073709551615EEEE"

namespace eqo::testing {

const detail::Kernel& real_kernel() EQO_REAL_OF(EQO_KERNEL);
std::unique_ptr<OtPool> real_pool(Channel& channel, Prg& prg, ThreadPool& threads, const OtOptions& options)
    EQO_REAL_OF(EQO_POOL);
void real_send(const LpnSet& set, std::uint64_t row, Block delta, std::span<const Block> seeds, std::span<Block> out,
               ThreadPool& threads, const SendMessage& send) EQO_REAL_OF(EQO_SEND);
void real_receive(const LpnSet& set, std::uint64_t row, std::span<const Block> seeds,
                  std::span<const std::uint8_t> seed_choices, std::span<Block> out, std::span<std::uint8_t> choices,
                  ThreadPool& threads, const ReceiveMessage& receive) EQO_REAL_OF(EQO_RECEIVE);

namespace {

constexpr std::uint8_t kNobody = 2;  // a record that belongs to no party in particular

class Recorder {
 public:
  void start() {
    const std::lock_guard lock(mutex_);
    records_.clear();
    discarded_ = 0;
    overflowed_ = false;
  }
  template <typename F>
  void add(std::size_t n, const F& record) {
    const std::lock_guard lock(mutex_);
    overflowed_ = overflowed_ || records_.size() + n > kMostRecords;
    if (overflowed_) return;
    for (std::size_t i = 0; i < n; ++i)
      if (const std::optional<Record> r = record(i)) records_.push_back(*r);
  }
  void add(const Record& r) {
    add(1, [&](std::size_t) { return std::optional(r); });
  }
  std::optional<Record> discard() {
    ++discarded_;
    return {};
  }
  std::vector<Record> records() {
    const std::lock_guard lock(mutex_);
    return records_;
  }
  std::size_t discarded() {
    const std::lock_guard lock(mutex_);
    return discarded_;
  }
  bool overflowed() {
    const std::lock_guard lock(mutex_);
    return overflowed_;
  }

 private:
  std::mutex mutex_;
  std::vector<Record> records_;
  std::size_t discarded_ = 0;
  bool overflowed_ = false;
};

Recorder& recorder() {
  static Recorder r;
  return r;
}

std::atomic<Party> others{Party::kServer};
thread_local std::optional<Party> mine;

std::uint8_t me() { return static_cast<std::uint8_t>(mine.value_or(others.load())); }

// The three places where a party works on a 0 in the stead of a block that it must not know, and throws the outcome
// away: all trees and levels have the same one. Nothing else may be 0 (2^-128 by chance).
// 1. pprf_reconstruct(): the node on the path to the punctured leaf, domains kNodeDomain + level, level < 8.
bool is_unknown_node(const Block& key, std::uint64_t domain) {
  return key == Block{} && domain > 0x1000 && domain < 0x1008;
}
// 2. SoftSpokenSender: the punctured leaf's key schedule; leaf_sums(with_first = false) leaves its stream out.
// 3. half_tree_receive(): the missing node of a level.
bool is_unknown(const Block& key) { return key == Block{}; }

// One key in 16, for the uses that come in millions. Both of two equal keys are in the sample or neither is.
bool sampled(const Block& key) { return key.lo % 16 == 0; }
template <typename... Fields>
std::optional<Record> sample(Use use, const Block& key, Fields... fields) {
  if (!sampled(key)) return {};
  return Record{use, me(), key, static_cast<std::uint64_t>(fields)...};
}

void expand_key(Block key, detail::AesKey& out) {
  recorder().add(1, [&](std::size_t) {
    if (is_unknown(key)) return recorder().discard();
    return std::optional(Record{Use::kKey, me(), key, 0, 0, 1});
  });
  real_kernel().expand_key(key, out);
}

void ctr(const detail::AesKey& key, Block first, std::size_t n, Block* out) {
  if (n > 0) recorder().add({Use::kStream, kNobody, key.round[0], first.hi, first.lo, first.lo + n});
  real_kernel().ctr(key, first, n, out);
}

void hash(const Block* in, std::size_t n, std::uint64_t domain, std::uint64_t first, Block* out) {
  recorder().add(n, [&](std::size_t i) { return sample(Use::kHash, in[i], domain, first + i, first + i + 1); });
  real_kernel().hash(in, n, domain, first, out);
}

void expand(const Block* keys, std::size_t n, std::uint64_t domain, std::size_t blocks, Block* out) {
  if (blocks > 0)
    recorder().add(n, [&](std::size_t i) {
      if (is_unknown_node(keys[i], domain)) return recorder().discard();
      return sample(Use::kHash, keys[i], domain, 0, blocks);
    });
  real_kernel().expand(keys, n, domain, blocks, out);
}

void leaf_sums(const detail::AesKey* keys, unsigned depth, bool with_first, std::uint64_t counter, std::size_t n,
               Block* all, Block* rows, std::size_t stride) {
  const std::size_t skip = with_first ? 0 : 1;
  recorder().add((std::size_t{1} << depth) - skip,
                 [&](std::size_t x) { return sample(Use::kLeaf, keys[x + skip].round[0], 0, counter, counter + n); });
  real_kernel().leaf_sums(keys, depth, with_first, counter, n, all, rows, stride);
}

void half_tree_level(Block* nodes, std::size_t n, Block* sums) {
  recorder().add(n, [&](std::size_t i) {
    if (is_unknown(nodes[i])) return recorder().discard();
    return sample(Use::kTree, nodes[i], 0, 0, 1);
  });
  real_kernel().half_tree_level(nodes, n, sums);
}

void add_cots(std::span<const Block> blocks) {
  recorder().add(blocks.size(), [&](std::size_t i) { return sample(Use::kCot, blocks[i], 0, 0, 1); });
}

// A pool that says what it hands out.
class RecordedPool final : public OtPool {
 public:
  explicit RecordedPool(std::unique_ptr<OtPool> pool) : pool_(std::move(pool)) {
    static std::atomic<std::uint64_t> pools{0};
    number_ = ++pools;
  }
  void reserve(std::uint64_t as_sender, std::uint64_t as_receiver) override { pool_->reserve(as_sender, as_receiver); }
  CotSenderBatch take_sender(std::size_t n) override {
    const CotSenderBatch batch = pool_->take_sender(n);
    note(0, batch.first_index, batch.q);
    return batch;
  }
  CotReceiverBatch take_receiver(std::size_t n) override {
    const CotReceiverBatch batch = pool_->take_receiver(n);
    note(1, batch.first_index, batch.t);
    return batch;
  }
  std::uint64_t sender_left() const override { return pool_->sender_left(); }
  std::uint64_t receiver_left() const override { return pool_->receiver_left(); }

 private:
  void note(std::uint64_t direction, std::uint64_t index, std::span<const Block> blocks) {
    if (blocks.empty()) return;
    recorder().add({Use::kIndex, me(), {number_, direction}, 0, index, index + blocks.size()});
    add_cots(blocks);
  }
  std::unique_ptr<OtPool> pool_;
  std::uint64_t number_ = 0;
};

}  // namespace

const detail::Kernel& wrapped_kernel() EQO_WRAP_OF(EQO_KERNEL);
const detail::Kernel& wrapped_kernel() {
  static const detail::Kernel table = [] {
    detail::Kernel k = real_kernel();
    k.expand_key = expand_key;
    k.ctr = ctr;
    k.hash = hash;
    k.expand = expand;
    k.leaf_sums = leaf_sums;
    k.half_tree_level = half_tree_level;
    return k;
  }();
  return table;
}

std::unique_ptr<OtPool> wrapped_pool(Channel& channel, Prg& prg, ThreadPool& threads, const OtOptions& options)
    EQO_WRAP_OF(EQO_POOL);
std::unique_ptr<OtPool> wrapped_pool(Channel& channel, Prg& prg, ThreadPool& threads, const OtOptions& options) {
  return std::make_unique<RecordedPool>(real_pool(channel, prg, threads, options));
}

void wrapped_send(const LpnSet& set, std::uint64_t row, Block delta, std::span<const Block> seeds, std::span<Block> out,
                  ThreadPool& threads, const SendMessage& send) EQO_WRAP_OF(EQO_SEND);
void wrapped_send(const LpnSet& set, std::uint64_t row, Block delta, std::span<const Block> seeds, std::span<Block> out,
                  ThreadPool& threads, const SendMessage& send) {
  add_cots(seeds);
  real_send(set, row, delta, seeds, out, threads, send);
}

void wrapped_receive(const LpnSet& set, std::uint64_t row, std::span<const Block> seeds,
                     std::span<const std::uint8_t> seed_choices, std::span<Block> out, std::span<std::uint8_t> choices,
                     ThreadPool& threads, const ReceiveMessage& receive) EQO_WRAP_OF(EQO_RECEIVE);
void wrapped_receive(const LpnSet& set, std::uint64_t row, std::span<const Block> seeds,
                     std::span<const std::uint8_t> seed_choices, std::span<Block> out, std::span<std::uint8_t> choices,
                     ThreadPool& threads, const ReceiveMessage& receive) {
  add_cots(seeds);
  real_receive(set, row, seeds, seed_choices, out, choices, threads, receive);
}

void set_party(Party party) { mine = party; }
void set_party_of_others(Party party) { others = party; }
void start_recording() { recorder().start(); }
std::size_t recorded() { return recorder().records().size(); }
std::size_t recorded(Use use) {
  const std::vector<Record> all = recorder().records();
  return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [&](const Record& r) { return r.use == use; }));
}
std::size_t discarded() { return recorder().discarded(); }
bool overflowed() { return recorder().overflowed(); }

std::vector<std::string> duplicates() {
  static constexpr const char* kNames[] = {"hash", "stream", "leaf", "key", "tree", "COT", "index"};
  std::vector<Record> all = recorder().records();
  const auto point = [](const Record& r) { return std::tuple(r.use, r.party, r.key.lo, r.key.hi, r.domain); };
  std::sort(all.begin(), all.end(), [&](const Record& a, const Record& b) {
    return std::tuple_cat(point(a), std::tuple(a.begin)) < std::tuple_cat(point(b), std::tuple(b.begin));
  });
  std::vector<std::string> found;
  for (std::size_t i = 1; i < all.size(); ++i) {
    const Record &a = all[i - 1], &b = all[i];
    if (point(a) == point(b) && b.begin < a.end)
      found.push_back(fmt::format("{} of party {}: key {:016x}{:016x}, domain {:#x}, [{}, {}) and [{}, {})",
                                  kNames[static_cast<std::size_t>(a.use)], a.party, a.key.hi, a.key.lo, a.domain,
                                  a.begin, a.end, b.begin, b.end));
  }
  return found;
}

}  // namespace eqo::testing
