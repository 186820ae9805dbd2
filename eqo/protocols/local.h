#pragma once
#include <cstddef>
#include <string>

#include "eqo/core/error.h"
#include "eqo/ot/context.h"

namespace eqo {

// Elements that are worth another thread in a cheap local loop.
inline constexpr std::size_t kLoopGrain = 8192;

// body(i) for every i < n, on the context's threads.
template <typename F>
void for_each_index(Context& ctx, std::size_t n, F body) {
  ctx.threads.parallel_for(n, kLoopGrain, [&body](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) body(i);
  });
}

inline void require_length(const char* protocol, std::size_t have, std::size_t want) {
  if (have != want)
    throw usage_error(std::string(protocol) + ": " + std::to_string(have) + " elements where " + std::to_string(want) +
                      " are needed");
}

}  // namespace eqo
