#pragma once
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "eqo/he/conv_layout.h"
#include "eqo/he/he_cipher.h"
#include "eqo/protocols/convolution.h"
#include "eqo/protocols/he_options.h"

namespace eqo {

// The convolution by homomorphic encryption: a SecretConvolution whose online bytes hardly depend on the weights'
// width.
//
// x = x_c + x_s is shared. The client sends encryptions of x_c, laid out as polynomials (he/conv_layout.h); the server
// multiplies them by its weights, adds a uniform mask r and returns what is needed (he/he_cipher.h):
//   client's share  W * x_c + r,    server's share  W * x_s + bias - r,    exact mod 2^l.
// Weights of the Winograd domain are multiplied as the 4x4 kernels they amount to (direct_kernels.h).
//
// Setup: the client's public key, once a session for each (degree, modulus); nothing a layer, the server transforms its
// weights. Online: two flights; all ciphertexts, then all answers.
//
// What the parties see. Server: RLWE samples under the client's key. Client: W * x_c + r, of which r hides all, and
// noise that flooding hides to the statistical distance HeParams states, summed over the coefficients of a session;
// HeKeys counts those and refuses to go beyond. Semi-honest; malformed ciphertexts end in protocol_error. Sizes follow
// from the spec alone; constant time in weights and shares.
//
// Source: Huang, Lu, Hong, Ding, "Cheetah", USENIX Security 2022, section 3; differences in he_params.h, conv_layout.h.

// What both parties derive of a layer. Throws model_error where no parameters fit: rings beyond 32 bits, weights beyond
// 23, windows larger than a polynomial.
struct HeConvPlan {
  ConvSpec spec;
  HeParams params;
  ConvLayout layout;
};
HeConvPlan plan_he_convolution(const ConvSpec& spec, const HeOptions& options);

// What the server may spend on weights that are transformed once a session; those beyond are transformed for every
// batch.
inline constexpr std::uint64_t kHeWeightBytes = std::uint64_t{1} << 28;

// The keys of a session, shared by its layers, and its budget of revealed coefficients.
class HeKeys {
 public:
  // The layers' parameters; all with the same log_revealed.
  explicit HeKeys(std::span<const HeParams> layers, std::uint64_t weight_bytes = kHeWeightBytes);
  HeKeys(const HeKeys&) = delete;
  HeKeys& operator=(const HeKeys&) = delete;
  void setup(Context& ctx);  // once

  const std::shared_ptr<const HeRing>& ring(const HeParams& params) const { return entry(params).ring; }
  const HeClientKey& client(const HeParams& params) const;
  const HePublicKey& server(const HeParams& params) const;
  // The server is about to release n coefficients; policy_error if that is more than the session was planned for.
  void reveal(std::uint64_t n);
  // True if so many bytes of transformed weights may be kept.
  bool take_weight_bytes(std::uint64_t bytes);

 private:
  struct Entry {
    HeParams params;
    std::shared_ptr<const HeRing> ring;
    std::optional<HeClientKey> client;
    std::optional<HePublicKey> server;
  };
  const Entry& entry(const HeParams& params) const;
  std::map<std::pair<std::size_t, unsigned>, Entry> entries_;  // by degree and modulus
  std::uint64_t revealed_ = 0, budget_ = 0, weight_bytes_;
};

// `keys` and the codes must outlive the convolution; bias as in make_ot_convolution_server.
std::unique_ptr<SecretConvolution> make_he_convolution_server(HeConvPlan plan, std::span<const std::uint16_t> codes,
                                                              std::span<const Word> bias, HeKeys& keys);
std::unique_ptr<SecretConvolution> make_he_convolution_client(HeConvPlan plan, HeKeys& keys);

void he_keys_setup_cost(CostMeter& meter, std::span<const HeParams> layers);
void he_convolution_online_cost(CostMeter& meter, const HeConvPlan& plan, std::uint64_t batch);
// Its halves, begin() and finish().
void he_convolution_begin_cost(CostMeter& meter, const HeConvPlan& plan, std::uint64_t batch);
void he_convolution_finish_cost(CostMeter& meter, const HeConvPlan& plan, std::uint64_t batch);

// Coefficients that a batch reveals.
std::uint64_t he_convolution_reveals(const HeConvPlan& plan, std::uint64_t batch);

// What a batch computes, for estimates of time; `weights` once a session, or once a batch beyond the keys' memory.
struct HeWork {
  std::uint64_t inputs = 0, terms = 0, results = 0, weights = 0;  // ciphertexts, products, answers, plaintexts
};
HeWork he_convolution_work(const HeConvPlan& plan, std::uint64_t batch);

}  // namespace eqo
