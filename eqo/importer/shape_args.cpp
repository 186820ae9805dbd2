#include "eqo/importer/shape_args.h"

#include <algorithm>
#include <limits>
#include <string>

#include "eqo/core/error.h"
#include "eqo/importer/node_attributes.h"

namespace eqo {
namespace {

constexpr std::size_t kMaxRank = 16;

std::string text(const Dims& dims) {
  std::string s = "(";
  for (const std::int64_t d : dims) s.append(s.size() > 1 ? ", " : "").append(std::to_string(d));
  return s + ")";
}

}  // namespace

Dims reshaped(const Dims& from, const Dims& target, bool allow_zero) {
  if (target.size() > kMaxRank) throw model_error("reshapes to more than 16 dimensions");
  const std::int64_t count = element_count(from);
  Dims to;
  std::optional<std::size_t> rest;
  Dims known;
  for (std::size_t i = 0; i < target.size(); ++i) {
    std::int64_t d = target[i];
    if (d == 0 && !allow_zero) {
      if (i >= from.size()) throw model_error("can't reshape " + text(from) + " to " + text(target));
      d = from[i];
    }
    if (d == -1) {
      if (rest) throw model_error("reshapes to " + text(target) + ": -1 may appear once only");
      rest = i;
    } else {
      known.push_back(d);
    }
    to.push_back(d);
  }
  const std::int64_t others = element_count(known);
  if (rest) {
    if (others == 0 || count % others != 0) throw model_error("can't reshape " + text(from) + " to " + text(target));
    to[*rest] = count / others;
  } else if (others != count) {
    throw model_error("can't reshape " + text(from) + " to " + text(target),
                      "a batch size fixed in the model must be 1: export it with a batch of 1 or a free one");
  }
  return to;
}

Dims flattened(const Dims& from, std::int64_t axis) {
  const auto rank = static_cast<std::int64_t>(from.size());
  if (axis < -rank || axis > rank) throw model_error("axis " + std::to_string(axis) + " is out of range");
  const auto at = from.begin() + (axis < 0 ? axis + rank : axis);
  return {element_count(Dims(from.begin(), at)), element_count(Dims(at, from.end()))};
}

Dims squeezed(const Dims& from, const std::optional<Dims>& axes) {
  std::vector<bool> drop(from.size(), false);
  if (axes) {
    for (const std::int64_t a : *axes) {
      const std::size_t axis = normal_axis(a, from.size());
      if (from[axis] != 1) throw model_error("squeezes axis " + std::to_string(a) + " of " + text(from));
      drop[axis] = true;
    }
  } else {
    for (std::size_t i = 0; i < from.size(); ++i) drop[i] = from[i] == 1;
  }
  Dims to;
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (!drop[i]) to.push_back(from[i]);
  }
  return to;
}

Dims unsqueezed(const Dims& from, const Dims& axes) {
  if (from.size() + axes.size() > kMaxRank) throw model_error("unsqueezes to more than 16 dimensions");
  Dims to(from.size() + axes.size(), 0);
  for (const std::int64_t a : axes) {
    const std::size_t axis = normal_axis(a, to.size());
    if (to[axis] == 1) throw model_error("unsqueezes an axis twice");
    to[axis] = 1;
  }
  std::size_t next = 0;
  for (std::int64_t& d : to) {
    if (d == 0) d = from[next++];
  }
  return to;
}

Dims permutation(std::size_t rank, const Dims& perm) {
  Dims p = perm;
  if (p.empty()) {
    for (std::size_t i = rank; i-- > 0;) p.push_back(static_cast<std::int64_t>(i));
  }
  Dims sorted = p;
  std::sort(sorted.begin(), sorted.end());
  bool ok = p.size() == rank;
  for (std::size_t i = 0; ok && i < rank; ++i) ok = sorted[i] == static_cast<std::int64_t>(i);
  if (!ok) throw model_error("transposes " + std::to_string(rank) + " dimensions by " + text(perm));
  return p;
}

std::vector<SliceRange> slice_ranges(const Dims& from, const Dims& starts, const Dims& ends, const Dims& axes,
                                     const Dims& steps) {
  std::vector<SliceRange> ranges;
  for (const std::int64_t d : from) ranges.push_back({0, 1, d});
  if (ends.size() != starts.size() || (!axes.empty() && axes.size() != starts.size()) ||
      (!steps.empty() && steps.size() != starts.size())) {
    throw model_error("its starts, ends, axes and steps differ in length");
  }
  std::vector<bool> seen(from.size(), false);
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const std::size_t axis = normal_axis(axes.empty() ? static_cast<std::int64_t>(i) : axes[i], from.size());
    if (seen[axis]) throw model_error("slices an axis twice");
    seen[axis] = true;
    const std::int64_t d = from[axis];
    const std::int64_t step = steps.empty() ? 1 : steps[i];
    if (step == 0 || step == std::numeric_limits<std::int64_t>::min()) {
      throw model_error("slices in steps of " + std::to_string(step));
    }
    if (d == 0) {
      ranges[axis] = {0, step, 0};
      continue;
    }
    const auto resolve = [d](std::int64_t v, std::int64_t lo, std::int64_t hi) {
      return std::clamp(v < 0 ? v + d : v, lo, hi);
    };
    const std::int64_t start = step > 0 ? resolve(starts[i], 0, d) : resolve(starts[i], 0, d - 1);
    const std::int64_t end = step > 0 ? resolve(ends[i], 0, d) : resolve(ends[i], -1, d - 1);
    const std::int64_t span = step > 0 ? end - start : start - end;
    const std::int64_t size = step > 0 ? step : -step;
    ranges[axis] = {start, step, span <= 0 ? 0 : (span - 1) / size + 1};
  }
  return ranges;
}

Dims broadcast_dims(const Dims& a, const Dims& b) {
  const std::size_t rank = std::max(a.size(), b.size());
  Dims to(rank, 1);
  for (std::size_t i = 0; i < rank; ++i) {
    const std::int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
    const std::int64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1) throw model_error("shapes " + text(a) + " and " + text(b) + " don't fit together");
    to[rank - 1 - i] = x == 1 ? y : x;
  }
  return to;
}

std::size_t broadcast_index(const Dims& dims, const Dims& to, std::int64_t n) {
  std::int64_t index = 0;
  std::int64_t stride = 1;
  for (std::size_t i = 0; i < to.size(); ++i) {
    const std::int64_t size = to[to.size() - 1 - i];
    const std::int64_t at = n % size;
    n /= size;
    if (i >= dims.size()) continue;
    const std::int64_t own = dims[dims.size() - 1 - i];
    if (own != 1) index += at * stride;
    stride *= own;
  }
  return static_cast<std::size_t>(index);
}

}  // namespace eqo
