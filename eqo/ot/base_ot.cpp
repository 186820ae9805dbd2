#include "eqo/ot/base_ot.h"

#include <sodium.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "eqo/core/error.h"

namespace eqo {
namespace {

constexpr std::size_t kPointBytes = crypto_core_ristretto255_BYTES;
constexpr std::size_t kScalarBytes = crypto_core_ristretto255_SCALARBYTES;
constexpr char kContext[] = "EQO base OT 1";

struct Point {
  std::array<unsigned char, kPointBytes> b{};
};
struct Scalar {
  std::array<unsigned char, kScalarBytes> b{};
};
using Points = WipedVector<Point>;
using Scalars = WipedVector<Scalar>;

void check(int status, const char* what) {
  if (status != 0) throw internal_error(std::string("base OT: ") + what + " fails");
}

Scalars random_scalars(Prg& prg, std::size_t n) {
  Scalars out(n);
  WipedVector<unsigned char> wide(crypto_core_ristretto255_NONREDUCEDSCALARBYTES);
  for (Scalar& s : out) {
    prg.fill(std::as_writable_bytes(std::span(wide)));
    crypto_core_ristretto255_scalar_reduce(s.b.data(), wide.data());
  }
  return out;
}

// A point that came from the peer. What it is, is public: the branch is on nothing secret. libsodium 1.0.18 accepts
// encodings with bit 255 set, RFC 9496 does not.
void check_point(const Point& p, std::size_t index) {
  if (crypto_core_ristretto255_is_valid_point(p.b.data()) != 1 || (p.b[kPointBytes - 1] & 0x80U) != 0 ||
      sodium_is_zero(p.b.data(), p.b.size()) == 1)
    throw protocol_error("base OT: point " + std::to_string(index) + " from the peer is not a valid group element",
                         "the peer does not follow the protocol");
}

Block key_of(Party sender, std::uint64_t index, const Point& a, const Point& r, const Point& shared) {
  crypto_generichash_state h;
  Block key;
  const auto who = static_cast<unsigned char>(sender);
  check(crypto_generichash_init(&h, nullptr, 0, sizeof key), "hashing");
  crypto_generichash_update(&h, reinterpret_cast<const unsigned char*>(kContext), sizeof kContext);
  crypto_generichash_update(&h, &who, 1);
  crypto_generichash_update(&h, reinterpret_cast<const unsigned char*>(&index), sizeof index);
  crypto_generichash_update(&h, a.b.data(), a.b.size());
  crypto_generichash_update(&h, r.b.data(), r.b.size());
  crypto_generichash_update(&h, shared.b.data(), shared.b.size());
  crypto_generichash_final(&h, reinterpret_cast<unsigned char*>(&key), sizeof key);
  sodium_memzero(&h, sizeof h);
  return key;
}

}  // namespace

BaseOts base_ots(Channel& channel, Prg& prg, ThreadPool& threads, std::span<const std::uint8_t> choices) {
  const std::size_t n = choices.size();
  BaseOts out{WipedVector<std::array<Block, 2>>(n), Blocks(n)};
  if (n == 0) return out;
  if (sodium_init() < 0) throw internal_error("base OT: libsodium does not start");
  const Party me = channel.party();

  // A = a * G, both ways.
  const Scalars a = random_scalars(prg, 1);
  Point mine, theirs;
  check(crypto_scalarmult_ristretto255_base(mine.b.data(), a[0].b.data()), "a base point multiplication");
  channel.send(std::as_bytes(std::span(mine.b)));
  channel.recv(std::as_writable_bytes(std::span(theirs.b)));
  check_point(theirs, 0);

  // As the receiver: R = b * G + choice * A; the key is that of b * A.
  const Scalars b = random_scalars(prg, n);
  Points r(n), r_peer(n);
  threads.parallel_for(n, 8, [&](std::size_t begin, std::size_t end) {
    Points tmp(2);
    for (std::size_t i = begin; i < end; ++i) {
      check(crypto_scalarmult_ristretto255_base(tmp[0].b.data(), b[i].b.data()), "a base point multiplication");
      check(crypto_core_ristretto255_add(tmp[1].b.data(), tmp[0].b.data(), theirs.b.data()), "an addition");
      const auto mask = static_cast<unsigned char>(0U - (choices[i] & 1U));
      for (std::size_t j = 0; j < kPointBytes; ++j)
        r[i].b[j] = static_cast<unsigned char>(tmp[0].b[j] ^ (mask & (tmp[0].b[j] ^ tmp[1].b[j])));
      check(crypto_scalarmult_ristretto255(tmp[0].b.data(), b[i].b.data(), theirs.b.data()), "a multiplication");
      out.received[i] = key_of(other(me), i, theirs, r[i], tmp[0]);
    }
  });
  channel.send(std::as_bytes(std::span(r)));
  channel.recv(std::as_writable_bytes(std::span(r_peer)));

  // As the sender: the keys of a * R and a * (R - A).
  Points a_mine(1);
  check(crypto_scalarmult_ristretto255(a_mine[0].b.data(), a[0].b.data(), mine.b.data()), "a multiplication");
  threads.parallel_for(n, 8, [&](std::size_t begin, std::size_t end) {
    Points tmp(2);
    for (std::size_t i = begin; i < end; ++i) {
      check_point(r_peer[i], i);
      check(crypto_scalarmult_ristretto255(tmp[0].b.data(), a[0].b.data(), r_peer[i].b.data()), "a multiplication");
      check(crypto_core_ristretto255_sub(tmp[1].b.data(), tmp[0].b.data(), a_mine[0].b.data()), "a subtraction");
      for (std::size_t c = 0; c < 2; ++c) out.sent[i][c] = key_of(me, i, mine, r_peer[i], tmp[c]);
    }
  });
  return out;
}

void base_ot_cost(CostMeter& meter, std::uint64_t n) {
  if (n == 0) return;
  meter.exchange(kPointBytes, kPointBytes);
  meter.exchange(n * kPointBytes, n * kPointBytes);
}

}  // namespace eqo
