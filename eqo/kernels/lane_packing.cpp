#include "eqo/kernels/lane_packing.h"

#include <bit>

#include "eqo/core/bits.h"
#include "eqo/core/error.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "eqo/kernels/lane_packing.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

// Two stages: neighbours are joined inside 64-bit words (loops that the compiler vectorises for each instruction set),
// then groups of eight elements, exactly `width` bytes, are put together. No standard library calls in here: an inline
// function of it compiled for a newer instruction set might be linked into code for older ones.
HWY_BEFORE_NAMESPACE();
namespace eqo {
namespace HWY_NAMESPACE {

__extension__ typedef unsigned __int128 Wide;

constexpr std::size_t kGroup = 8;  // elements; width bytes
constexpr std::size_t kGroupsAtOnce = 64;
constexpr std::size_t kPadding = 64;  // bytes that a group may touch beyond its own

HWY_INLINE std::uint64_t load8(const void* p) {
  std::uint64_t x;
  __builtin_memcpy(&x, p, 8);
  return x;
}
HWY_INLINE void store8(void* p, std::uint64_t x) { __builtin_memcpy(p, &x, 8); }
HWY_INLINE void store16(void* p, Wide x) { __builtin_memcpy(p, &x, 16); }

HWY_INLINE std::uint64_t ones(unsigned n) { return ~std::uint64_t{0} >> (64 - n); }

// Each group's bytes go to `out + g * width`, sixteen at a time: the last ones spill over their end.
HWY_INLINE void pack_groups(const std::uint16_t* HWY_RESTRICT in, std::size_t groups, unsigned width,
                            std::byte* HWY_RESTRICT out) {
  std::uint64_t z[2 * kGroupsAtOnce];
  const std::uint64_t low = ones(width) * 0x0000000100000001U, pair = ones(2 * width);
  for (std::size_t i = 0; i < 2 * groups; ++i) {
    const std::uint64_t x = load8(in + 4 * i);
    const std::uint64_t y = (x & low) | (((x >> 16) & low) << width);
    z[i] = (y & pair) | ((y >> 32) << (2 * width));
  }
  for (std::size_t g = 0; g < groups; ++g)
    store16(out + g * width, z[2 * g] | static_cast<Wide>(z[2 * g + 1]) << (4 * width));
}

HWY_INLINE void pack_groups(const std::uint32_t* HWY_RESTRICT in, std::size_t groups, unsigned width,
                            std::byte* HWY_RESTRICT out) {
  std::uint64_t y[4 * kGroupsAtOnce];
  const std::uint64_t mask = ones(width);
  for (std::size_t i = 0; i < 4 * groups; ++i) {
    const std::uint64_t x = load8(in + 2 * i);
    y[i] = (x & mask) | (((x >> 32) & mask) << width);
  }
  const unsigned half = 4 * width;  // bits in the first four elements; ends inside a byte if width is odd
  for (std::size_t g = 0; g < groups; ++g) {
    const Wide a = y[4 * g] | static_cast<Wide>(y[4 * g + 1]) << (2 * width);
    const Wide b = y[4 * g + 2] | static_cast<Wide>(y[4 * g + 3]) << (2 * width);
    store16(out + g * width, a);
    if (half % 8 == 0) {
      store16(out + g * width + half / 8, b);
    } else {
      store16(out + g * width + half / 8, (b << 4) | (a >> (half - 4)));
    }
  }
}

HWY_INLINE void unpack_groups(const std::byte* HWY_RESTRICT in, std::size_t groups, unsigned width,
                              std::uint16_t* HWY_RESTRICT out) {
  std::uint64_t z[2 * kGroupsAtOnce];
  const unsigned half = 4 * width;
  for (std::size_t g = 0; g < groups; ++g) {
    z[2 * g] = load8(in + g * width);
    z[2 * g + 1] = load8(in + g * width + half / 8) >> (half % 8);
  }
  const std::uint64_t low = ones(width) * 0x0000000100000001U, pair = ones(2 * width);
  for (std::size_t i = 0; i < 2 * groups; ++i) {
    const std::uint64_t y = (z[i] & pair) | (((z[i] >> (2 * width)) & pair) << 32);
    store8(out + 4 * i, (y & low) | (((y >> width) & low) << 16));
  }
}

HWY_INLINE void unpack_groups(const std::byte* HWY_RESTRICT in, std::size_t groups, unsigned width,
                              std::uint32_t* HWY_RESTRICT out) {
  std::uint64_t y[4 * kGroupsAtOnce];
  for (std::size_t g = 0; g < groups; ++g)
    for (unsigned j = 0; j < 4; ++j) {
      const std::byte* p = in + g * width + 2 * width * j / 8;
      const unsigned s = 2 * width * j % 8;
      y[4 * g + j] = (load8(p) >> s) | ((load8(p + 8) << 1) << (63 - s));
    }
  const std::uint64_t mask = ones(width);
  for (std::size_t i = 0; i < 4 * groups; ++i) store8(out + 2 * i, (y[i] & mask) | (((y[i] >> width) & mask) << 32));
}

// The groups whose spill stays inside the buffer go directly, the last ones through a padded copy.
template <typename L>
HWY_INLINE void pack_all(const L* in, std::size_t n, unsigned width, std::byte* out, std::size_t bytes) {
  std::size_t done = 0;
  while (true) {
    const std::size_t at = done / kGroup * width;
    const std::size_t room = bytes - at > kPadding ? (bytes - at - kPadding) / width : 0;
    std::size_t groups = (n - done) / kGroup;
    if (groups > room) groups = room;
    if (groups > kGroupsAtOnce) groups = kGroupsAtOnce;
    if (groups == 0) break;
    pack_groups(in + done, groups, width, out + at);
    done += groups * kGroup;
  }
  while (done < n) {
    const std::size_t left = n - done < kGroup ? n - done : kGroup, at = done / kGroup * width;
    L elements[kGroup] = {};
    __builtin_memcpy(elements, in + done, left * sizeof(L));
    std::byte buffer[kPadding] = {};
    pack_groups(elements, 1, width, buffer);
    __builtin_memcpy(out + at, buffer, (left * width + 7) / 8);
    done += left;
  }
}

template <typename L>
HWY_INLINE void unpack_all(const std::byte* in, std::size_t bytes, unsigned width, L* out, std::size_t n) {
  std::size_t done = 0;
  while (true) {
    const std::size_t at = done / kGroup * width;
    const std::size_t room = bytes - at > kPadding ? (bytes - at - kPadding) / width : 0;
    std::size_t groups = (n - done) / kGroup;
    if (groups > room) groups = room;
    if (groups > kGroupsAtOnce) groups = kGroupsAtOnce;
    if (groups == 0) break;
    unpack_groups(in + at, groups, width, out + done);
    done += groups * kGroup;
  }
  while (done < n) {
    const std::size_t left = n - done < kGroup ? n - done : kGroup, at = done / kGroup * width;
    std::byte buffer[kPadding] = {};
    __builtin_memcpy(buffer, in + at, (left * width + 7) / 8);
    L elements[kGroup];
    unpack_groups(buffer, 1, width, elements);
    __builtin_memcpy(out + done, elements, left * sizeof(L));
    done += left;
  }
}

void pack16(const std::uint16_t* in, std::size_t n, unsigned width, std::byte* out, std::size_t bytes) {
  pack_all(in, n, width, out, bytes);
}
void pack32(const std::uint32_t* in, std::size_t n, unsigned width, std::byte* out, std::size_t bytes) {
  pack_all(in, n, width, out, bytes);
}
void unpack16(const std::byte* in, std::size_t bytes, unsigned width, std::uint16_t* out, std::size_t n) {
  unpack_all(in, bytes, width, out, n);
}
void unpack32(const std::byte* in, std::size_t bytes, unsigned width, std::uint32_t* out, std::size_t n) {
  unpack_all(in, bytes, width, out, n);
}

}  // namespace HWY_NAMESPACE
}  // namespace eqo
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eqo {
namespace {

static_assert(std::endian::native == std::endian::little, "packing copies words as little-endian bytes");

HWY_EXPORT(pack16);
HWY_EXPORT(pack32);
HWY_EXPORT(unpack16);
HWY_EXPORT(unpack32);

void check_size(std::size_t bytes, std::size_t n, unsigned width, unsigned lane) {
  if (width < 1 || width > lane) throw internal_error("lane packing: the width does not fit the lane");
  if (bytes != packed_bytes(n, width)) throw internal_error("lane packing: buffer size does not fit the elements");
}

}  // namespace

void pack_lanes(std::span<const std::uint16_t> in, unsigned width, std::span<std::byte> out) {
  check_size(out.size(), in.size(), width, 16);
  if (width == 16) {
    if (!in.empty()) __builtin_memcpy(out.data(), in.data(), out.size());
  } else {
    HWY_DYNAMIC_DISPATCH(pack16)(in.data(), in.size(), width, out.data(), out.size());
  }
}
void pack_lanes(std::span<const std::uint32_t> in, unsigned width, std::span<std::byte> out) {
  check_size(out.size(), in.size(), width, 32);
  if (width == 32) {
    if (!in.empty()) __builtin_memcpy(out.data(), in.data(), out.size());
  } else {
    HWY_DYNAMIC_DISPATCH(pack32)(in.data(), in.size(), width, out.data(), out.size());
  }
}
void pack_lanes(std::span<const std::uint64_t> in, unsigned width, std::span<std::byte> out) { pack(in, width, out); }

void unpack_lanes(std::span<const std::byte> in, unsigned width, std::span<std::uint16_t> out) {
  check_size(in.size(), out.size(), width, 16);
  if (width == 16) {
    if (!out.empty()) __builtin_memcpy(out.data(), in.data(), in.size());
  } else {
    HWY_DYNAMIC_DISPATCH(unpack16)(in.data(), in.size(), width, out.data(), out.size());
  }
}
void unpack_lanes(std::span<const std::byte> in, unsigned width, std::span<std::uint32_t> out) {
  check_size(in.size(), out.size(), width, 32);
  if (width == 32) {
    if (!out.empty()) __builtin_memcpy(out.data(), in.data(), in.size());
  } else {
    HWY_DYNAMIC_DISPATCH(unpack32)(in.data(), in.size(), width, out.data(), out.size());
  }
}
void unpack_lanes(std::span<const std::byte> in, unsigned width, std::span<std::uint64_t> out) {
  unpack(in, width, out);
}

void shift_in(std::span<const std::byte> in, unsigned first_bit, std::span<std::byte> out) {
  if (first_bit > 7 || out.size() != in.size() + 1) throw internal_error("shift_in: sizes do not fit");
  auto carry = std::to_integer<unsigned>(out[0]) & ((1U << first_bit) - 1);
  for (std::size_t i = 0; i < in.size(); ++i) {
    carry |= std::to_integer<unsigned>(in[i]) << first_bit;
    out[i] = static_cast<std::byte>(carry);
    carry >>= 8;
  }
  out[in.size()] = static_cast<std::byte>(carry);
}

void shift_out(std::span<const std::byte> in, unsigned first_bit, std::span<std::byte> out) {
  if (first_bit > 7 || (in.size() != out.size() && in.size() != out.size() + 1))
    throw internal_error("shift_out: sizes do not fit");
  for (std::size_t i = 0; i < out.size(); ++i) {
    const unsigned next = i + 1 < in.size() ? std::to_integer<unsigned>(in[i + 1]) : 0;
    out[i] = static_cast<std::byte>(((std::to_integer<unsigned>(in[i]) | next << 8) >> first_bit) & 0xffU);
  }
}

}  // namespace eqo
#endif
