#include <gtest/gtest.h>

#include <cstdio>
#include <vector>

#include "eqo/ot/ot_pool.h"
#include "eqo/peers/garbled_steps.h"
#include "eqo/protocols/ot_product.h"

// What COINN's own configuration of ResNet-32 for CIFAR-100 costs by the protocols here, beside a plan of eight
// clusters in every layer. Source of the configuration: bash_files/cifar100-resnet32 of the public repository
// ACESLabUCSD/COINN: clusters (--bins) or plain 16-bit weights (--bw 16), a 16-bit ring for all products, and for each
// ReLU the bits that it keeps (--ba) and drops (--br).
namespace eqo {
namespace {

constexpr unsigned kRing = 16;

struct Product {
  std::uint64_t in, out, pixels, taps;
  std::uint64_t clusters;  // 0: plain
};
struct Relu {
  std::uint64_t n;
  unsigned kept, dropped;
};

std::vector<Product> public_products() {
  std::vector<Product> all{{3, 16, 1024, 9, 8}};
  for (const std::uint64_t v : {12, 0, 9, 13, 11, 14, 6, 3, 11, 10}) all.push_back({16, 16, 1024, 9, v});
  all.push_back({16, 32, 256, 9, 0});
  all.push_back({16, 32, 256, 1, 0});
  for (const std::uint64_t v : {8, 7, 9, 12, 7, 0, 4, 10, 5}) all.push_back({32, 32, 256, 9, v});
  all.push_back({32, 64, 64, 9, 0});
  all.push_back({32, 64, 64, 1, 8});
  for (const std::uint64_t v : {11, 0, 5, 8, 10, 0, 6, 8, 8}) all.push_back({64, 64, 64, 9, v});
  all.push_back({64, 100, 1, 1, 0});
  return all;
}

std::vector<Relu> public_relus() {
  constexpr std::uint64_t kFirst = 16384, kSecond = 8192, kThird = 4096;
  return {{kFirst, 8, 7},   {kFirst, 8, 6},   {kFirst, 10, 4},  {kFirst, 7, 8},   {kFirst, 11, 2}, {kFirst, 5, 10},
          {kFirst, 10, 1},  {kFirst, 10, 5},  {kFirst, 8, 8},   {kFirst, 10, 4},  {kFirst, 10, 5}, {kSecond, 9, 5},
          {kSecond, 10, 6}, {kSecond, 6, 9},  {kSecond, 10, 4}, {kSecond, 11, 3}, {kSecond, 9, 7}, {kSecond, 8, 5},
          {kSecond, 10, 2}, {kSecond, 11, 4}, {kSecond, 9, 6},  {kThird, 9, 5},   {kThird, 8, 6},  {kThird, 10, 6},
          {kThird, 11, 5},  {kThird, 9, 5},   {kThird, 8, 8},   {kThird, 7, 7},   {kThird, 9, 6},  {kThird, 7, 8},
          {kThird, 8, 5},   {64, 8, 6}};
}

void product_cost(CostMeter& meter, std::uint64_t rows, std::uint64_t inner, std::uint64_t cols, unsigned bits) {
  const WeightCode one_bit{.exponents = {0}, .signs = {1}};
  const ProductSpec spec{{1, rows, inner, cols, Ring(kRing)},
                         {bits == 1 ? one_bit : WeightCode::twos_complement(bits)}};
  ot_product_setup_cost(meter, spec);
  ot_product_online_cost(meter, spec, 1);
}

// As peers/factored_convolution.h, for any number of clusters and values of `value_bits`.
void product_cost(CostMeter& meter, const Product& p, unsigned value_bits) {
  const std::uint64_t inner = p.in * p.taps;
  if (p.clusters == 0) return product_cost(meter, p.out, inner, p.pixels, 16);
  product_cost(meter, p.out * (p.clusters - 1), inner, p.pixels, 1);
  product_cost(meter, 1, p.clusters, p.out * p.pixels, value_bits);
}

double megabytes(const CostMeter& steps) {
  CostMeter all = steps;
  OtPoolCost({.kind = OtKind::kSoftSpoken, .softspoken_k = 1}).reserve(all, steps.cost().cots[0], steps.cost().cots[1]);
  return static_cast<double>(all.cost().total_bytes()) / 1e6;
}

TEST(CoinnCost, EightClustersCostNoMoreThanItsPublicConfiguration) {
  CostMeter published;
  double macs = 0;
  for (const Product& p : public_products()) {
    product_cost(published, p, 16);
    macs += static_cast<double>(p.in * p.out * p.pixels * p.taps);
  }
  EXPECT_NEAR(macs, 69.1e6, 1e5);  // the list is the whole network
  std::uint64_t relus = 0;
  for (const Relu& r : public_relus()) {
    peers::garbled_requantize_cost(
        published, {.from = Ring(r.kept + r.dropped), .to = Ring(kRing), .shift = r.dropped, .relu = true}, r.n);
    relus += r.n;
  }
  EXPECT_EQ(relus, 303'104U + 64);

  CostMeter eight;
  for (Product p : public_products()) {
    p.clusters = 8;
    product_cost(eight, p, 3);
  }
  for (const Relu& r : public_relus())
    peers::garbled_requantize_cost(eight, {.from = Ring(15), .to = Ring(15), .shift = 6, .relu = true}, r.n);
  std::printf("ResNet-32: public configuration %.1f MB, eight clusters and rings of 15 bits %.1f MB\n",
              megabytes(published), megabytes(eight));
  EXPECT_LT(megabytes(eight), megabytes(published));
}

}  // namespace
}  // namespace eqo
