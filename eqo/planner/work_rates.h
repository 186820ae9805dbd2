#pragma once

namespace eqo {

// How fast this machine computes, in seconds, both parties at work at the same time; see measure_work_rates().
struct WorkRates {
  double product_client = 0, product_server = 0;  // a byte of masked rows, on each side
  double local_product = 0;                       // a multiplication of the server's own share
  double key = 0;                                 // a key of a product in setup, both sides together
  double non_linear = 0;                          // a byte of the other protocols, both sides together
  double element = 0;                             // a word of any step's output: local work
  double silent_cot = 0, softspoken_cot = 0;      // a COT made, both sides together
  double base_ots = 0;                            // the session's base OTs
};

}  // namespace eqo
