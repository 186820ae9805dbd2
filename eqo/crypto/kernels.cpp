#include "eqo/crypto/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace eqo::detail {
namespace {

#if defined(__x86_64__)
// Clang's __builtin_cpu_supports() does not know VAES in all versions: CPUID leaf 7, ECX bit 9.
bool has_vaes() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (c >> 9 & 1) != 0;
}
#endif

}  // namespace

std::vector<const Kernel*> kernels() {
  std::vector<const Kernel*> found;
#if defined(__x86_64__)
  const bool aes = __builtin_cpu_supports("aes") && __builtin_cpu_supports("sse4.1");
  const bool vaes = aes && has_vaes() && __builtin_cpu_supports("avx2");
  if (vaes && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
    found.push_back(vaes512_kernel());
  if (vaes) found.push_back(vaes256_kernel());
  if (aes) found.push_back(aesni_kernel());
#endif
  found.push_back(&portable_kernel());
  return found;
}

const Kernel& kernel() {
  static const Kernel* const best = kernels().front();
  return *best;
}

}  // namespace eqo::detail
