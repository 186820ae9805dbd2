#pragma once
#include <algorithm>
#include <random>
#include <vector>

#include "eqo/core/error.h"
#include "eqo/core/ring.h"
#include "eqo/core/secret.h"
#include "eqo/kernels/weight_code.h"
#include "eqo/protocols/convolution.h"

// Random inputs for the tests of the linear protocols.
namespace eqo::testing {

using Rng = std::mt19937_64;

inline std::int64_t pick(Rng& rng, std::int64_t lo, std::int64_t hi) {
  return lo + static_cast<std::int64_t>(rng() % static_cast<std::uint64_t>(hi - lo + 1));
}

inline Words random_words(Rng& rng, std::size_t n, Ring ring) {
  Words out(n);
  for (Word& w : out) w = ring.reduce(rng());
  return out;
}

// Any significances, signs, offset and shift, not only contiguous ones.
inline WeightCode random_format(Rng& rng) {
  if (rng() % 4 == 0) return WeightCode::twos_complement(static_cast<unsigned>(pick(rng, 1, 8)));
  WeightCode f;
  const auto bits = pick(rng, 1, 8);
  for (std::int64_t i = 0; i < bits; ++i) {
    f.exponents.push_back(static_cast<std::uint8_t>(pick(rng, 0, 12)));
    f.signs.push_back(rng() % 2 == 0 ? std::int8_t{1} : std::int8_t{-1});
  }
  std::sort(f.exponents.begin(), f.exponents.end());
  if (rng() % 2 == 0) f.offset = pick(rng, -100, 100);
  if (rng() % 2 == 0) f.shift = static_cast<std::uint8_t>(pick(rng, 0, 5));
  return f;
}

inline std::vector<std::uint16_t> random_codes(Rng& rng, const std::vector<WeightCode>& formats, std::size_t n) {
  std::vector<std::uint16_t> codes(n);
  const std::size_t each = n / formats.size();
  for (std::size_t i = 0; i < n; ++i)
    codes[i] = static_cast<std::uint16_t>(rng() & ((1U << formats[i / each].bits()) - 1));
  return codes;
}

// Any small layer of a domain.
inline ConvSpec random_spec(Rng& rng, ConvDomain domain) {
  while (true) {
    ConvSpec spec;
    ConvShape& s = spec.shape;
    s.domain = domain;
    if (domain == ConvDomain::kWinograd) {
      s.in = {pick(rng, 1, 5), pick(rng, 1, 11), pick(rng, 1, 11)};
      s.out_channels = pick(rng, 1, 5);
      s.window = {3, 3, 1, 1, pick(rng, 0, 2), pick(rng, 0, 2), pick(rng, 0, 2), pick(rng, 0, 2)};
    } else {
      s.groups = pick(rng, 1, 3);
      s.in = {s.groups * pick(rng, 1, 3), pick(rng, 1, 9), pick(rng, 1, 9)};
      s.out_channels = s.groups * pick(rng, 1, 3);
      s.window = {pick(rng, 1, 5), pick(rng, 1, 5), pick(rng, 1, 3), pick(rng, 1, 3), pick(rng, 0, 2),
                  pick(rng, 0, 2), pick(rng, 0, 2), pick(rng, 0, 2), pick(rng, 1, 2), pick(rng, 1, 2)};
      if (rng() % 4 == 0) s.out_channels = s.groups = s.in.c;
    }
    try {
      check(s);
    } catch (const Error&) {
      continue;
    }
    spec.ring = Ring(static_cast<unsigned>(pick(rng, 1, 64)));
    const std::uint64_t formats = rng() % 2 == 0 ? 1 : s.products();
    for (std::uint64_t i = 0; i < formats; ++i) spec.formats.push_back(random_format(rng));
    return spec;
  }
}

// A uniform sharing of x.
struct Shares {
  Words server, client;
};
inline Shares share(Rng& rng, Ring ring, const Words& x) {
  Shares s{random_words(rng, x.size(), ring), Words(x.size())};
  for (std::size_t i = 0; i < x.size(); ++i) s.client[i] = ring.sub(x[i], s.server[i]);
  return s;
}
inline Words open(Ring ring, const Words& server, const Words& client) {
  Words x(server.size());
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = ring.add(server[i], client[i]);
  return x;
}

}  // namespace eqo::testing
