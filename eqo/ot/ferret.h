#pragma once
#include <cstdint>
#include <functional>
#include <span>

#include "eqo/core/thread_pool.h"
#include "eqo/crypto/kernels.h"
#include "eqo/ot/lpn_sets.h"

namespace eqo {

// Silent OT extension: one iteration makes set.outputs() correlated OTs with uniform choices from set.seeds() of them.
// With the first 2^log_k seeds as q, t = q ^ u * Delta and single-point COTs of all trees as v, w = v ^ e * Delta: the
// sender's output is q * A ^ v, the receiver's t * A ^ w, its choices u * A ^ e, for a public 10-local matrix A and
// regular noise e. Source: Yang, Weng, Lan, Zhang, Wang, "Ferret: Fast Extension for Correlated OT with Small
// Communication", ACM CCS 2020, section 4 with section 3.1's LPN with regular noise and static leakage left out:
// semi-honest, no consistency check. Trees: half_tree.h; parameters: lpn_sets.h.
// A is pseudo-random under a public key (crypto/kernels.h), new rows for each iteration of a direction: LPN is believed
// hard for a random public matrix, and the secret (u) and the noise are new in each iteration. The choices are
// coded beside the blocks, not in them, so Delta keeps its 128 bits.
// Cost: set.message_bytes(set.trees), sender to receiver, in messages of SilentSchedule::kTreesPerMessage trees;
// nothing from the receiver. Constant time: positions in tables come from A alone.
// The output is the same for any number of threads. Seeds: trees' COTs of two trees side by side (half_tree.h).

using SendMessage = std::function<void(std::span<const std::byte>)>;
using ReceiveMessage = std::function<void(std::span<std::byte>)>;

// row: of A, the number of COTs made in this direction before; out: set.outputs() long.
void ferret_send(const LpnSet& set, std::uint64_t row, Block delta, std::span<const Block> seeds, std::span<Block> out,
                 ThreadPool& threads, const SendMessage& send);
void ferret_receive(const LpnSet& set, std::uint64_t row, std::span<const Block> seeds,
                    std::span<const std::uint8_t> seed_choices, std::span<Block> out, std::span<std::uint8_t> choices,
                    ThreadPool& threads, const ReceiveMessage& receive);

}  // namespace eqo
