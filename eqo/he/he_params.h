#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace eqo {

// Parameters of products by homomorphic encryption (BFV-style RLWE with the plaintext modulus 2^l), from public sizes
// alone: both parties compute them from the plan and arrive at the same ones, in exact integer arithmetic.
//
// Ring R = Z_q[X]/(X^N + 1), ternary secret, error of standard deviation 3.2 cut at 6 of them.
//   B   = k*C*r^2*w_max*(6 sigma + 1) + 12 sigma*sqrt(2N/3)   bound of the noise in a result before it is flooded: of
//         the k*C*r^2 weights in it, and of the encryption of zero that re-randomises it
//   F  >= 2^(40+u) * B            flooding is uniform in [-F, F)
//   q  >= 2^(l+1) * F * 2^j       with j = 3 (4 for N = 8192): flooding takes 2^-j of the margin q / 2^(l+1)
//   q'  = 2^(l+9)                 the modulus a result is switched to; its needed coefficients keep l + 3 bits
// A result decrypts rightly if flooding, the cut to l + 3 bits and the rounding of the uniform half fit the margin:
//   (1 - 2^-j) * 2^8 - 2^5 - 1 >= 9 * sqrt((1 + 2N/3) / 12),
// nine standard deviations of the last; N = 8192 fits only with j = 4. F is a power of two times q / 2^128, so that
// it is sampled without rejection and whatever q has to spare goes into it: F = q / 2^(l+1+j).
//
// Privacy of the weights: two results that differ in their noise alone are at most B/F = 2^-(40+u) apart a
// coefficient, and one is 2^-(41+u) from a simulated one without noise; the session's 2^u coefficients add up to 2^-41.
// Noise beyond B (8 standard deviations of the last term, whatever the slack of the first) would not break anything:
// the distance is proportional to the mean of |noise|.
//
// Security: q <= 2^109 for N = 4096, 2^218 for N = 8192: 128 bits for a ternary secret against classical attacks
// (Albrecht et al., "Homomorphic Encryption Standard", 2018, table 1).
//
// Source of the whole construction: Huang, Lu, Hong, Ding, "Cheetah", USENIX Security 2022, section 3 and appendix; the
// flooding, which Cheetah replaces by a shorter argument, and exact l-bit results are ours.

inline constexpr unsigned kMinModulusBits = 48;

struct HeSizes {
  unsigned ring_bits = 0;            // l: 2..32
  std::uint64_t folded_outputs = 1;  // k: output channels in one result polynomial
  std::uint64_t input_channels = 1;  // C: input channels that an output sums (of its group)
  std::uint64_t kernel_area = 1;     // r^2
  std::uint64_t max_weight = 1;      // w_max: the largest |weight|
  unsigned log_revealed = 0;         // u: log2 of the coefficients revealed in a session, rounded up; at most 40
  std::size_t min_degree = 4096;     // N is at least this: the layout's wish
  unsigned min_modulus_bits = 0;     // q is at least this wide: so that layers share one key
};

struct HeParams {
  static constexpr double kSigma = 3.2;
  static constexpr int kMaxError = 19;  // floor(6 sigma)
  static constexpr unsigned kSecurityBits = 128;

  unsigned ring_bits = 0;             // l
  std::size_t degree = 0;             // N
  unsigned modulus_bits = 0;          // log2 q, rounded up; with N it names the key
  std::vector<std::uint32_t> primes;  // q is their product; each 1 mod 2N, widths add up to modulus_bits
  std::uint64_t weight_sum = 0;       // k*C*r^2*w_max: no result may sum more in absolute values
  std::uint64_t noise_bound = 0;      // B
  unsigned flooding_shift = 0;        // j
  unsigned log_revealed = 0;          // u

  unsigned switched_bits() const { return ring_bits + 9; }
  unsigned kept_bits() const { return ring_bits + 3; }
  double log2_modulus() const;
  double log2_flooding() const;  // log2 F
  // log2 of the bound on the statistical distance that the noise of all the session's results leaves: at most -41.
  double log2_session_distance() const;
  friend bool operator==(const HeParams&, const HeParams&) = default;
};

// The smallest N and q that fit. Throws usage_error for sizes outside their ranges and model_error if no N does.
HeParams make_he_params(const HeSizes& sizes);

// The primes of a modulus of exactly `bits` bits in all: ceil(bits / 31) of them, of widths as equal as can be, the
// largest below their power of two that are 1 mod 2N. A fixed function of its arguments.
std::vector<std::uint32_t> modulus_primes(std::size_t degree, unsigned bits);

// log2 of the largest modulus that is 128-bit secure: 109 for 4096, 218 for 8192; usage_error for another degree.
unsigned max_modulus_bits(std::size_t degree);

// Bytes on the wire, without frames. The uniform half of a key or of fresh ciphertexts is a seed of 16 bytes a message.
std::uint64_t he_public_key_bytes(const HeParams& params);
std::uint64_t he_inputs_bytes(const HeParams& params, std::uint64_t ciphertexts);
// Of ciphertexts that send their first used[i] coefficients alone (see he_cipher.h).
std::uint64_t he_inputs_bytes(const HeParams& params, std::span<const std::uint32_t> used);
std::uint64_t he_answer_bytes(const HeParams& params, std::uint64_t needed);  // one result polynomial

}  // namespace eqo
