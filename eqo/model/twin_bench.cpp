#include <benchmark/benchmark.h>

#include <string>

#include "eqo/model/testing/random_model.h"
#include "eqo/model/twin.h"
#include "eqo/model/types.h"

namespace eqo {
namespace {

// ResNet-20 for 32x32 images with random weights of 8 bits and activations of 8 bits, as the quantizer lays it out.
class ResNet20 {
 public:
  explicit ResNet20(ConvDomain domain) : domain_(domain) {
    PublicPlan& p = plan_;
    p.name = "resnet20";
    p.input_scale = p.output_scale = 1;
    Node image;
    image.type.shape = {3, 32, 32};
    image.type.ring_bits = kRing;
    int x = activation(conv(add(image, {}), 16, 3, 1));
    for (const std::int64_t width : {16, 32, 64}) {
      for (int b = 0; b < 3; ++b) {
        const std::int64_t stride = width > 16 && b == 0 ? 2 : 1;
        const int first = activation(conv(x, width, 3, stride));
        const int second = conv(first, width, 3, 1);
        Node sum;
        sum.op = Op::kAdd;
        sum.input_shifts = {0, 4};
        sum.input_signs = {1, 1};
        x = activation(add(sum, {second, stride == 1 ? x : conv(x, width, 1, 2)}));
      }
    }
    Node pool;
    pool.op = Op::kSumPool;
    pool.window.kernel_h = pool.window.kernel_w = 8;
    conv(add(pool, {x}), 10, 1, 1);
    p.output = static_cast<int>(p.nodes.size()) - 1;
  }
  Model model() const { return testing::with_random_weights(plan_, 1); }

 private:
  static constexpr unsigned kRing = 24, kShift = 15;

  int add(Node node, std::vector<int> inputs) {
    node.inputs = std::move(inputs);
    node.name = std::string(op_name(node.op)) + std::to_string(plan_.nodes.size());
    std::vector<TensorType> types;
    for (const int i : node.inputs) types.push_back(plan_.nodes[static_cast<std::size_t>(i)].type);
    node.type = infer_type(node, types);
    plan_.nodes.push_back(std::move(node));
    return static_cast<int>(plan_.nodes.size()) - 1;
  }
  int conv(int x, std::int64_t filters, std::int64_t kernel, std::int64_t stride) {
    Node node;
    node.op = Op::kConv;
    node.type.shape.c = filters;
    const std::int64_t pad = kernel / 2;
    node.window = {kernel, kernel, stride, stride, pad, pad, pad, pad, 1, 1};
    if (kernel == 3 && stride == 1) node.domain = domain_;
    node.codes = {WeightCode::twos_complement(8)};
    return add(node, {x});
  }
  int activation(int x) {
    Node relu, shift, extend;
    relu.op = Op::kRelu;
    shift.op = Op::kTruncateReduce;
    shift.shift = kShift;
    extend.op = Op::kExtend;
    extend.type.ring_bits = kRing;
    return add(extend, {add(shift, {add(relu, {x})})});
  }

  ConvDomain domain_;
  PublicPlan plan_;
};

void run(benchmark::State& state, ConvDomain domain) {
  const auto batch = static_cast<std::size_t>(state.range(0));
  const Twin twin(ResNet20(domain).model());
  std::vector<Word> images;
  for (std::size_t i = 0; i < batch; ++i) {
    const std::vector<Word> image = testing::random_image(twin.plan(), i + 100);
    images.insert(images.end(), image.begin(), image.end());
  }
  for (auto _ : state) benchmark::DoNotOptimize(twin.run_batch(images, batch));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

BENCHMARK_CAPTURE(run, direct, ConvDomain::kDirect)->Arg(1)->Arg(4)->Arg(16)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(run, winograd, ConvDomain::kWinograd)->Arg(1)->Arg(4)->Arg(16)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace eqo
