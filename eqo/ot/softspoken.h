#pragma once
#include <cstdint>
#include <span>

#include "eqo/core/thread_pool.h"
#include "eqo/crypto/kernels.h"
#include "eqo/net/channel.h"
#include "eqo/ot/pprf.h"

namespace eqo {

// SoftSpokenOT(k): correlated OTs with uniform choices from ceil(128 / k) small-field VOLEs, one for each tree of a
// Forest. Each leaf is an AES-CTR stream. With S_x the stream of leaf x of tree i, the receiver has u_i = xor of S_x
// and v_i = xor of x * S_x, the sender, for its secret part D_i of Delta, w_i = xor of (x ^ D_i) * S_x = v_i ^ D_i *
// u_i. The receiver sends u_i ^ u_0 for i > 0, which turns all u_i into u_0: its choices. Then a transpose. Source:
// Roy, "SoftSpokenOT: Quieter OT Extension from Small-Field Silent VOLE in the Minicrypt Model", CRYPTO 2022, sections
// 3 and 4, with the repetition code and without the consistency check: semi-honest. k = 1 is IKNP. Cost: ceil(128 / k)
// - 1 bits each, receiver to sender, n rounded up to a multiple of 128. The streams go on from call to call and from
// tile to tile: no counter comes twice.

inline constexpr std::uint64_t kCotsPerBlock = 128;
inline constexpr std::uint64_t kTileBlocks = 64;  // one task: its matrix stays in the second-level cache

// The bytes of the message that makes `blocks` blocks.
std::uint64_t softspoken_message_bytes(const Forest& forest, std::uint64_t blocks);

class SoftSpokenReceiver {
 public:
  // `leaves`: from pprf_expand. threads must outlive this.
  SoftSpokenReceiver(const Forest& forest, const Blocks& leaves, ThreadPool& threads);
  // The next t.size() COTs, a multiple of 128: t, the choices (one bit a byte, as many), and the message for the
  // sender.
  void extend(std::span<Block> t, std::span<std::uint8_t> choices, std::span<std::byte> message);

 private:
  Forest forest_;
  detail::AesKeys keys_;
  ThreadPool& threads_;
  std::uint64_t counter_ = 0;
  std::vector<Blocks> scratch_;
};

class SoftSpokenSender {
 public:
  // `leaves`, `delta`: from pprf_reconstruct.
  SoftSpokenSender(const Forest& forest, const Blocks& leaves, Block delta, ThreadPool& threads);
  void extend(std::span<Block> q, std::span<const std::byte> message);
  Block delta() const { return delta_; }

 private:
  Forest forest_;
  detail::AesKeys keys_;
  Block delta_;
  ThreadPool& threads_;
  std::uint64_t counter_ = 0;
  std::vector<Blocks> scratch_;
};

}  // namespace eqo
