#include "eqo/model/testing/random_model.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/model/local_ops.h"
#include "eqo/model/testing/random_weights.h"
#include "eqo/model/types.h"

namespace eqo::testing {
namespace {

constexpr std::int64_t kMaxTensor = 2000;
constexpr std::int64_t kMaxMacs = 150000;

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_(seed), methods_(~seed) {}

  Model make() {
    input();
    const std::int64_t blocks = random_.in(1, 5);
    for (std::int64_t b = 0; b < blocks && model_.plan.nodes.size() < 18; ++b) {
      layer_ = std::to_string(b);
      block();
    }
    layer_ = "head";
    head();
    PublicPlan& plan = model_.plan;
    plan.name = "random";
    plan.output = current_;
    plan.input_scale = 1.0 / 32;
    plan.output_scale = 1.0 / 64;
    plan.leakage = "random: derived from nothing";
    if (random_.one_in(2)) name_classes();
    validate(model_);
    return std::move(model_);
  }

 private:
  const TensorType& type(int i) const { return model_.plan.nodes[static_cast<std::size_t>(i)].type; }
  const TensorType& here() const { return type(current_); }

  // Appends the step; true and current_ if its type exists and is small.
  bool add(Node node, std::vector<int> inputs) {
    node.inputs = std::move(inputs);
    node.name = std::to_string(model_.plan.nodes.size());
    node.name.insert(0, 1, 'n');
    node.layer = layer_;
    node.method = method(node.op);
    std::vector<TensorType> types;
    for (const int i : node.inputs) types.push_back(type(i));
    try {
      node.type = infer_type(node, types, model_.plan.input_bits);
      if (node.op == Op::kConv) weight_sum_bound(node, types[0].shape);
    } catch (const Error&) {
      return false;  // this draw does not fit here
    }
    if (node.type.shape.size() > kMaxTensor) return false;
    model_.secrets.push_back(random_secrets(node, types.empty() ? nullptr : &types[0].shape, random_));
    model_.plan.nodes.push_back(std::move(node));
    current_ = static_cast<int>(model_.plan.nodes.size()) - 1;
    return true;
  }
  static Node step(Op op) {
    Node node;
    node.op = op;
    return node;
  }
  bool add(Op op) { return add(step(op), {current_}); }

  void input() {
    Node node = step(Op::kInput);
    node.type.shape = {random_.pick({1, 3, 3, 2, 5}), random_.in(1, 11), random_.in(1, 11)};
    model_.plan.input_bits = random_.width(1, 8);
    node.type.ring_bits = std::max(model_.plan.input_bits, ring_width());
    const bool picture = node.type.shape.c == 1 || node.type.shape.c == 3;
    if (picture && random_.one_in(2)) model_.plan.preprocess.shape = node.type.shape;
    add(node, {});
  }

  unsigned ring_width() {
    if (random_.one_in(8)) return random_.width(1, 7);
    if (random_.one_in(8)) return random_.width(31, 64);
    return random_.width(8, 30);
  }

  // Extends or reduces to another ring.
  void resize(unsigned ring) {
    if (ring == here().ring_bits) return;
    Node node = step(ring > here().ring_bits ? Op::kExtend : Op::kReduce);
    node.type.ring_bits = ring;
    add(node, {current_});
  }

  // One that holds a convolution of the current tensor for any weights of this magnitude, or one that may not.
  unsigned accumulator_ring(std::uint64_t weight_sum) {
    if (random_.one_in(2)) return ring_width();
    const std::int64_t largest = std::max(here().hi, -(here().lo + 1));
    unsigned bits = 2;
    for (std::uint64_t v = static_cast<std::uint64_t>(largest); v > 0; v >>= 1) ++bits;
    for (std::uint64_t v = weight_sum; v > 0; v >>= 1) ++bits;
    return std::min(bits, 64U);
  }

  Window window(std::int64_t kernel) {
    Window w;
    w.kernel_h = std::min(kernel, here().shape.h + 2);
    w.kernel_w = random_.one_in(4) ? random_.in(1, kernel) : kernel;
    if (random_.one_in(3)) {
      w.stride_h = random_.in(1, 3);
      w.stride_w = random_.in(1, 3);
    }
    if (random_.one_in(5)) w.dilation_h = w.dilation_w = 2;
    for (auto* pad : {&w.pad_top, &w.pad_left, &w.pad_bottom, &w.pad_right})
      *pad = random_.one_in(3) ? random_.in(0, 2) : kernel / 2;
    return w;
  }

  // A convolution in the current ring; `same` keeps height and width, for a residual branch.
  bool convolve(bool same) {
    const Shape in = here().shape;
    Node node = step(Op::kConv);
    const std::int64_t kernel = random_.pick({1, 3, 3, 3, 5});
    if (same || random_.one_in(3)) {
      node.window = {kernel, kernel, 1, 1, kernel / 2, kernel / 2, kernel / 2, kernel / 2, 1, 1};
    } else {
      node.window = window(kernel);
    }
    node.type.shape.c = same ? in.c : random_.in(1, 7);
    if (random_.one_in(4)) {  // depthwise, or two groups
      node.groups = random_.one_in(2) && in.c % 2 == 0 ? 2 : in.c;
      if (!same) node.type.shape.c = node.groups * random_.in(1, 2);
    }
    const ConvShape shape{in, node.type.shape.c, node.groups, node.window, ConvDomain::kDirect};
    if (winograd_applies(shape) && !random_.one_in(3)) node.domain = ConvDomain::kWinograd;
    const bool taps = node.domain == ConvDomain::kWinograd && !random_.one_in(3);
    for (int i = 0; i < (taps ? 16 : 1); ++i) node.codes.push_back(random_code(random_));
    if (in.c / node.groups * kernel * kernel * node.type.shape.c * in.h * in.w > kMaxMacs) return false;
    resize(accumulator_ring(weight_sum_bound(node, in)));
    return add(node, {current_});
  }

  void add_two(int a, int b) {
    Node node = step(Op::kAdd);
    const std::int64_t most = std::min<std::int64_t>(4, std::int64_t{type(a).ring_bits} - 1);
    for (int i = 0; i < 2; ++i) {
      node.input_shifts.push_back(random_.one_in(2) ? 0 : static_cast<unsigned>(random_.in(0, most)));
      node.input_signs.push_back(random_.one_in(4) ? std::int8_t{-1} : std::int8_t{1});
    }
    add(node, {a, b});
  }

  // x + f(x) in one ring. f ends in the ring that the skip branch is brought to.
  void residual() {
    const int skip = current_;
    if (!convolve(true)) return;
    if (random_.one_in(3)) {
      add(Op::kRelu);
      convolve(true);
    }
    const int branch = current_;
    current_ = skip;
    resize(type(branch).ring_bits);
    const int aligned = current_;
    add_two(branch, aligned);
  }

  // Two branches of the same height, width and ring side by side.
  void fork() {
    if (3 * here().shape.size() > kMaxTensor) return;
    const int start = current_;
    const bool first = convolve(true);
    const int a = current_;
    if (!first || a == start) return;
    current_ = start;
    resize(type(a).ring_bits);
    if (random_.one_in(2) && type(current_).ring_bits == type(a).ring_bits) add(Op::kRelu);
    Node node = step(Op::kConcat);
    std::vector<int> inputs{a, current_};
    if (random_.one_in(4)) inputs.push_back(a);
    const std::int64_t most = std::min<std::int64_t>(3, std::int64_t{here().ring_bits} - 1);
    for (std::size_t i = 0; i < inputs.size(); ++i)
      node.input_shifts.push_back(random_.one_in(2) ? 0 : static_cast<unsigned>(random_.in(0, most)));
    add(node, inputs);
  }

  // min(max(x, 0), c) = r - relu(r - c), r = relu(x), as a model with ReLU6 has it.
  void clip() {
    add(Op::kRelu);
    const int r = current_;
    Node constant = step(Op::kAddConstant);
    constant.constant = -random_.in(0, std::min<std::int64_t>(ring_hi(here().ring_bits), 60));
    add(constant, {r});
    add(Op::kRelu);
    Node node = step(Op::kAdd);
    node.input_shifts = {0, 0};
    node.input_signs = {1, -1};
    add(node, {r, current_});
  }

  void pool(Op op) {
    Node node = step(op);
    node.window = window(random_.in(1, 3));
    if (op == Op::kMaxPool && !here().non_negative())
      node.window.pad_top = node.window.pad_left = node.window.pad_bottom = node.window.pad_right = 0;
    if (op == Op::kSumPool && random_.one_in(3)) {  // global
      node.window = {};
      node.window.kernel_h = here().shape.h;
      node.window.kernel_w = here().shape.w;
    }
    add(node, {current_});
  }

  void rearrange() {
    const Shape s = here().shape;
    const std::array<std::int64_t, 3> size{s.c, s.h, s.w};
    if (random_.one_in(2)) {
      Node node = step(Op::kPad);
      for (std::size_t d = 0; d < 3; ++d) {
        node.pad_before[d] = random_.in(0, 2);
        node.pad_after[d] = random_.in(0, 1);
      }
      add(node, {current_});
    } else if (random_.one_in(2)) {
      Node node = step(Op::kSlice);
      std::array<std::int64_t, 3> count{};
      for (std::size_t d = 0; d < 3; ++d) {
        node.start[d] = random_.in(0, std::min<std::int64_t>(size[d] - 1, 2));
        node.step[d] = random_.in(1, 2);
        count[d] = random_.in(1, (size[d] - node.start[d] - 1) / node.step[d] + 1);
      }
      node.type.shape = {count[0], count[1], count[2]};
      add(node, {current_});
    } else {
      Node node = step(Op::kReshape);
      node.type.shape = random_.one_in(2) ? Shape{s.h, s.c, s.w} : Shape{s.c, s.w, s.h};
      add(node, {current_});
    }
  }

  void requantize() {
    Node node = step(Op::kRequantize);
    node.relu = !random_.one_in(3);
    node.shift = static_cast<unsigned>(random_.in(0, std::min<std::int64_t>(std::int64_t{here().ring_bits} - 1, 8)));
    node.type.ring_bits = ring_width();
    add(node, {current_});
  }

  void shift() {
    if (random_.one_in(3)) return requantize();
    if (here().ring_bits < 2) return;
    Node node = step(random_.one_in(3) ? Op::kTruncate : Op::kTruncateReduce);
    node.shift = static_cast<unsigned>(random_.in(1, std::min<std::int64_t>(std::int64_t{here().ring_bits} - 1, 8)));
    add(node, {current_});
  }

  void block() {
    switch (random_.in(0, 9)) {
      case 0:
        rearrange();
        break;
      case 1:
        fork();
        break;
      case 2:
      case 3:
        residual();
        break;
      case 4:
        resize(ring_width());
        break;
      default:
        convolve(false);
    }
    if (!random_.one_in(4)) {
      random_.one_in(4) ? clip() : static_cast<void>(add(Op::kRelu));
    }
    if (random_.one_in(4)) pool(random_.one_in(2) ? Op::kMaxPool : Op::kSumPool);
    if (!random_.one_in(3)) shift();
  }

  void head() {
    if (random_.one_in(4) && here().shape.size() <= 64) {
      Node node = step(Op::kReshape);
      node.type.shape = {here().shape.size(), 1, 1};
      add(node, {current_});
    }
    if (here().shape.h * here().shape.w > 1 && random_.one_in(2)) {
      Node node = step(Op::kReshape);
      node.type.shape = {here().shape.size(), 1, 1};
      add(node, {current_});
    }
    if (here().shape.h * here().shape.w == 1 && !random_.one_in(4)) {  // fully connected
      Node node = step(Op::kConv);
      node.type.shape.c = random_.in(1, 12);
      node.codes.push_back(random_code(random_));
      resize(accumulator_ring(weight_sum_bound(node, here().shape)));
      add(node, {current_});
    }
    if (random_.one_in(3)) add(Op::kArgMax);
    if (current_ == 0) add(Op::kRelu);
  }

  void name_classes() {
    const Node& last = model_.plan.nodes.back();
    const std::int64_t logits = last.op == Op::kArgMax ? type(last.inputs[0]).shape.size() : last.type.shape.size();
    for (std::int64_t i = 0; i < logits; ++i) model_.plan.classes.push_back("class " + std::to_string(i));
  }

  // A way to compute a non-linear step.
  Method method(Op op) {
    Method m;
    if (op == Op::kInput || op == Op::kConv || is_local(op) || methods_.one_in(3)) return m;
    if (methods_.one_in(2)) m.levels = static_cast<std::uint8_t>(methods_.in(3, 6));
    m.merged = methods_.one_in(2);
    if (op == Op::kTruncate || op == Op::kExtend || op == Op::kRequantize) m.use_interval = !methods_.one_in(3);
    if (op == Op::kRequantize) m.staged = methods_.one_in(2);
    return m;
  }

  RandomSource random_, methods_;
  Model model_;
  std::string layer_ = "input";
  int current_ = 0;
};

}  // namespace

Model random_model(std::uint64_t seed) { return Generator(seed).make(); }

Model with_random_weights(const PublicPlan& plan, std::uint64_t seed) {
  RandomSource random(seed);
  Model model{plan, {}};
  for (const Node& node : plan.nodes) {
    const Shape* in = node.inputs.empty() ? nullptr : &plan.nodes[static_cast<std::size_t>(node.inputs[0])].type.shape;
    model.secrets.push_back(random_secrets(node, in, random));
  }
  return model;
}

std::vector<Word> random_image(const PublicPlan& plan, std::uint64_t seed) {
  RandomSource random(seed);
  const TensorType& type = plan.nodes.at(0).type;
  const std::int64_t kind = random.in(0, 9);
  std::vector<Word> image;
  for (std::int64_t i = 0; i < type.shape.size(); ++i) {
    std::int64_t v = random.in(type.lo, type.hi);
    if (kind == 0) v = 0;
    if (kind == 1) v = v < 0 ? type.lo : type.hi;
    image.push_back(type.ring().from_signed(v));
  }
  return image;
}

}  // namespace eqo::testing
