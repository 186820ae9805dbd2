#pragma once
#include "eqo/ot/ot_pool.h"

namespace eqo {

// How fast this machine computes, in seconds, both parties at work at the same time on one thread each.
struct WorkRates {
  double base_ots = 0;                            // the session's base OTs
  double cot = 0;                                 // a COT made
  double key = 0;                                 // a key of a product, in setup
  double product_client = 0, product_server = 0;  // a byte of masked rows, on each side
  double he_input = 0;                            // a ciphertext of a homomorphic product, on each side
  double he_term = 0;                             // a product of a ciphertext and a plaintext
  double he_answer = 0;                           // an answer, on each side
  double he_weight = 0;                           // a plaintext transformed, in setup
  double non_linear = 0;                          // a byte of the other protocols, sent and received
  double element = 0;                             // a word of any step's output: local work
};

// Runs small protocols with both parties in this process and takes their times; about half a second.
WorkRates measure_work_rates(const OtOptions& options);

}  // namespace eqo
