#pragma once
#include <concepts>
#include <cstddef>
#include <cstdint>

#include "eqo/kernels/lanes.h"

namespace eqo {

// The inner loops of the keyed product (protocols/ot_product.h). A row has `cols` elements in lanes of type L; all
// arithmetic is modulo 2^(bits of L), constant time in every value. Callers guarantee the buffers' lengths.
template <typename L>
concept RowLane = std::same_as<L, std::uint16_t> || std::same_as<L, std::uint32_t> || std::same_as<L, std::uint64_t>;

// message[r][t] = pad0[r][t] - pad1[r][t] + v[r][t] and sum[t] += pad0[r][t]. Rows of the pads are pad_stride apart,
// rows of v and of the message `cols`.
template <RowLane L>
void mask_rows(std::size_t rows, std::size_t cols, const L* pad0, const L* pad1, std::size_t pad_stride, const L* v,
               L* message, L* sum);

// sum[t] += pad[r][t] + (message[r][t] & select[r]), select[r] all zeros or all ones.
template <RowLane L>
void select_rows(std::size_t rows, std::size_t cols, const L* pad, std::size_t pad_stride, const L* message,
                 const L* select, L* sum);

// select[r] = all ones if bit `bit` of codes[r] is set, else zero.
template <RowLane L>
void bit_masks(std::size_t rows, const std::uint16_t* codes, unsigned bit, L* select);

// m[t] += or -= sum[t] << shift, shift below the bits of A.
template <Lane A, RowLane L>
void add_shifted(std::size_t cols, const L* sum, unsigned shift, bool negative, A* m);

}  // namespace eqo
