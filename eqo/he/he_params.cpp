#include "eqo/he/he_params.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <string>

#include "eqo/core/bits.h"
#include "eqo/core/error.h"
#include "eqo/he/modular.h"

namespace eqo {
namespace {

constexpr unsigned kPrimeBits = 31;  // the widest prime that the kernels take
constexpr std::uint64_t kMaxWeight = (1U << 23) - 1;
constexpr unsigned kDistanceBits = 40;  // F = 2^(40 + u) * B
constexpr std::uint64_t kMaxWeightSum = std::uint64_t{1} << 44;

// A natural number of 256 bits.
struct Wide {
  std::array<std::uint32_t, 8> limbs{};

  void multiply(std::uint32_t by) {
    std::uint64_t carry = 0;
    for (std::uint32_t& limb : limbs) {
      carry += std::uint64_t{limb} * by;
      limb = static_cast<std::uint32_t>(carry);
      carry >>= 32;
    }
    if (carry != 0) throw internal_error("the modulus is wider than 256 bits");
  }
  // floor(*this / 2^shift) >= bound
  bool shifted_is_at_least(unsigned shift, std::uint64_t bound) const {
    std::uint64_t low = 0;
    for (unsigned bit = shift; bit < 256; ++bit) {
      const std::uint64_t value = (limbs[bit / 32] >> (bit % 32)) & 1;
      if (bit - shift >= 64 && value != 0) return true;
      if (bit - shift < 64) low |= value << (bit - shift);
    }
    return low >= bound;
  }
};

Wide product(const std::vector<std::uint32_t>& primes) {
  Wide q;
  q.limbs[0] = 1;
  for (const std::uint32_t p : primes) q.multiply(p);
  return q;
}

void check_range(const char* what, std::uint64_t value, std::uint64_t low, std::uint64_t high) {
  if (value < low || value > high)
    throw usage_error("homomorphic product: " + std::string(what) + " must be in " + std::to_string(low) + ".." +
                      std::to_string(high) + ", got " + std::to_string(value));
}

std::uint64_t bounded_product(std::uint64_t a, std::uint64_t b) {
  if (b != 0 && a > kMaxWeightSum / b)
    throw model_error("homomorphic product: the weights of one result may add up to more than 2^44",
                      "use another product for this layer: --products ot");
  return a * b;
}

// 12 sigma * sqrt(2N/3) = sqrt(1474.56 * 2N/3) = sqrt(983.04 * N), rounded up.
std::uint64_t zero_encryption_noise(std::size_t degree) {
  const std::uint64_t square = std::uint64_t{98304} * degree;  // of ten times it
  auto root = static_cast<std::uint64_t>(std::sqrt(static_cast<double>(square)) / 10);
  while (root > 0 && (root - 1) * (root - 1) * 100 >= square) --root;
  while (root * root * 100 < square) ++root;
  return root;
}

// (1 - 2^-j) * 2^8 - 2^5 - 1 >= 9 * sqrt((1 + 2N/3) / 12), squared and without fractions: 36 x^2 >= 81 (3 + 2N)
constexpr bool decrypts(std::size_t degree, unsigned flooding_shift) {
  const std::uint64_t left = 256 - (256U >> flooding_shift) - 32 - 1;
  return 36 * left * left >= 81 * (3 + 2 * std::uint64_t{degree});
}

constexpr unsigned smallest_flooding_shift(std::size_t degree) {
  unsigned shift = 3;
  while (shift < 8 && !decrypts(degree, shift)) ++shift;
  return shift;
}
static_assert(decrypts(4096, smallest_flooding_shift(4096)) && smallest_flooding_shift(4096) == 3);
static_assert(decrypts(8192, smallest_flooding_shift(8192)) && smallest_flooding_shift(8192) == 4);

}  // namespace

unsigned max_modulus_bits(std::size_t degree) {
  if (degree == 4096) return 109;
  if (degree == 8192) return 218;
  throw usage_error("homomorphic product: the degree must be 4096 or 8192, got " + std::to_string(degree));
}

std::vector<std::uint32_t> modulus_primes(std::size_t degree, unsigned bits) {
  check_range("the modulus's width", bits, kMinModulusBits, max_modulus_bits(degree));
  const unsigned count = (bits + kPrimeBits - 1) / kPrimeBits;
  const auto step = static_cast<std::uint32_t>(2 * degree);
  std::vector<std::uint32_t> primes;
  for (unsigned i = 0; i < count; ++i) {
    const unsigned width = (bits + i) / count;  // narrow ones first
    std::uint32_t p = (1U << width) + 1;
    if (!primes.empty() && primes.back() < p && primes.back() >> (width - 1) != 0) p = primes.back();
    do p -= step;
    while (!modular::is_prime(p));
    if (p >> (width - 1) != 1) throw internal_error("no prime of this width is left");
    primes.push_back(p);
  }
  return primes;
}

HeParams make_he_params(const HeSizes& s) {
  check_range("the ring's width", s.ring_bits, 2, 32);
  check_range("folded outputs", s.folded_outputs, 1, kMaxWeightSum);
  check_range("input channels", s.input_channels, 1, kMaxWeightSum);
  check_range("the kernel's area", s.kernel_area, 1, kMaxWeightSum);
  check_range("the largest weight", s.max_weight, 1, kMaxWeight);
  check_range("log2 of the coefficients revealed", s.log_revealed, 0, 40);
  check_range("the smallest degree", s.min_degree, 1, 8192);

  HeParams p;
  p.ring_bits = s.ring_bits;
  p.log_revealed = s.log_revealed;
  p.weight_sum = bounded_product(bounded_product(s.folded_outputs, s.input_channels),
                                 bounded_product(s.kernel_area, s.max_weight));
  for (const std::size_t degree : {std::size_t{4096}, std::size_t{8192}}) {
    if (degree < s.min_degree) continue;
    p.degree = degree;
    p.noise_bound = (p.weight_sum * 101 + 4) / 5 + zero_encryption_noise(degree);  // 6 sigma + 1 = 20.2 = 101 / 5
    p.flooding_shift = smallest_flooding_shift(degree);
    const unsigned shift = p.ring_bits + 1 + p.flooding_shift + kDistanceBits + p.log_revealed;
    const unsigned exact = shift + static_cast<unsigned>(std::bit_width(p.noise_bound));  // q < 2^modulus_bits
    for (p.modulus_bits = std::max({exact, kMinModulusBits, s.min_modulus_bits});
         p.modulus_bits <= max_modulus_bits(degree); ++p.modulus_bits) {
      p.primes = modulus_primes(degree, p.modulus_bits);
      if (product(p.primes).shifted_is_at_least(shift, p.noise_bound)) return p;
    }
  }
  throw model_error("homomorphic product: no 128-bit secure modulus leaves room for the noise that hides the weights",
                    "use another product for this layer: --products ot");
}

double HeParams::log2_modulus() const {
  double sum = 0;
  for (const std::uint32_t p : primes) sum += std::log2(p);
  return sum;
}

double HeParams::log2_flooding() const { return log2_modulus() - (ring_bits + 1 + flooding_shift); }

double HeParams::log2_session_distance() const {
  const double noise = std::log2(static_cast<double>(noise_bound)) - 1 - log2_flooding();
  const double rounding = static_cast<double>(ring_bits + flooding_shift) - 125;  // of the 128-bit fractions
  return log_revealed + std::log2(std::exp2(noise) + std::exp2(rounding));
}

std::uint64_t he_public_key_bytes(const HeParams& p) { return he_inputs_bytes(p, 1); }

std::uint64_t he_inputs_bytes(const HeParams& p, std::uint64_t ciphertexts) {
  return sizeof(Seed) + ciphertexts * packed_bytes(p.degree, p.modulus_bits);
}

std::uint64_t he_inputs_bytes(const HeParams& p, std::span<const std::uint32_t> used) {
  std::uint64_t bytes = sizeof(Seed);
  for (const std::uint32_t coefficients : used) bytes += packed_bytes(coefficients, p.modulus_bits);
  return bytes;
}

std::uint64_t he_answer_bytes(const HeParams& p, std::uint64_t needed) {
  return packed_bytes(p.degree, p.switched_bits()) + packed_bytes(needed, p.kept_bits());
}

}  // namespace eqo
