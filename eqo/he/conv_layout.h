#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "eqo/core/secret.h"
#include "eqo/he/he_cipher.h"
#include "eqo/he/he_params.h"
#include "eqo/kernels/convolution.h"

namespace eqo {

// A convolution as products of polynomials modulo X^N + 1: which coefficient of which polynomial holds what. Public
// integer functions of the shape; nothing here depends on values.
//
// Source: Huang, Lu, Hong, Ding, "Cheetah", USENIX Security 2022, section 3.1 (c input channels in one polynomial,
// weights in reversed order). Ours: k output channels in one product, padding shared by neighbouring rows and channels,
// strides by polyphase, several tiles or images in one polynomial, any groups.
//
//   Axis by axis, a phase of step p splits the padded input into p images of every p-th row; a window of stride s is
//   seen through phases of step 1 (outputs at every s-th position) or s (outputs side by side, s times the channels).
//   A tile is a rectangle of outputs and the rows and columns of each phase that they read. Rows lie `pitch` apart,
//   channels `block`, output channels c * block, tiles c * k * block; all of them as close as the zeros around the
//   image allow, so that what is read beyond a row, a channel or a tile is another's padding.
//   Input:   x[channel v][i][j]           at v * block + i * pitch + j - lead
//   Weights: w[output o][v][ey][ex]       at o * c * block + top - (v * block + ey * pitch + ex)
//   Result:  y[o][oy][ox]                 at o * c * block + top + oy * step * pitch + ox * step - lead
//   `lead` saves the room of the zeros before the image. Where there is room for them (k = 1) it is 0: then nothing
//   that is needed wraps around, and the coefficients behind the last that is needed are not sent (he_cipher.h).

// The layout's free choices.
struct ConvTiling {
  std::int64_t phase_h = 1, phase_w = 1;    // 1 or the stride
  std::int64_t tile_h = 1, tile_w = 1;      // outputs
  std::uint64_t channels = 1, outputs = 1;  // c, k
  friend bool operator==(const ConvTiling&, const ConvTiling&) = default;
};

class ConvLayout {
 public:
  // A kDirect convolution; throws internal_error if the tiling is not one of for_each_tiling's.
  ConvLayout(const ConvShape& shape, std::size_t degree, const ConvTiling& tiling);

  const ConvShape& shape() const { return shape_; }
  const ConvTiling& tiling() const { return tiling_; }
  std::size_t degree() const { return degree_; }

  std::uint64_t tiles_at_once() const { return tiles_at_once_; }  // in one polynomial
  // Polynomials come in chunks: of input channels (phases count), of output channels, and of tiles of the whole batch.
  std::uint64_t channel_chunks() const;
  std::uint64_t output_chunks() const;
  std::uint64_t tile_chunks(std::uint64_t batch) const;
  // The largest number of output channels in a result: what HeSizes calls folded outputs.
  std::uint64_t folded_outputs() const { return tiling_.outputs; }

  // The channel chunks that an output chunk sums over, ascending. One plaintext polynomial each.
  std::vector<std::uint32_t> sources(std::uint64_t output_chunk) const;
  std::uint64_t weight_polynomials() const;  // over all output chunks

  // All input polynomials of a tile chunk, one behind the other. x [batch][in], any integers.
  Words inputs(std::uint64_t batch, std::uint64_t tile_chunk, std::span<const Word> x) const;
  // One plaintext polynomial. weights [out_channels][in.c / groups][kernel_h][kernel_w].
  void weights(std::uint64_t output_chunk, std::uint64_t channel_chunk, std::span<const std::int32_t> weights,
               std::span<std::int32_t> polynomial) const;
  // Its support.
  HeSupport support(std::uint64_t output_chunk, std::uint64_t channel_chunk) const;
  // Coefficients of each input polynomial of a tile chunk that are sent: those that reach a needed coefficient.
  std::vector<std::uint32_t> used(std::uint64_t batch, std::uint64_t tile_chunk) const;
  // Of all ciphertexts of a tile chunk.
  std::uint64_t inputs_bytes(const HeParams& params, std::uint64_t batch, std::uint64_t tile_chunk) const;
  // Where the outputs of a tile chunk and an output chunk are: coefficients of the result, and their places in
  // y [batch][out]. Over all chunks every place occurs once; within one every coefficient at most once.
  struct Results {
    std::vector<std::uint32_t> coefficients;
    std::vector<std::uint64_t> places;
  };
  Results results(std::uint64_t batch, std::uint64_t tile_chunk, std::uint64_t output_chunk) const;
  std::uint64_t result_count(std::uint64_t batch, std::uint64_t tile_chunk, std::uint64_t output_chunk) const;

  // The window along one axis, through its phases.
  struct Axis {
    std::int64_t in = 0, out = 0, pad = 0, phase = 1, step = 1;
    std::int64_t extent = 1;           // of the kernel within a phase
    std::vector<std::int64_t> phases;  // those that a tap reads
    struct Tap {
      std::int64_t phase = 0, offset = 0;  // index into phases
    };
    std::vector<Tap> taps;

    Axis(std::int64_t in_size, std::int64_t out_size, std::int64_t padding, std::int64_t kernel, std::int64_t stride,
         std::int64_t dilation, std::int64_t phase_step);
    // The rows of `count` outputs from `first` on that lie in the image; numbered from the first that they read.
    struct Rows {
      std::int64_t begin = 0, end = 0, extent = 0;
    };
    Rows rows(std::int64_t first, std::int64_t count, std::int64_t which_phase) const;
  };
  // How far apart things lie for tiles of this size.
  struct Geometry {
    std::int64_t pitch = 1, block = 1, lead = 0, excess = 0;
    std::int64_t excess_without_lead = 0;
    Geometry(const Axis& y, const Axis& x, std::int64_t tile_h, std::int64_t tile_w);
    // c * k * tiles at most.
    std::uint64_t room(std::size_t degree) const;
  };

 private:
  struct Tile {
    std::uint64_t image;
    std::int64_t y, x, h, w;  // outputs
  };
  Tile tile(std::uint64_t index) const;
  std::uint64_t channels() const;  // phases count
  std::int64_t top() const;
  std::int64_t kernel() const;  // from a channel's first tap to its last, plus one
  std::uint64_t tiles_of(std::uint64_t batch) const;

  ConvShape shape_;
  std::size_t degree_;
  ConvTiling tiling_;
  Axis y_, x_;
  Geometry geometry_;
  std::uint64_t tiles_at_once_ = 1;
};

// Numbers of polynomials for one image.
struct ChunkCounts {
  std::uint64_t tiles = 0, channels = 0, outputs = 0;  // results: tiles * outputs; inputs: tiles * channels
};
// Calls f for all tilings worth trying. None if even one output of one channel is too large.
void for_each_tiling(const ConvShape& shape, std::size_t degree,
                     const std::function<void(const ConvTiling&, const ChunkCounts&)>& f);

// The layout with the fewest bytes for one image and its parameters, which depend on it; of `sizes` the layout's own
// fields (folded_outputs, input_channels, kernel_area) are ignored. Throws model_error if no layout fits.
struct ConvLayoutChoice {
  HeParams params;
  ConvLayout layout;
};
ConvLayoutChoice choose_conv_layout(const ConvShape& shape, const HeSizes& sizes);

}  // namespace eqo
