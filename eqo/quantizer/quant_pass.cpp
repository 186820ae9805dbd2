#include "eqo/quantizer/quant_pass.h"

#include <array>
#include <cstddef>

#include "eqo/core/error.h"

namespace eqo {
namespace {
constexpr std::array<const char*, 8> kNames{"winograd",   "rings",    "residual", "share-extend",
                                            "pool-order", "reweight", "offsets",  "tap-exponents"};
}  // namespace

const char* quant_pass_name(QuantPass pass) { return kNames.at(static_cast<std::size_t>(pass)); }

std::vector<std::string> quant_pass_names() { return {kNames.begin(), kNames.end()}; }

QuantPass quant_pass(const std::string& name) {
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (name == kNames[i]) return static_cast<QuantPass>(i);
  std::string known;
  for (const char* k : kNames) known.append(known.empty() ? "the known ones are " : ", ").append(k);
  throw usage_error("quantization has no pass '" + name + "'", known);
}

}  // namespace eqo
