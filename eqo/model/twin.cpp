#include "eqo/model/twin.h"

#include <algorithm>
#include <string>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/kernels/elementwise.h"
#include "eqo/kernels/pooling.h"
#include "eqo/model/conv_layer.h"
#include "eqo/model/exact.h"
#include "eqo/model/local_ops.h"
#include "eqo/model/quantize.h"
#include "eqo/model/types.h"

namespace eqo {
namespace {

constexpr Int128 kBound64 = Int128{1} << 62;  // exact values below it live in 64-bit words
constexpr Int128 kBound32 = Int128{1} << 31;

enum class Arithmetic : std::uint8_t { k32, k64, k128 };

// What the twin prepares for one node.
struct Step {
  Arithmetic arithmetic = Arithmetic::k64;
  bool read = false;  // somebody reads the value as signed in its ring
  int consumers = 0;
  ConvShape conv;
  DecodedWeights weights;            // k32 and k64
  WipedVector<std::int64_t> values;  // k128
  WipedVector<std::int64_t> bias;
};

Int128 magnitude(const TensorType& t) { return std::max(-Int128{t.lo}, Int128{t.hi}); }
bool linear(Op op) { return op == Op::kConv || is_local(op); }

}  // namespace

struct Twin::State {
  PublicPlan plan;
  std::vector<Step> steps;
  std::size_t scratch = 0;

  const Node& node(int i) const { return plan.nodes[static_cast<std::size_t>(i)]; }
  Step& step(int i) { return steps[static_cast<std::size_t>(i)]; }

  void find_readers() {
    for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
      for (const int input : plan.nodes[i].inputs) {
        ++step(input).consumers;
        if (!linear(plan.nodes[i].op)) step(input).read = true;
      }
    }
    step(plan.output).read = true;
  }

  // The largest magnitude of a convolution's exact output; chooses its arithmetic.
  Int128 prepare_conv(const Node& node, const NodeSecrets& secrets, Step& s, Int128 input) {
    s.conv = conv_shape(node, this->node(node.inputs[0]).type.shape);
    s.bias.assign(secrets.bias.begin(), secrets.bias.end());
    const ConvWeights weights = conv_weights(node, secrets);
    s.values = weight_values(s.conv, weights);
    const Int128 sum = Int128{largest_weight_sum(s.conv, s.values)} * input;
    Int128 bound = 0;
    for (const std::int64_t b : s.bias) bound = std::max<Int128>(bound, b < 0 ? -b : b);
    bound += sum;
    if (bound >= kBound64) {
      s.arithmetic = Arithmetic::k128;
      return bound;
    }
    if (sum < kBound32 && input < kBound32) s.arithmetic = Arithmetic::k32;
    s.weights = decode_weights(s.conv, weights, Ring(s.arithmetic == Arithmetic::k32 ? 32 : 64));
    s.values = {};
    return bound;
  }

  static Int128 local_bound(const Node& node, const std::vector<Int128>& inputs) {
    switch (node.op) {
      case Op::kAdd:
      case Op::kConcat: {
        Int128 sum = 0, largest = 0;
        for (std::size_t i = 0; i < inputs.size(); ++i) {
          const Int128 term = inputs[i] << node.input_shifts[i];
          sum += term;
          largest = std::max(largest, term);
        }
        return node.op == Op::kAdd ? sum : largest;
      }
      case Op::kAddConstant:
        return inputs[0] + (node.constant < 0 ? -Int128{node.constant} : Int128{node.constant});
      case Op::kSumPool:
        return inputs[0] * std::min<Int128>(Int128{node.window.kernel_h} * node.window.kernel_w, kMaxElements);
      default:
        return inputs[0];
    }
  }

  void prepare(const Model& model) {
    find_readers();
    std::vector<Int128> bounds;
    for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
      const Node& node = plan.nodes[i];
      Step& s = steps[i];
      std::vector<Int128> inputs;
      for (const int input : node.inputs) inputs.push_back(bounds[static_cast<std::size_t>(input)]);
      Int128 bound = magnitude(node.type);
      if (linear(node.op)) {
        bound = node.op == Op::kConv ? prepare_conv(node, model.secrets[i], s, inputs[0]) : local_bound(node, inputs);
        if (bound >= kBound64) {
          s.arithmetic = Arithmetic::k128;
          s.read = true;
        }
        if (s.read) bound = std::min(bound, Int128{1} << (node.type.ring_bits - 1));
      } else if (node.op == Op::kRelu || node.op == Op::kExtend) {
        bound = std::min(bound, inputs[0]);
      }
      bounds.push_back(bound);
      auto elements = static_cast<std::size_t>(node.type.shape.size());
      if (node.op == Op::kConv) elements += s.conv.products() * s.conv.inner() * s.conv.cols();
      scratch = std::max(scratch, elements);
    }
  }
};

// One batch on its way through the plan. Between linear steps values are exact two's complement in 64 bits; once read
// they are the signed readings of their ring.
class Twin::Run {
 public:
  Run(const State& state, std::size_t batch, ThreadPool& threads, const Observer* observer)
      : state_(state),
        batch_(batch),
        threads_(threads),
        observer_(observer),
        values_(state.steps.size()),
        consumers_(state.steps.size()),
        results_(batch) {
    for (std::size_t i = 0; i < state.steps.size(); ++i) consumers_[i] = state.steps[i].consumers;
  }

  std::vector<Result> operator()(std::span<const Word> images) {
    for (std::size_t i = 0; i < values_.size(); ++i) {
      const Node& node = state_.plan.nodes[i];
      values_[i] = node.op == Op::kInput ? signed_values(node.type, images) : compute(node, state_.steps[i]);
      if (observer_ != nullptr) show(static_cast<int>(i), node);
      if (static_cast<int>(i) == state_.plan.output && node.op != Op::kArgMax) take_logits(node.type, values_[i]);
    }
    return std::move(results_);
  }

 private:
  std::size_t elements(const TensorType& t) const { return static_cast<std::size_t>(t.shape.size()); }

  static Words signed_values(const TensorType& type, std::span<const Word> in) {
    const Ring ring = type.ring();
    Words out(in.size());
    for (std::size_t i = 0; i < in.size(); ++i) out[i] = static_cast<Word>(ring.to_signed(in[i]));
    return out;
  }

  // The values of input i, taken away from it if nobody needs them any more.
  Words consume(int i) {
    Words& v = values_[static_cast<std::size_t>(i)];
    return --consumers_[static_cast<std::size_t>(i)] == 0 ? std::move(v) : v;
  }
  void release(int i) {
    if (--consumers_[static_cast<std::size_t>(i)] == 0) values_[static_cast<std::size_t>(i)] = Words();
  }

  Words compute(const Node& node, const Step& step) {
    if (!linear(node.op)) return non_linear(node, state_.node(node.inputs[0]).type);
    std::vector<TensorType> types;
    std::vector<std::span<const Word>> inputs;
    for (const int i : node.inputs) {
      types.push_back(state_.node(i).type);
      inputs.emplace_back(values_[static_cast<std::size_t>(i)]);
    }
    Words out;
    if (step.arithmetic == Arithmetic::k128) {
      out = wide(node, step, types, inputs);
    } else {
      out = node.op == Op::kConv ? convolve(step, inputs[0])
                                 : apply_local_in(Ring(64), node, types, inputs, batch_, true, threads_);
      if (step.read) read(node.type, out);
    }
    for (const int i : node.inputs) release(i);
    return out;
  }

  Words convolve(const Step& s, std::span<const Word> x) {
    const Ring lanes(s.arithmetic == Arithmetic::k32 ? 32 : 64);
    Words y = conv_plain(s.conv, lanes, batch_, s.weights, {}, x, threads_);
    const Shape out = s.conv.out();
    const auto pixels = static_cast<std::size_t>(out.h * out.w);
    for (std::size_t at = 0, k = 0; at < y.size(); at += pixels, k = k + 1 == s.bias.size() ? 0 : k + 1)
      for (std::size_t i = at; i < at + pixels; ++i)
        y[i] = static_cast<Word>(lanes.to_signed(y[i])) + static_cast<Word>(s.bias[k]);
    return y;
  }

  // Exact in 128 bits, read at once.
  Words wide(const Node& node, const Step& s, std::span<const TensorType> types,
             std::span<const std::span<const Word>> inputs) {
    std::vector<Int128> exact;
    if (node.op != Op::kConv) {
      exact = local_exact(node, types, inputs, batch_, threads_);
    } else {
      const std::size_t in = elements(types[0]);
      const auto pixels = static_cast<std::size_t>(node.type.shape.h * node.type.shape.w);
      for (std::size_t n = 0; n < batch_; ++n) {
        std::vector<Int128> y = conv_exact(s.conv, s.values, inputs[0].subspan(n * in, in));
        for (std::size_t i = 0; i < y.size(); ++i) exact.push_back(y[i] + s.bias[i / pixels]);
      }
    }
    const Ring ring = node.type.ring();
    Words out(exact.size());
    for (std::size_t i = 0; i < out.size(); ++i) {
      const std::int64_t reading = ring.to_signed(ring.reduce(static_cast<Word>(exact[i])));
      results_[i / elements(node.type)].overflowed += reading != exact[i] ? 1 : 0;
      out[i] = static_cast<Word>(reading);
    }
    return out;
  }

  // Exact values become the signed readings of their ring; those that change are counted.
  void read(const TensorType& type, Words& x) {
    const Ring ring = type.ring();
    const std::size_t size = elements(type);
    for (std::size_t n = 0; n < batch_; ++n) {
      std::uint64_t changed = 0;
      for (std::size_t i = n * size; i < (n + 1) * size; ++i) {
        const auto reading = static_cast<Word>(ring.to_signed(ring.reduce(x[i])));
        changed += reading != x[i] ? 1 : 0;
        x[i] = reading;
      }
      results_[n].overflowed += changed;
    }
  }

  static void reduce(Ring ring, Words& x) {
    for (Word& v : x) v = ring.reduce(v);
  }

  Words non_linear(const Node& node, const TensorType& in) {
    Words x = consume(node.inputs[0]);
    reduce(in.ring(), x);
    switch (node.op) {
      case Op::kRelu:
        relu_plain(in.ring(), x);
        break;
      case Op::kTruncate:
        truncate_plain(in.ring(), x, node.shift);
        break;
      case Op::kTruncateReduce:
        truncate_reduce_plain(in.ring(), x, node.shift);
        break;
      case Op::kExtend:
        extend_plain(in.ring(), node.type.ring(), x);
        break;
      case Op::kRequantize:
        for (Word& v : x) v = requantize_plain(in.ring(), node.type.ring(), node.shift, node.relu, v);
        break;
      case Op::kMaxPool:
        x = max_pool(node, in, x);
        break;
      case Op::kArgMax:
        take_logits(in, signed_values(in, x));
        return arg_max(in, x);
      default:
        throw internal_error("the twin does not know step '" + node.name + "'");
    }
    return signed_values(node.type, x);
  }

  Words max_pool(const Node& node, const TensorType& in, const Words& x) {
    const std::size_t size = elements(in), out_size = elements(node.type);
    const auto window = static_cast<std::size_t>(node.window.kernel_h * node.window.kernel_w);
    Words out;
    for (std::size_t n = 0; n < batch_; ++n) {
      const Words windows = gather_windows(in.shape, node.window, 1, std::span(x).subspan(n * size, size), 0);
      const Words best = max_tree_plain(in.ring(), windows, window, out_size, &results_[n].overflowed);
      out.insert(out.end(), best.begin(), best.end());
    }
    return out;
  }

  Words arg_max(const TensorType& in, const Words& x) {
    Words out;
    const std::size_t size = elements(in);
    for (std::size_t n = 0; n < batch_; ++n) {
      const Words index =
          argmax_plain(in.ring(), std::span(x).subspan(n * size, size), size, 1, &results_[n].overflowed);
      results_[n].label = static_cast<int>(index[0]);
      out.push_back(index[0]);
    }
    return out;
  }

  void take_logits(const TensorType& type, const Words& x) {
    const std::size_t size = elements(type);
    for (std::size_t n = 0; n < batch_; ++n) {
      for (const Word v : std::span(x).subspan(n * size, size))
        results_[n].logits.push_back(static_cast<std::int64_t>(v));
      results_[n].label = top_label(results_[n].logits);
    }
  }

  void show(int index, const Node& node) {
    Words reduced = values_[static_cast<std::size_t>(index)];
    reduce(node.type.ring(), reduced);
    (*observer_)(index, reduced);
  }

  const State& state_;
  std::size_t batch_;
  ThreadPool& threads_;
  const Observer* observer_;
  std::vector<Words> values_;
  std::vector<int> consumers_;
  std::vector<Result> results_;
};

Twin::Twin(const Model& model) {
  validate(model);
  auto state = std::make_unique<State>();
  state->plan = model.plan;
  state->steps.resize(model.plan.nodes.size());
  state->prepare(model);
  state_ = std::move(state);
}
Twin::~Twin() = default;
Twin::Twin(Twin&&) noexcept = default;
Twin& Twin::operator=(Twin&&) noexcept = default;

const PublicPlan& Twin::plan() const { return state_->plan; }
std::size_t Twin::scratch_elements() const { return state_->scratch; }

std::vector<Twin::Result> Twin::run_batch(std::span<const Word> images, std::size_t batch, ThreadPool* threads,
                                          const Observer* observer) const {
  const TensorType& in = state_->plan.nodes[0].type;
  const auto size = static_cast<std::size_t>(in.shape.size());
  if (images.size() / size != batch || images.size() % size != 0)
    throw usage_error("the twin takes " + std::to_string(size) + " values an image, got " +
                      std::to_string(images.size()) + " for " + std::to_string(batch));
  const Ring ring = in.ring();
  bool outside = false;
  for (const Word x : images) {
    const std::int64_t v = ring.to_signed(ring.reduce(x));
    outside |= x > ring.mask() || v < in.lo || v > in.hi;
  }
  if (outside) throw usage_error("an input value is outside the model's quantized range");
  ThreadPool one(1);
  return Run(*state_, batch, threads != nullptr ? *threads : one, observer)(images);
}

Twin::Result Twin::run(std::span<const Word> image, ThreadPool* threads) const {
  return std::move(run_batch(image, 1, threads)[0]);
}

Twin::Result Twin::run_traced(std::span<const Word> image, const Observer& observer, ThreadPool* threads) const {
  return std::move(run_batch(image, 1, threads, &observer)[0]);
}

}  // namespace eqo
