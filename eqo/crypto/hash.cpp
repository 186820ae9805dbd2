#include "eqo/crypto/hash.h"

#include "eqo/core/error.h"
#include "eqo/crypto/kernels.h"

namespace eqo {

void hash_blocks(std::span<const Block> in, std::uint64_t domain, std::uint64_t first, std::span<Block> out) {
  if (in.size() != out.size()) throw internal_error("hash_blocks: the lengths differ");
  detail::kernel().hash(in.data(), in.size(), domain, first, out.data());
}

void hash_expand(std::span<const Block> keys, std::uint64_t domain, std::size_t blocks, std::span<Block> out) {
  const bool fits = blocks == 0 ? out.empty() : out.size() % blocks == 0 && out.size() / blocks == keys.size();
  if (!fits) throw internal_error("hash_expand: the output does not fit the keys");
  detail::kernel().expand(keys.data(), keys.size(), domain, blocks, out.data());
}

const char* hash_kernel_name() { return detail::kernel().name; }

}  // namespace eqo
