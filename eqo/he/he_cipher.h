#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "eqo/core/secret.h"
#include "eqo/crypto/prg.h"
#include "eqo/he/he_params.h"
#include "eqo/he/residues.h"

namespace eqo {

// Polynomial products under encryption: the client sends encrypted polynomials over Z_{2^l}, the server multiplies them
// by its own small integer polynomials, sums, adds a mask and returns the coefficients that are needed. Everything
// is a local step: messages are byte strings whose sizes he_params.h gives, and the caller sends them.
//
//   client: HeClientKey key(ring, prg);   public_key()  -->  HePublicKey          once a session and (N, modulus_bits)
//           key.encrypt(params, m)                      -->  HeInputs             count * N ring elements
//           key.decrypt(params, answer, needed)         <--  he_answer(...)       one message a result polynomial
//
// decrypt gives exactly sum of terms of (input * weights mod X^N + 1) + mask, mod 2^l, at the needed coefficients.
//
// What the parties see. Server: RLWE samples of the client's key. Client: a pseudo-random half, as long as RLWE with
// ternary secret holds for the fresh u of each answer, and the phase: the masked result plus noise that is
// flooded to the distance HeParams states. Cutting and switching the modulus come after that and reveal nothing more.
// Parties are semi-honest; a wrong message ends in protocol_error. A ciphertext must be answered to the client whose
// key made it. Constant time in messages, keys, weights and masks.
//
// On the wire residues are canonical and packed prime after prime at the prime's exact width. Uniform halves are drawn
// in the transform's domain, in which the public key is sent as well; ciphertexts are sent as coefficients, because of
//
// Short ciphertexts. Coefficients of a message that reach no needed coefficient need not be sent: of input i the
// client sends the first used[i] only (public, a multiple of 8, at most N), and the server computes with whatever a
// zero in the others' place decrypts to. With a weight polynomial of support [begin, end) they reach the results below
// end - 1 and from used + begin on; he_answer refuses to reveal those (they would tell about the weights).

// Tables of R = Z_q[X]/(X^N + 1) for one modulus: shared by all keys and layers with equal degree and modulus_bits.
class HeRing;
std::shared_ptr<const HeRing> make_he_ring(const HeParams& params);

class HeClientKey {
 public:
  HeClientKey(std::shared_ptr<const HeRing> ring, Prg& prg);  // draws the secret
  HeClientKey(const HeClientKey&) = delete;
  HeClientKey& operator=(const HeClientKey&) = delete;
  HeClientKey(HeClientKey&&) = default;
  HeClientKey& operator=(HeClientKey&&) = default;
  // The message that makes the server's HePublicKey.
  Bytes public_key(Prg& prg) const;
  // messages: N elements below 2^l for each ciphertext; those from used[i] on are ignored. he_inputs_bytes() long.
  Bytes encrypt(const HeParams& params, std::span<const Word> messages, std::span<const std::uint32_t> used,
                Prg& prg) const;
  Bytes encrypt(const HeParams& params, std::span<const Word> messages, Prg& prg) const;  // whole ciphertexts
  // The results at the positions `needed`, in their order. Throws protocol_error for a wrong size or padding.
  Words decrypt(const HeParams& params, std::span<const std::byte> answer, std::span<const std::uint32_t> needed) const;

 private:
  struct Switched;  // tables for the modulus that answers arrive in

  std::shared_ptr<const HeRing> ring_;
  std::shared_ptr<const Switched> switched_;
  Residues secret_;           // Montgomery form, per prime of q
  Residues switched_secret_;  // the same for the two primes that decryption computes with
};

// Server's view of the client's key.
class HePublicKey {
 public:
  // Throws protocol_error for a wrong size or a coefficient that is not below its prime.
  HePublicKey(std::shared_ptr<const HeRing> ring, std::span<const std::byte> message);
  const HeRing& ring() const { return *ring_; }
  std::span<const std::uint32_t> a() const { return a_; }
  std::span<const std::uint32_t> b() const { return b_; }

 private:
  std::shared_ptr<const HeRing> ring_;
  Residues a_, b_;  // Montgomery form
};

// Client's ciphertexts as the server holds them, ready to be multiplied.
class HeInputs {
 public:
  // Throws protocol_error for a wrong size or a coefficient that is not below its prime.
  HeInputs(const HeRing& ring, std::span<const std::uint32_t> used, std::span<const std::byte> message);
  HeInputs(const HeRing& ring, std::size_t count, std::span<const std::byte> message);  // whole ciphertexts
  std::size_t count() const { return used_.size(); }
  std::uint32_t used(std::size_t i) const { return used_[i]; }
  std::size_t stride() const { return stride_; }  // residues of a polynomial
  std::span<const std::uint32_t> a(std::size_t i) const { return std::span(a_).subspan(i * stride_, stride_); }
  std::span<const std::uint32_t> b(std::size_t i) const { return std::span(b_).subspan(i * stride_, stride_); }

 private:
  std::vector<std::uint32_t> used_;
  std::size_t stride_;
  Residues a_, b_;
};

// Where a weight polynomial may have coefficients other than 0: public, from the layout.
struct HeSupport {
  std::uint32_t begin = 0, end = 0;
};

// Server's plaintext polynomials, transformed: made once and used for every image.
class HeWeights {
 public:
  explicit HeWeights(std::shared_ptr<const HeRing> ring) : ring_(std::move(ring)) {}
  const HeRing& ring() const { return *ring_; }
  // N signed coefficients, each below 2^23 in absolute value and 0 outside the support; usage_error otherwise. Returns
  // the polynomial's index.
  std::size_t add(std::span<const std::int32_t> coefficients, HeSupport support);
  std::size_t add(std::span<const std::int32_t> coefficients);  // of any support
  std::size_t count() const { return polynomials_.size(); }
  std::span<const std::uint32_t> polynomial(std::size_t i) const { return polynomials_[i]; }
  HeSupport support(std::size_t i) const { return supports_[i]; }
  std::uint64_t absolute_sum(std::size_t i) const { return absolute_sums_[i]; }  // secret

 private:
  std::shared_ptr<const HeRing> ring_;
  std::vector<Residues> polynomials_;  // Montgomery form
  std::vector<HeSupport> supports_;
  WipedVector<std::uint64_t> absolute_sums_;
};

struct HeTerm {
  std::uint32_t input = 0, weight = 0;  // indices into HeInputs and HeWeights
};

// The answer that decrypts to mask + sum over terms of inputs[term.input] * weights[term.weight], at `needed`
// coefficients (below N). mask: one element below 2^l a needed coefficient. Fresh randomness from `prg` each call;
// calls with generators of their own may run at the same time. Throws usage_error if the sum of |weights| exceeds
// params.weight_sum: flooding would no longer hide them.
Bytes he_answer(const HeParams& params, const HePublicKey& key, const HeInputs& inputs, const HeWeights& weights,
                std::span<const HeTerm> terms, std::span<const std::uint32_t> needed, std::span<const Word> mask,
                Prg& prg);

// The two steps of he_answer. First the sum of products and an encryption of zero, coefficients modulo q: its noise,
// below params.noise_bound, tells about the weights, so that it never leaves the server as it is.
struct HeSum {
  Residues a, b;
};
HeSum he_sum(const HeParams& params, const HePublicKey& key, const HeInputs& inputs, const HeWeights& weights,
             std::span<const HeTerm> terms, std::span<const std::uint32_t> needed, Prg& prg);
// Then flooding, the smaller modulus, the mask and the bytes.
Bytes he_release(const HeParams& params, const HeRing& ring, const HeSum& sum, std::span<const std::uint32_t> needed,
                 std::span<const Word> mask, Prg& prg);

}  // namespace eqo
