#include "eqo/kernels/masked_rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "eqo/kernels/masked_rows.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

// Plain loops: the compiler vectorises them for each instruction set.
HWY_BEFORE_NAMESPACE();
namespace eqo {
namespace HWY_NAMESPACE {

template <typename L>
HWY_INLINE void mask_rows_any(std::size_t rows, std::size_t cols, const L* pad0, const L* pad1, std::size_t pad_stride,
                              const L* v, L* message, L* HWY_RESTRICT sum) {
  for (std::size_t r = 0; r < rows; ++r) {
    const L* HWY_RESTRICT p0 = pad0 + r * pad_stride;
    const L* HWY_RESTRICT p1 = pad1 + r * pad_stride;
    const L* HWY_RESTRICT x = v + r * cols;
    L* HWY_RESTRICT out = message + r * cols;
    for (std::size_t t = 0; t < cols; ++t) {
      out[t] = static_cast<L>(p0[t] - p1[t] + x[t]);
      sum[t] = static_cast<L>(sum[t] + p0[t]);
    }
  }
}

template <typename L>
HWY_INLINE void select_rows_any(std::size_t rows, std::size_t cols, const L* pad, std::size_t pad_stride,
                                const L* message, const L* select, L* HWY_RESTRICT sum) {
  for (std::size_t r = 0; r < rows; ++r) {
    const L* HWY_RESTRICT p = pad + r * pad_stride;
    const L* HWY_RESTRICT d = message + r * cols;
    const L mask = select[r];
    for (std::size_t t = 0; t < cols; ++t) sum[t] = static_cast<L>(sum[t] + p[t] + (d[t] & mask));
  }
}

template <typename A, typename L>
HWY_INLINE void add_shifted_any(std::size_t cols, const L* HWY_RESTRICT sum, unsigned shift, bool negative,
                                A* HWY_RESTRICT m) {
  const A flip = negative ? static_cast<A>(~A{0}) : A{0};  // -x = ~x + 1
  const A one = negative ? A{1} : A{0};
  for (std::size_t t = 0; t < cols; ++t)
    m[t] = static_cast<A>(m[t] + ((static_cast<A>(static_cast<A>(sum[t]) << shift)) ^ flip) + one);
}

#define EQO_ROW_KERNELS(L, n)                                                                                        \
  void mask_rows##n(std::size_t rows, std::size_t cols, const L* pad0, const L* pad1, std::size_t pad_stride,        \
                    const L* v, L* message, L* sum) {                                                                \
    mask_rows_any(rows, cols, pad0, pad1, pad_stride, v, message, sum);                                              \
  }                                                                                                                  \
  void select_rows##n(std::size_t rows, std::size_t cols, const L* pad, std::size_t pad_stride, const L* message,    \
                      const L* select, L* sum) {                                                                     \
    select_rows_any(rows, cols, pad, pad_stride, message, select, sum);                                              \
  }                                                                                                                  \
  void bit_masks##n(std::size_t rows, const std::uint16_t* codes, unsigned bit, L* HWY_RESTRICT select) {            \
    for (std::size_t r = 0; r < rows; ++r) select[r] = static_cast<L>(L{0} - static_cast<L>((codes[r] >> bit) & 1)); \
  }                                                                                                                  \
  void add_shifted32_##n(std::size_t cols, const L* sum, unsigned shift, bool negative, std::uint32_t* m) {          \
    add_shifted_any(cols, sum, shift, negative, m);                                                                  \
  }                                                                                                                  \
  void add_shifted64_##n(std::size_t cols, const L* sum, unsigned shift, bool negative, std::uint64_t* m) {          \
    add_shifted_any(cols, sum, shift, negative, m);                                                                  \
  }
EQO_ROW_KERNELS(std::uint16_t, 16)
EQO_ROW_KERNELS(std::uint32_t, 32)
EQO_ROW_KERNELS(std::uint64_t, 64)
#undef EQO_ROW_KERNELS

}  // namespace HWY_NAMESPACE
}  // namespace eqo
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eqo {
namespace {

#define EQO_EXPORT_ROWS(n)       \
  HWY_EXPORT(mask_rows##n);      \
  HWY_EXPORT(select_rows##n);    \
  HWY_EXPORT(bit_masks##n);      \
  HWY_EXPORT(add_shifted32_##n); \
  HWY_EXPORT(add_shifted64_##n);
EQO_EXPORT_ROWS(16)
EQO_EXPORT_ROWS(32)
EQO_EXPORT_ROWS(64)
#undef EQO_EXPORT_ROWS

}  // namespace

// The kernel of lane type L; the arguments follow.
#define EQO_FOR_LANE(name, ...)                  \
  if constexpr (sizeof(L) == 2) {                \
    HWY_DYNAMIC_DISPATCH(name##16)(__VA_ARGS__); \
  } else if constexpr (sizeof(L) == 4) {         \
    HWY_DYNAMIC_DISPATCH(name##32)(__VA_ARGS__); \
  } else {                                       \
    HWY_DYNAMIC_DISPATCH(name##64)(__VA_ARGS__); \
  }

template <RowLane L>
void mask_rows(std::size_t rows, std::size_t cols, const L* pad0, const L* pad1, std::size_t pad_stride, const L* v,
               L* message, L* sum) {
  EQO_FOR_LANE(mask_rows, rows, cols, pad0, pad1, pad_stride, v, message, sum)
}

template <RowLane L>
void select_rows(std::size_t rows, std::size_t cols, const L* pad, std::size_t pad_stride, const L* message,
                 const L* select, L* sum) {
  EQO_FOR_LANE(select_rows, rows, cols, pad, pad_stride, message, select, sum)
}

template <RowLane L>
void bit_masks(std::size_t rows, const std::uint16_t* codes, unsigned bit, L* select) {
  EQO_FOR_LANE(bit_masks, rows, codes, bit, select)
}

template <Lane A, RowLane L>
void add_shifted(std::size_t cols, const L* sum, unsigned shift, bool negative, A* m) {
  if constexpr (sizeof(A) == 4) {
    EQO_FOR_LANE(add_shifted32_, cols, sum, shift, negative, m)
  } else {
    EQO_FOR_LANE(add_shifted64_, cols, sum, shift, negative, m)
  }
}
#undef EQO_FOR_LANE

#define EQO_INSTANTIATE_ROWS(L)                                                                            \
  template void mask_rows<L>(std::size_t, std::size_t, const L*, const L*, std::size_t, const L*, L*, L*); \
  template void select_rows<L>(std::size_t, std::size_t, const L*, std::size_t, const L*, const L*, L*);   \
  template void bit_masks<L>(std::size_t, const std::uint16_t*, unsigned, L*);                             \
  template void add_shifted<std::uint32_t, L>(std::size_t, const L*, unsigned, bool, std::uint32_t*);      \
  template void add_shifted<std::uint64_t, L>(std::size_t, const L*, unsigned, bool, std::uint64_t*);
EQO_INSTANTIATE_ROWS(std::uint16_t)
EQO_INSTANTIATE_ROWS(std::uint32_t)
EQO_INSTANTIATE_ROWS(std::uint64_t)
#undef EQO_INSTANTIATE_ROWS

}  // namespace eqo
#endif
