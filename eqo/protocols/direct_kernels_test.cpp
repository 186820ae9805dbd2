#include "eqo/protocols/direct_kernels.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "eqo/core/error.h"
#include "eqo/protocols/linear_testing.h"

namespace eqo {
namespace {

using testing::pick;

TEST(DirectKernels, OfWinogradTapsGiveTheSameConvolution) {
  testing::Rng rng(4);
  ThreadPool threads(1);
  for (int round = 0; round < 100; ++round) {
    ConvSpec spec;
    spec.ring = Ring(static_cast<unsigned>(pick(rng, 1, 31)));
    spec.shape.domain = ConvDomain::kWinograd;
    spec.shape.in = {pick(rng, 1, 4), pick(rng, 1, 9), pick(rng, 1, 9)};
    spec.shape.out_channels = pick(rng, 1, 4);
    spec.shape.window = {3, 3, 1, 1, pick(rng, 1, 2), pick(rng, 1, 2), pick(rng, 1, 2), pick(rng, 1, 2)};
    const std::uint64_t formats = rng() % 2 == 0 ? 1 : 16;
    for (std::uint64_t i = 0; i < formats; ++i) spec.formats.push_back(testing::random_format(rng));
    const ConvWeights weights{testing::random_codes(rng, spec.formats, spec.shape.weights()), spec.formats};
    const std::uint64_t batch = 2;
    const Words x = testing::random_words(rng, batch * static_cast<std::size_t>(spec.shape.in.size()), spec.ring);
    const Words want =
        conv_plain(spec.shape, spec.ring, batch, decode_weights(spec.shape, weights, spec.ring), {}, x, threads);

    const DirectKernels direct = direct_kernels(spec);
    const WipedVector<std::int32_t> kernels = direct_weights(spec, weights.codes);
    ASSERT_EQ(kernels.size(), direct.shape.weights());
    Lanes<std::uint32_t> lanes;
    for (const std::int32_t w : kernels) {
      EXPECT_LE(static_cast<std::uint64_t>(std::abs(std::int64_t{w})), direct.max_weight);
      lanes.push_back(static_cast<std::uint32_t>(w));
    }
    Words y = conv_plain(direct.shape, spec.ring, batch, lanes, {}, x, threads);
    EXPECT_TRUE(direct_outputs(spec, batch, std::move(y)) == want) << "round " << round;
  }
}

// Every element of a kernel is a sum of at most 9 taps, and no representative exceeds half the ring.
TEST(DirectKernels, LargestWeight) {
  ConvSpec spec{
      {{2, 8, 8}, 3, 1, {3, 3, 1, 1, 1, 1, 1, 1}, ConvDomain::kWinograd}, Ring(20), {WeightCode::twos_complement(4)}};
  EXPECT_EQ(direct_kernels(spec).max_weight, 9U * 8);
  spec.ring = Ring(6);
  EXPECT_EQ(direct_kernels(spec).max_weight, 32U);
  spec.shape.domain = ConvDomain::kDirect;
  EXPECT_EQ(direct_kernels(spec).max_weight, 8U);
  EXPECT_THROW(direct_weights(spec, std::vector<std::uint16_t>(3)), Error);
}

}  // namespace
}  // namespace eqo
