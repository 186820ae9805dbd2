#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "eqo/core/ring.h"
#include "eqo/core/secret.h"
#include "eqo/core/shape.h"

namespace eqo {

// Moves of whole tensors, each [batch][c][h][w]: local on shares and on plain values alike. Each throws internal_error
// if a length does not fit its shape; shapes are checked by the *_shape() functions, which throw model_error.

// Along one axis: start, start + step, ... (count of them); a negative step runs backwards.
struct Slice {
  std::int64_t start = 0, step = 1, count = 0;
  friend bool operator==(const Slice&, const Slice&) = default;
};
using Slices = std::array<Slice, 3>;  // c, h, w

Shape slice_shape(const Shape& in, const Slices& slices);
Words slice(const Shape& in, const Slices& slices, std::size_t batch, std::span<const Word> x);

// Elements added before and after each axis; negative numbers crop.
struct Margin {
  std::int64_t before = 0, after = 0;
  friend bool operator==(const Margin&, const Margin&) = default;
};
using Margins = std::array<Margin, 3>;  // c, h, w

Shape pad_shape(const Shape& in, const Margins& margins);
Words pad(const Shape& in, const Margins& margins, std::size_t batch, std::span<const Word> x, Word fill);

// Concatenation along the channels.
Shape concat_shape(std::span<const Shape> in);
Words concat(std::span<const Shape> in, std::size_t batch, std::span<const std::span<const Word>> x);

}  // namespace eqo
