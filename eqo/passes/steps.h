#pragma once
#include "eqo/passes/passes.h"

// The passes themselves, one function each; see passes().
namespace eqo::pass {

// How each convolution is computed.
void choose_products(Model& model, const PassContext& context);
// A ReLU of what is proven non-negative does nothing and goes; steps rely on proven intervals from now on.
void use_intervals(Model& model, const PassContext& context);
// Several extensions of one tensor become one to the widest ring; the others reduce its result.
void share_extensions(Model& model, const PassContext& context);
// Overlapping maxima of a window become maxima of rows and then of columns, where the interval proves that no
// difference wraps and it costs fewer bytes.
void split_pools(Model& model, const PassContext& context);
// ReLU, shift and change of ring, one behind the other, become one kRequantize.
void fuse(Model& model, const PassContext& context);
// The depth of comparison trees, and stages, by bytes and flights.
void choose_methods(Model& model, const PassContext& context);
// The client opens comparisons and the server the last extension, so that their messages travel with the products'.
void merge_messages(Model& model, const PassContext& context);

}  // namespace eqo::pass
