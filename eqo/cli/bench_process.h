#pragma once
#include <cstdint>
#include <functional>
#include <span>

#include "eqo/core/error.h"
#include "eqo/runtime/child.h"

namespace eqo::cli {

// The bytes that `work` returns in a process of its own: so the memory of one measurement's parties does not count what
// the work before it has left behind. Throws what it throws.
template <typename Container>
Container in_child(const std::function<Container()>& work) {
  Child child([&](const Child::Pipe& pipe) {
    const Container result = work();
    const std::uint64_t size = result.size();
    pipe.write(std::as_bytes(std::span(&size, 1)));
    pipe.write(std::as_bytes(std::span(result.data(), result.size())));
  });
  std::uint64_t size = 0;
  Container result;
  if (child.read(std::as_writable_bytes(std::span(&size, 1)))) {
    result.resize(size);
    if (!child.read(std::as_writable_bytes(std::span(result.data(), result.size())))) result.clear();
  }
  child.finish();
  if (result.empty()) throw internal_error("a process ended without a word");
  return result;
}

}  // namespace eqo::cli
