#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace eqo::quant {

// Steps are searched on one grid for the whole network, so that scales whose ratio has to be a power of two meet
// exactly: step = 2^(i / kStepsPerOctave) for an integer i.
inline constexpr int kStepsPerOctave = 16;

// How much quantization with a given step costs, over a range of steps.
struct StepCurve {
  int first = 0;             // grid index of cost[0]
  std::vector<double> cost;  // relative error energy

  struct Choice {
    double log2_step = 0;
    double cost = 0;
  };
  // The cheapest step of the form 2^(log2_step + n), n any integer; nearest grid points stand for it. The curve must
  // span at least an octave.
  Choice best(double log2_step) const;
};

// Values of one tensor as seen on calibration data.
class Histogram {
 public:
  // Bins the values evenly between the least and the greatest of them.
  explicit Histogram(std::span<const float> values);

  float lo() const { return lo_; }
  float hi() const { return hi_; }
  double mean_square() const { return mean_square_; }
  double variance() const;

  // Mean squared error of rounding to multiples of `step` and clipping to [least, greatest] * step.
  double error(double step, double least, double greatest) const;
  // error() / mean square over all sensible steps of an activation of `bits` bits: unsigned if no value is negative.
  StepCurve curve(unsigned bits) const;

 private:
  float lo_ = 0, hi_ = 0;
  double mean_ = 0, mean_square_ = 0;
  double width_ = 0;
  std::vector<double> share_;  // of each bin
};

}  // namespace eqo::quant
