#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "eqo/core/thread_pool.h"

namespace eqo {

// `count` independent products of one shape, M[p] += U[p] * V[p] modulo 2^32 or 2^64 (two's-complement weights):
//   u [count][rows][inner]   v [count][inner][cols]   m [count][rows][cols], all row-major.
// Time and memory access depend on the shape alone. Vectorised; the instruction set is chosen at run time.
// Throws internal_error if a span's length does not fit the shape.
struct GemmShape {
  std::size_t count = 1, rows = 0, inner = 0, cols = 0;
};

void gemm_mod(const GemmShape& shape, std::span<const std::uint32_t> u, std::span<const std::uint32_t> v,
              std::span<std::uint32_t> m, ThreadPool& threads);
void gemm_mod(const GemmShape& shape, std::span<const std::uint64_t> u, std::span<const std::uint64_t> v,
              std::span<std::uint64_t> m, ThreadPool& threads);

// The instruction set in use, for example "AVX3".
const char* kernel_target_name();

}  // namespace eqo
