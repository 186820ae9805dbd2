#pragma once
#include <cstdint>
#include <functional>
#include <span>

#include "eqo/core/thread_pool.h"
#include "eqo/crypto/kernels.h"
#include "eqo/ot/lpn_sets.h"

namespace eqo {

// Silent OT extension: one iteration makes set.outputs() correlated OTs with uniform choices from set.seeds() of them.
// With the first 2^log_k seeds as q, t = q ^ u * Delta, and the single-point COTs of all trees as v, w = v ^ e * Delta:
// the sender's output is A * q ^ v, the receiver's A * t ^ w, its choices A * u ^ e, for a public 10-local matrix A and
// regular noise e, one uniform place a tree. Which choices they are is learning parity with noise.
// Source: Yang, Weng, Lan, Zhang, Wang, "Ferret: Fast Extension for Correlated OT with Small Communication", ACM CCS
// 2020, with regular noise; semi-honest: without the consistency checks. Trees: half_tree.h; parameters: lpn_sets.h.
// A is pseudo-random under a public key (crypto/kernels.h), new rows for each iteration of a direction: LPN is believed
// hard for a random public matrix, and the secret (u) and the noise are new in each iteration. The choices are coded
// beside the blocks, not in them, so Delta keeps its 128 bits.
// Cost: set.message_bytes(set.trees), sender to receiver, in pieces of SilentSchedule::kTreesPerMessage trees; nothing
// from the receiver, which sees the trees' messages alone. Constant time: positions in tables come from A alone.
// The output is the same for any number of threads. Behind the first 2^log_k seeds stand those of the trees, two trees'
// side by side, as half_tree.h wants them. Contents of messages cannot fail; a hostile one makes wrong COTs.

using SendMessage = std::function<void(std::span<const std::byte>)>;
using ReceiveMessage = std::function<void(std::span<std::byte>)>;

// row: of A, the number of COTs made in this direction before; out: set.outputs() long.
void ferret_send(const LpnSet& set, std::uint64_t row, Block delta, std::span<const Block> seeds, std::span<Block> out,
                 ThreadPool& threads, const SendMessage& send);
void ferret_receive(const LpnSet& set, std::uint64_t row, std::span<const Block> seeds,
                    std::span<const std::uint8_t> seed_choices, std::span<Block> out, std::span<std::uint8_t> choices,
                    ThreadPool& threads, const ReceiveMessage& receive);

}  // namespace eqo
