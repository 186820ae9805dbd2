#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "eqo/core/party.h"
#include "eqo/crypto/block.h"

// Writes down every evaluation of a pseudo-random function and every correlated OT of a process. The product knows
// nothing of it: this executable is linked with --wrap, so that the objects' calls of detail::kernel(), make_ot_pool(),
// ferret_send() and ferret_receive() come here first and go on to the real ones. All AES of the project is behind
// detail::kernel(); there is no way around it but libsodium's, inside the base OTs.
namespace eqo::testing {

// kHash, kLeaf, kTree and kCot are kept for one key in 16, chosen by the key's value, so that both of two equal keys
// are kept or none: a repetition of one key's use is seen with probability 1/16, of n keys' with 1 - (15/16)^n (a task
// of 256 COTs: all but 10^-7). The others are kept in full, in particular every index that a pool hands out.
enum class Use : std::uint8_t {
  kHash,    // TMMO at (key, {index, domain}): pads, the trees of SoftSpoken
  kStream,  // a generator's AES-CTR block at (key, index): no party beside it, a seed has one owner in the world
  kLeaf,    // the same of a leaf of SoftSpoken's trees, which both parties have
  kKey,     // an AES key's schedule: one for each generator or leaf
  kTree,    // a node of silent OT's trees, hashed without a tweak
  kCot,     // a block q or t, either handed out or a seed of a silent iteration
  kIndex,   // a COT's index as handed out: key = {pool, direction}
};

// Evaluations at (key, domain, index) for the indices [begin, end), by one party. Held in full, not as fingerprints:
// an alarm without a fault needs two equal random 128-bit blocks. With n records that has a probability below
// n^2 / 2^129; n <= 2^23 (kMostRecords) makes it 2^-83.
struct Record {
  Use use;
  std::uint8_t party;
  Block key;
  std::uint64_t domain, begin, end;
};
inline constexpr std::size_t kMostRecords = std::size_t{1} << 23;

// Whose work the calling thread does from now on; other threads (a server's sessions, workers) do `others`'.
void set_party(Party mine);
void set_party_of_others(Party others);

void start_recording();  // forgets what was recorded
std::size_t recorded();
std::size_t recorded(Use use);
// Blocks of 0 that stand for what a party must not know, which are hashed like the rest to hide where they are:
// recorded() leaves them out. See recorder.cpp.
std::size_t discarded();
bool overflowed();
// Two uses of one point, in words; empty if there are none.
std::vector<std::string> duplicates();

}  // namespace eqo::testing
