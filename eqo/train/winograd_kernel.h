#pragma once
#include <cstddef>
#include <vector>

namespace eqo {

// Internal to the layer: Winograd's convolution F(2x2, 3x3) of float32 images, channels last, with weights of their own
// for each of the 16 taps (Lavin, Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, section 4.1),
// and its gradients. Each sample of tiles stays in the cache from transform to transform. One thread.
struct WinogradShape {
  std::size_t images = 0, height = 0, width = 0, channels = 0;  // of the input
  std::size_t out_height = 0, out_width = 0, filters = 0;       // of the output
  std::size_t pad_top = 0, pad_left = 0;                        // zeros before the input; after it as many as needed
};

// y[n][i][j][k] = bias[k] + sum_pq A_pr A_qs (sum_c u[pq][k][c] (B^T x_tile B)_pq), (r, s) = (i, j) mod 2.
// x images x height x width x channels, u 16 x filters x channels, bias filters.
void winograd_forward(const WinogradShape& shape, const float* x, const float* u, const float* bias, float* y);

struct WinogradGradients {
  std::vector<float> u, bias;
};
// From dy, the gradient of y: that of x in dx (nullptr: not wanted), those of u and bias returned.
WinogradGradients winograd_backward(const WinogradShape& shape, const float* x, const float* u, const float* dy,
                                    float* dx);

}  // namespace eqo
