#pragma once
#include <cstddef>

namespace eqo {

inline constexpr std::size_t kPanelWidth = 32;

// out[k * out_stride + p] = bias[k] + sum_r weight[k * depth + r] * panel[r * panel_stride + p] for k < rows and
// p < kPanelWidth; bias may be nullptr. Vectorised for the CPU at run time; every sum runs over r in order, so results
// differ between CPUs by fused rounding only.
void panel_gemm(const float* weight, std::size_t rows, std::size_t depth, const float* panel, std::size_t panel_stride,
                const float* bias, float* out, std::size_t out_stride);

}  // namespace eqo
