#include "eqo/train/requantize_kernel.h"

#include <cstdint>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "eqo/train/requantize_kernel.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace eqo {
namespace HWY_NAMESPACE {
namespace {

// Selections, not std::max(), which the compiler does not vectorise without leave to reorder NaNs.
void values(const Requantization& how, std::size_t n, const float* HWY_RESTRICT x, float* HWY_RESTRICT out) {
  const auto constant = static_cast<std::int32_t>(how.constant);
  const std::int32_t least = how.relu ? 0 : std::numeric_limits<std::int32_t>::min();
  const unsigned shift = how.shift;
  for (std::size_t i = 0; i < n; ++i) {
    const std::int32_t v = static_cast<std::int32_t>(x[i]) + constant;
    out[i] = static_cast<float>((v > least ? v : least) >> shift);
  }
}

void gradient(const Requantization& how, std::size_t n, const float* HWY_RESTRICT x, const float* HWY_RESTRICT dy,
              float* HWY_RESTRICT dx) {
  const float unit = 1.0F / static_cast<float>(std::int64_t{1} << how.shift), constant = how.constant;
  const float pull = how.limit > 0 ? how.penalty / (how.limit * how.limit) : 0.0F, limit = how.limit;
  const float least = how.relu ? 0.0F : -0x1p30F;
  for (std::size_t i = 0; i < n; ++i) {
    const float v = x[i] + constant, above = v - limit, below = v + limit;
    const float excess = (above > 0.0F ? above : 0.0F) + (below < 0.0F ? below : 0.0F);
    const float passed = dy[i] * unit;
    dx[i] = (v > least ? passed : 0.0F) + pull * excess;
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace eqo
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eqo {
namespace {
HWY_EXPORT(values);
HWY_EXPORT(gradient);
}  // namespace

void requantize_values(const Requantization& how, std::size_t n, const float* x, float* out) {
  HWY_DYNAMIC_DISPATCH(values)(how, n, x, out);
}

void requantize_gradient(const Requantization& how, std::size_t n, const float* x, const float* dy, float* dx) {
  HWY_DYNAMIC_DISPATCH(gradient)(how, n, x, dy, dx);
}

}  // namespace eqo
#endif
