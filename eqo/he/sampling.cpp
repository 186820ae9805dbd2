#include "eqo/he/sampling.h"

#include <array>
#include <bit>
#include <cstring>

#include "eqo/crypto/sha256.h"

// Shared by all the kernels, which are compiled once for each instruction set.
#ifndef EQO_HE_ERROR_TABLE
#define EQO_HE_ERROR_TABLE
namespace eqo {
inline constexpr std::array<std::uint64_t, 19> kErrorThresholds = {
    0x0ff52b40a5917f1d, 0x2e5a25d4bf0e400e, 0x489ae26955b04bd6, 0x5d2bc20f621bf185, 0x6bc8694c3cc80ff5,
    0x7532d89ac6ba7dcf, 0x7ab396cb74436799, 0x7d9e4e916643eb08, 0x7f05495819eb2051, 0x7fa1ce9c0039a957,
    0x7fdfb3f212e8c4e9, 0x7ff5e6f9d2314fcc, 0x7ffd1f97bc4406a3, 0x7fff40fa0088d11e, 0x7fffd2e835e1c57e,
    0x7ffff6524386ff1e, 0x7ffffe1db4769da5, 0x7fffffac0a1dcb09, 0x7ffffff428673853};
}  // namespace eqo
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "eqo/he/sampling.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace eqo {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void ternary(const std::uint64_t* HWY_RESTRICT random, std::size_t n, std::int32_t* HWY_RESTRICT out) {
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint64_t r = random[i];  // in which third of 0 .. 2^64?
    out[i] =
        static_cast<std::int32_t>(r >= 0x5555555555555556U) + static_cast<std::int32_t>(r >= 0xaaaaaaaaaaaaaaabU) - 1;
  }
}

// The lowest bit of `random` is the sign. n is a multiple of the lanes; `random` is scratch.
void error(std::uint64_t* HWY_RESTRICT random, std::size_t n, std::int32_t* HWY_RESTRICT out) {
  const hn::ScalableTag<std::uint64_t> d;
  for (std::size_t i = 0; i < n; i += hn::Lanes(d)) {
    const auto bits = hn::LoadU(d, random + i);
    const auto r = hn::ShiftRight<1>(bits), sign = bits & hn::Set(d, 1);
    auto magnitude = hn::Zero(d);
    for (const std::uint64_t threshold : kErrorThresholds)  // bit 63 of threshold - 1 - r, if r reaches the threshold
      magnitude = magnitude + hn::ShiftRight<63>(hn::Set(d, threshold - 1) - r);
    hn::StoreU((magnitude ^ (hn::Zero(d) - sign)) + sign, d, random + i);
  }
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<std::int32_t>(random[i]);
}

}  // namespace HWY_NAMESPACE
}  // namespace eqo
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eqo {
namespace {

HWY_EXPORT(ternary);
HWY_EXPORT(error);

Words random_words(Prg& prg, std::size_t n) {
  Words random(n);
  prg.fill(std::as_writable_bytes(std::span(random)));
  return random;
}

}  // namespace

SmallPolynomial sample_ternary(Prg& prg, std::size_t n) {
  const Words random = random_words(prg, n);
  SmallPolynomial out(n);
  HWY_DYNAMIC_DISPATCH(ternary)(random.data(), n, out.data());
  return out;
}

SmallPolynomial sample_error(Prg& prg, std::size_t n) {
  const std::size_t whole = (n + 63) / 64 * 64;  // whole vectors of any length
  Words random = random_words(prg, whole);
  SmallPolynomial out(whole);
  HWY_DYNAMIC_DISPATCH(error)(random.data(), whole, out.data());
  out.resize(n);
  return out;
}

std::span<const std::uint64_t> error_thresholds() { return kErrorThresholds; }

Prg public_prg(std::string_view domain, std::span<const std::byte> seed, std::uint64_t index) {
  const std::array<std::uint64_t, 2> numbers{domain.size(), index};
  const Digest digest = Sha256().add(std::as_bytes(std::span(numbers))).add(domain).add(seed).digest();
  return Prg(Seed(std::span(digest).first<16>()));
}

void sample_uniform(Prg& prg, std::uint32_t p, std::span<std::uint32_t> out) {
  const std::uint32_t mask = (1U << std::bit_width(p)) - 1;
  while (!out.empty()) {
    prg.fill(std::as_writable_bytes(out));
    std::size_t kept = 0;  // those below p move to the front; the place after them is free
    for (const std::uint32_t word : out) {
      const std::uint32_t x = word & mask;
      out[kept] = x;
      kept += x < p ? 1 : 0;
    }
    out = out.subspan(kept);
  }
}

}  // namespace eqo
#endif
