#include "eqo/he/conv_layout.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <sstream>

#include "eqo/core/error.h"

namespace eqo {
namespace {

using Rng = std::mt19937_64;

std::int64_t pick(Rng& rng, std::int64_t lo, std::int64_t hi) {
  return lo + static_cast<std::int64_t>(rng() % static_cast<std::uint64_t>(hi - lo + 1));
}

ConvShape random_shape(Rng& rng, std::int64_t size) {
  while (true) {
    ConvShape s;
    s.groups = pick(rng, 1, 3);
    s.in = {s.groups * pick(rng, 1, 4), pick(rng, 1, size), pick(rng, 1, size)};
    s.out_channels = s.groups * pick(rng, 1, 4);
    s.window = {pick(rng, 1, 5), pick(rng, 1, 5), pick(rng, 1, 3), pick(rng, 1, 3), pick(rng, 0, 3),
                pick(rng, 0, 3), pick(rng, 0, 3), pick(rng, 0, 3), pick(rng, 1, 3), pick(rng, 1, 3)};
    if (rng() % 4 == 0) s.out_channels = s.groups = s.in.c;         // depthwise
    if (rng() % 4 == 0) s.window.kernel_h = s.window.kernel_w = 1;  // 1x1
    if (rng() % 8 == 0) s = {{pick(rng, 1, 60), 1, 1}, pick(rng, 1, 20), 1, {}, ConvDomain::kDirect};
    try {
      check(s);
    } catch (const Error&) {
      continue;
    }
    return s;
  }
}

std::string describe(const ConvShape& s, std::size_t degree, const ConvTiling& t) {
  const Window& w = s.window;
  std::ostringstream text;
  text << "in " << s.in.to_string() << " out " << s.out().to_string() << " groups " << s.groups << " kernel "
       << w.kernel_h << "x" << w.kernel_w << " stride " << w.stride_h << "x" << w.stride_w << " dilation "
       << w.dilation_h << "x" << w.dilation_w << " pads " << w.pad_top << w.pad_left << w.pad_bottom << w.pad_right
       << " N " << degree << " phases " << t.phase_h << "x" << t.phase_w << " tile " << t.tile_h << "x" << t.tile_w
       << " c " << t.channels << " k " << t.outputs;
  return text.str();
}

// sum += x * w mod X^n + 1
void multiply_add(std::span<const Word> x, std::span<const std::int32_t> w, std::span<Word> sum) {
  const std::size_t n = x.size();
  for (std::size_t j = 0; j < n; ++j) {
    if (w[j] == 0) continue;
    const Word by = static_cast<Word>(std::int64_t{w[j]});
    for (std::size_t i = 0; i + j < n; ++i) sum[i + j] += by * x[i];
    for (std::size_t i = n - j; i < n; ++i) sum[i + j - n] -= by * x[i];
  }
}

// The convolution by polynomial products, against the plain one.
void equal_the_plain_convolution(Rng& rng, const ConvShape& shape, std::size_t degree, const ConvTiling& tiling,
                                 std::uint64_t batch) {
  SCOPED_TRACE(describe(shape, degree, tiling));
  const ConvLayout layout(shape, degree, tiling);
  const Ring ring(20);
  Words x(batch * static_cast<std::size_t>(shape.in.size()));
  for (Word& e : x) e = ring.reduce(rng());
  const WeightCode code = WeightCode::twos_complement(8);
  ConvWeights weights{std::vector<std::uint16_t>(shape.weights()), {code}};
  std::vector<std::int32_t> values;
  for (std::uint16_t& e : weights.codes) {
    e = static_cast<std::uint16_t>(rng() & 255);
    values.push_back(static_cast<std::int32_t>(code.value(e)));
  }
  ThreadPool threads(1);
  const Words want = conv_plain(shape, ring, batch, decode_weights(shape, weights, ring), {}, x, threads);

  Words y(want.size());
  std::vector<int> written(want.size());
  std::vector<std::int32_t> polynomial(degree);
  std::uint64_t polynomials = 0;
  for (std::uint64_t t = 0; t < layout.tile_chunks(batch); ++t) {
    Words inputs = layout.inputs(batch, t, x);
    ASSERT_EQ(inputs.size(), layout.channel_chunks() * degree);
    // Whatever stands where a short ciphertext leaves off reaches nothing that is needed.
    const std::vector<std::uint32_t> used = layout.used(batch, t);
    ASSERT_EQ(used.size(), layout.channel_chunks());
    for (std::size_t c = 0; c < used.size(); ++c) {
      ASSERT_GT(used[c], 0U);
      ASSERT_LE(used[c], degree);
      ASSERT_EQ(used[c] % 8, 0U);
      for (std::size_t i = used[c]; i < degree; ++i) inputs[c * degree + i] = rng();
    }
    for (std::uint64_t o = 0; o < layout.output_chunks(); ++o) {
      Words sum(degree);
      for (const std::uint32_t c : layout.sources(o)) {
        layout.weights(o, c, values, polynomial);
        const HeSupport support = layout.support(o, c);
        ASSERT_LT(support.begin, support.end);
        ASSERT_LE(support.end, degree);
        for (std::uint32_t i = 0; i < degree; ++i)
          ASSERT_TRUE((i >= support.begin && i < support.end) || polynomial[i] == 0);
        multiply_add(std::span(inputs).subspan(c * degree, degree), polynomial, sum);
        polynomials += t == 0;
      }
      const ConvLayout::Results results = layout.results(batch, t, o);
      ASSERT_EQ(results.coefficients.size(), results.places.size());
      ASSERT_EQ(results.coefficients.size(), layout.result_count(batch, t, o));
      ASSERT_EQ(std::set<std::uint32_t>(results.coefficients.begin(), results.coefficients.end()).size(),
                results.coefficients.size());
      for (const std::uint32_t c : layout.sources(o)) {  // what he_answer asks for
        const HeSupport support = layout.support(o, c);
        if (used[c] == degree) continue;
        for (const std::uint32_t at : results.coefficients) {
          ASSERT_GE(at + 1, support.end);
          ASSERT_LT(at, used[c] + support.begin);
        }
      }
      for (std::size_t i = 0; i < results.places.size(); ++i) {
        ASSERT_LT(results.coefficients[i], degree);
        ASSERT_LT(results.places[i], y.size());
        y[results.places[i]] = ring.reduce(sum[results.coefficients[i]]);
        ++written[results.places[i]];
      }
    }
  }
  EXPECT_EQ(polynomials, layout.weight_polynomials());
  EXPECT_EQ(written, std::vector<int>(y.size(), 1));
  EXPECT_TRUE(y == want);
}

TEST(ConvLayout, AnyShapeAndTilingEqualsThePlainConvolution) {
  Rng rng(1);
  int done = 0;
  while (done < 2000 && !::testing::Test::HasFailure()) {
    const std::size_t degree = std::size_t{1} << pick(rng, 4, 9);
    const ConvShape shape = random_shape(rng, pick(rng, 1, 14));
    std::vector<ConvTiling> all;
    for_each_tiling(shape, degree, [&](const ConvTiling& t, const ChunkCounts& n) {
      const ConvLayout layout(shape, degree, t);
      ASSERT_EQ(n.tiles, layout.tile_chunks(1));
      ASSERT_EQ(n.channels, layout.channel_chunks());
      ASSERT_EQ(n.outputs, layout.output_chunks());
      all.push_back(t);
    });
    if (all.empty()) continue;  // the window alone is too large for so small a ring
    equal_the_plain_convolution(rng, shape, degree, all[rng() % all.size()],
                                static_cast<std::uint64_t>(pick(rng, 1, 3)));
    ++done;
  }
}

HeSizes sizes(unsigned l) {
  HeSizes s;
  s.ring_bits = l;
  s.max_weight = 8;
  s.log_revealed = 18;
  return s;
}

TEST(ConvLayout, TheChosenLayoutEqualsThePlainConvolution) {
  Rng rng(2);
  for (int i = 0; i < 12; ++i) {
    const ConvShape shape = random_shape(rng, 40);
    const ConvLayoutChoice choice = choose_conv_layout(shape, sizes(14));
    equal_the_plain_convolution(rng, shape, choice.params.degree, choice.layout.tiling(),
                                static_cast<std::uint64_t>(pick(rng, 1, 2)));
  }
  // Large images in overlapping tiles.
  const ConvShape large{{2, 70, 90}, 2, 1, {3, 3, 1, 1, 1, 1, 1, 1}, ConvDomain::kDirect};
  const ConvLayoutChoice choice = choose_conv_layout(large, sizes(14));
  EXPECT_GT(choice.layout.tile_chunks(1), 1U);
  equal_the_plain_convolution(rng, large, choice.params.degree, choice.layout.tiling(), 1);
}

double megabytes(const ConvShape& shape, const HeSizes& sizes) {
  const auto [params, layout] = choose_conv_layout(shape, sizes);
  std::uint64_t bytes = 0;
  for (std::uint64_t t = 0; t < layout.tile_chunks(1); ++t) {
    bytes += layout.inputs_bytes(params, 1, t);
    for (std::uint64_t o = 0; o < layout.output_chunks(); ++o)
      bytes += he_answer_bytes(params, layout.result_count(1, t, o));
  }
  return static_cast<double>(bytes) / 1e6;
}

// Without shared padding and short ciphertexts it would be 0.50, 0.49 and 0.51 MB a layer and 15.5 MB in all.
TEST(ConvLayout, BytesOfResNet32) {
  const auto layer = [](std::int64_t in, std::int64_t size, std::int64_t out, std::int64_t stride) {
    return ConvShape{{in, size, size}, out, 1, {3, 3, stride, stride, 1, 1, 1, 1}, ConvDomain::kDirect};
  };
  const double first = megabytes(layer(16, 32, 16, 1), sizes(14));
  const double second = megabytes(layer(32, 16, 32, 1), sizes(14));
  const double third = megabytes(layer(64, 8, 64, 1), sizes(14));
  const double total = megabytes(layer(3, 32, 16, 1), sizes(14)) + 10 * first +
                       megabytes(layer(16, 32, 32, 2), sizes(14)) + 9 * second +
                       megabytes(layer(32, 16, 64, 2), sizes(14)) + 9 * third;
  EXPECT_LT(first, 0.43);
  EXPECT_LT(second, 0.495);
  EXPECT_LT(third, 0.515);
  EXPECT_NEAR(total, 13.86, 0.05);
}

TEST(ConvLayout, WhatDoesNotFitIsRefused) {
  const ConvShape huge{{1, 200, 200}, 1, 1, {150, 150}, ConvDomain::kDirect};
  EXPECT_THROW(choose_conv_layout(huge, sizes(14)), Error);
  const ConvShape small{{1, 8, 8}, 1, 1, {3, 3}, ConvDomain::kDirect};
  HeSizes wide = sizes(32);
  wide.max_weight = (1U << 23) - 1;
  wide.log_revealed = 40;
  EXPECT_NO_THROW(choose_conv_layout(small, wide));
  ConvTiling tiling{1, 1, 6, 6, 2, 3};
  EXPECT_THROW(ConvLayout(small, 64, tiling), Error);
}

}  // namespace
}  // namespace eqo
