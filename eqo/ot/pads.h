#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "eqo/ot/ot_pool.h"

namespace eqo {

// What a protocol's OTs are hashed for: the upper half of the hash's tweak; the COT's index is the lower one. A COT is
// handed out once, so that one (key, tweak) is hashed once in any case; the domains keep a mistake in one protocol from
// helping against another. The upper 32 bits count the blocks of a pad that needs more than one.
inline constexpr std::uint64_t kRingCotDomain = 1;
inline constexpr std::uint64_t kBitTripleDomain = 2;
inline constexpr std::uint64_t kOneOfManyDomain = 3;
inline constexpr std::uint64_t kBitProductDomain = 4;
inline constexpr std::uint64_t kKkotDomain = 5;
inline constexpr std::uint64_t kCotProductDomain = 6;
inline constexpr std::uint64_t kGarblingDomain = 7;

// The COTs that one task of a thread pool works on at least, and that are hashed at once.
inline constexpr std::size_t kPadGrain = 4096;
inline constexpr std::size_t kPadBatch = 256;

// The keys of a sender's COTs [begin, begin + zero.size()) after the receiver's corrections, each 0 or 1: zero[i] is
// what the receiver has if its real choice is 0, one[i] if it is 1. Constant time.
void corrected_keys(const CotSenderBatch& cots, std::size_t begin, std::span<const std::uint8_t> corrections,
                    std::span<Block> zero, std::span<Block> one);

}  // namespace eqo
