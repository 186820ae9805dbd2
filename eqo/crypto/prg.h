#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "eqo/core/secret.h"
#include "eqo/crypto/block.h"

namespace eqo {

// A pseudo-random generator: AES-128 in counter mode, key = seed. Not thread-safe; move-only.
// from_os() is the only source of fresh randomness in the project. A forked process must not go on with its parent's
// generator: every fill() checks the process id and throws internal_error in a child.
class Prg {
 public:
  explicit Prg(const Seed& seed);
  static Prg from_os();  // throws resource_error if the OS gives no randomness
  Prg(Prg&&) noexcept;
  Prg& operator=(Prg&&) noexcept;
  ~Prg();

  void fill(std::span<std::byte> out);
  void fill(std::span<Block> out);
  void fill(std::span<Word> out, Ring ring);    // uniform, reduced elements
  void fill_bits(std::span<std::uint8_t> out);  // each 0 or 1
  Block block();
  Seed seed();  // a fresh seed for another generator
  Prg fork();   // an independent generator, for another thread

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace eqo
