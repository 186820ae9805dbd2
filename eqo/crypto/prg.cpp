#include "eqo/crypto/prg.h"

#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "eqo/core/error.h"
#include "eqo/crypto/kernels.h"
#include "eqo/crypto/spread_bits.h"

namespace eqo {

struct Prg::Impl {
  detail::AesKey key;
  std::uint64_t counter = 0;
  pid_t owner = getpid();

  explicit Impl(const Seed& seed) {
    Block k;
    std::memcpy(&k, seed.reveal().data(), sizeof k);
    detail::kernel().expand_key(k, key);
    explicit_bzero(&k, sizeof k);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() { explicit_bzero(&key, sizeof key); }

  void blocks(Block* out, std::size_t n) {
    if (getpid() != owner) throw internal_error("a forked process must not use its parent's random generator");
    detail::kernel().ctr(key, Block{counter, 0}, n, out);
    counter += n;
  }
};

Prg::Prg(const Seed& seed) : impl_(std::make_unique<Impl>(seed)) {}
Prg::Prg(Prg&&) noexcept = default;
Prg& Prg::operator=(Prg&&) noexcept = default;
Prg::~Prg() = default;

Prg Prg::from_os() {
  Seed seed;
  const auto bytes = seed.writable();
  std::size_t got = 0;
  while (got < bytes.size()) {
    const ssize_t r = getrandom(bytes.data() + got, bytes.size() - got, 0);
    if (r < 0 && errno == EINTR) continue;
    if (r <= 0)
      throw resource_error("the operating system gives no randomness: getrandom: " + std::string(std::strerror(errno)),
                           "check the sandbox's system call filter");
    got += static_cast<std::size_t>(r);
  }
  return Prg(seed);
}

void Prg::fill(std::span<Block> out) { impl_->blocks(out.data(), out.size()); }

void Prg::fill(std::span<std::byte> out) {
  // Whole blocks go straight to where they belong if that is aligned like one.
  if (reinterpret_cast<std::uintptr_t>(out.data()) % alignof(Block) == 0) {
    const std::size_t whole = out.size() / sizeof(Block);
    impl_->blocks(reinterpret_cast<Block*>(out.data()), whole);
    out = out.subspan(whole * sizeof(Block));
  }
  std::array<Block, 64> buffer;
  while (!out.empty()) {
    const std::size_t n = std::min(out.size(), sizeof buffer);
    impl_->blocks(buffer.data(), (n + sizeof(Block) - 1) / sizeof(Block));
    std::memcpy(out.data(), buffer.data(), n);
    out = out.subspan(n);
  }
  explicit_bzero(buffer.data(), sizeof buffer);
}

void Prg::fill(std::span<Word> out, Ring ring) {
  fill(std::as_writable_bytes(out));
  for (Word& w : out) w = ring.reduce(w);
}

void Prg::fill_bits(std::span<std::uint8_t> out) {
  std::array<Block, 64> packed;
  std::array<std::uint8_t, 128> last;
  while (!out.empty()) {
    const std::size_t n = std::min(packed.size(), (out.size() + 127) / 128), whole = std::min(n, out.size() / 128);
    impl_->blocks(packed.data(), n);
    detail::spread_bits(std::span(packed).first(whole), out.data());
    out = out.subspan(whole * 128);
    if (whole == n) continue;
    detail::spread_bits(std::span(packed).subspan(whole, 1), last.data());
    std::copy_n(last.data(), out.size(), out.data());
    out = {};
  }
  explicit_bzero(packed.data(), sizeof packed);
  explicit_bzero(last.data(), sizeof last);
}

Block Prg::block() {
  Block b;
  impl_->blocks(&b, 1);
  return b;
}

Seed Prg::seed() {
  Seed s;
  fill(std::span<std::byte>(s.writable()));
  return s;
}

Prg Prg::fork() { return Prg(seed()); }

}  // namespace eqo
