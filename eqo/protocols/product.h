#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "eqo/core/ring.h"
#include "eqo/kernels/weight_code.h"
#include "eqo/net/cost_meter.h"
#include "eqo/ot/context.h"

namespace eqo {

// `count` independent products of one shape over one ring: M[p] = U[p] * V[p], U rows x inner, V inner x columns.
struct ProductShape {
  std::uint64_t count = 1, rows = 0, inner = 0;
  std::uint64_t cols = 0;  // of one image; a batch has cols * batch columns
  Ring ring{1};
  friend bool operator==(const ProductShape&, const ProductShape&) = default;
};

// Everything public about a product: its shape and how the weights are coded (one format, or one for each product).
struct ProductSpec {
  ProductShape shape;
  std::vector<WeightCode> formats;
  const WeightCode& format(std::uint64_t product) const { return formats.size() == 1 ? formats[0] : formats[product]; }
  // Throws model_error if a size is zero, count * rows * inner or count * max(rows, inner) * cols exceeds 2^40, or the
  // formats do not fit.
  void validate() const;
  friend bool operator==(const ProductSpec&, const ProductSpec&) = default;
};

// The server's weights times shared columns. One object a party, session and layer; implementations differ in what
// crosses the wire (ot_product.h), not in how they are used.
class SecretProduct {
 public:
  virtual ~SecretProduct() = default;
  // Once a session, before the first online().
  virtual void setup(Context& ctx) = 0;
  // Shares of V [count][inner][cols * batch] in, shares of M [count][rows][cols * batch] out, in the shape's ring.
  // `counter` names the image or batch: below 2^48, equal for both parties, and greater than at every earlier call of
  // this session, also one that failed; otherwise internal_error, before anything is sent.
  virtual Words online(Context& ctx, std::uint64_t counter, std::uint64_t batch, std::span<const Word> v) = 0;
};

}  // namespace eqo
