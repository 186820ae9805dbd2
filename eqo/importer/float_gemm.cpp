#include "eqo/importer/float_gemm.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "eqo/importer/float_gemm.cpp"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace eqo {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Tag = hn::CappedTag<float, kPanelWidth / 2>;

// kRows filters times two vectors of positions.
template <std::size_t kRows>
HWY_INLINE void Tile(const float* HWY_RESTRICT weight, std::size_t depth, const float* HWY_RESTRICT panel,
                     std::size_t panel_stride, const float* bias, float* HWY_RESTRICT out, std::size_t out_stride) {
  const Tag d;
  const std::size_t lanes = hn::Lanes(d);
  hn::Vec<Tag> low[kRows];
  hn::Vec<Tag> high[kRows];
  for (std::size_t k = 0; k < kRows; ++k) low[k] = high[k] = hn::Set(d, bias == nullptr ? 0.0F : bias[k]);
  for (std::size_t r = 0; r < depth; ++r) {
    const auto x0 = hn::LoadU(d, panel + r * panel_stride);
    const auto x1 = hn::LoadU(d, panel + r * panel_stride + lanes);
    for (std::size_t k = 0; k < kRows; ++k) {
      const auto w = hn::Set(d, weight[k * depth + r]);
      low[k] = hn::MulAdd(w, x0, low[k]);
      high[k] = hn::MulAdd(w, x1, high[k]);
    }
  }
  for (std::size_t k = 0; k < kRows; ++k) {
    hn::StoreU(low[k], d, out + k * out_stride);
    hn::StoreU(high[k], d, out + k * out_stride + lanes);
  }
}

// Every full block of kRows filters from row `k` on; returns the first row that is left.
template <std::size_t kRows>
HWY_INLINE std::size_t Blocks(std::size_t k, const float* weight, std::size_t rows, std::size_t depth,
                              const float* panel, std::size_t panel_stride, const float* bias, float* out,
                              std::size_t out_stride) {
  const std::size_t step = 2 * hn::Lanes(Tag());
  for (; k + kRows <= rows; k += kRows) {
    for (std::size_t p = 0; p < kPanelWidth; p += step) {
      Tile<kRows>(weight + k * depth, depth, panel + p, panel_stride, bias == nullptr ? nullptr : bias + k,
                  out + k * out_stride + p, out_stride);
    }
  }
  return k;
}

void PanelGemm(const float* weight, std::size_t rows, std::size_t depth, const float* panel, std::size_t panel_stride,
               const float* bias, float* out, std::size_t out_stride) {
  // Sixteen sums need the 32 registers of AVX-512; eight hide the latency everywhere else.
  constexpr std::size_t kBlock = HWY_TARGET <= HWY_AVX3 ? 8 : 4;
  std::size_t k = Blocks<kBlock>(0, weight, rows, depth, panel, panel_stride, bias, out, out_stride);
  k = Blocks<4>(k, weight, rows, depth, panel, panel_stride, bias, out, out_stride);
  k = Blocks<2>(k, weight, rows, depth, panel, panel_stride, bias, out, out_stride);
  Blocks<1>(k, weight, rows, depth, panel, panel_stride, bias, out, out_stride);
}

}  // namespace HWY_NAMESPACE
}  // namespace eqo
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eqo {

HWY_EXPORT(PanelGemm);

void panel_gemm(const float* weight, std::size_t rows, std::size_t depth, const float* panel, std::size_t panel_stride,
                const float* bias, float* out, std::size_t out_stride) {
  HWY_DYNAMIC_DISPATCH(PanelGemm)(weight, rows, depth, panel, panel_stride, bias, out, out_stride);
}

}  // namespace eqo
#endif
