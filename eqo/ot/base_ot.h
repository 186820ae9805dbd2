#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "eqo/core/thread_pool.h"
#include "eqo/crypto/prg.h"
#include "eqo/net/channel.h"
#include "eqo/net/cost_meter.h"

namespace eqo {

// Random 1-out-of-2 OTs from public-key operations on ristretto255, n in each direction at once: in one direction
// this party is the sender and gets n pairs of keys, in the other one the receiver, with `choices`, and gets one key of
// each of the peer's pairs.
// Source: Chou and Orlandi, "The Simplest Protocol for Oblivious Transfer", LATINCRYPT 2015, with random messages;
// semi-honest security in the random oracle model from CDH. The key is BLAKE2b of (context, sender, index, A, R, shared
// point).
// Cost: 32 bytes each way, then 32 * n bytes each way; two flights. Constant time in the choices and scalars.
// Throws protocol_error if a point of the peer is not the canonical encoding of a group element, or is the identity.
struct BaseOts {
  WipedVector<std::array<Block, 2>> sent;  // the pairs of which the peer knows one each
  Blocks received;                         // received[i] = the peer's pair i [choices[i]]
};

BaseOts base_ots(Channel& channel, Prg& prg, ThreadPool& threads, std::span<const std::uint8_t> choices);

void base_ot_cost(CostMeter& meter, std::uint64_t n);

}  // namespace eqo
