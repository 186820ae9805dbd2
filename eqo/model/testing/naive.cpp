#include "eqo/model/testing/naive.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "eqo/core/wide.h"
#include "eqo/model/types.h"

namespace eqo::testing {
namespace {

using Exact = std::vector<Int128>;

std::size_t at(const Shape& s, std::int64_t c, std::int64_t y, std::int64_t x) {
  return static_cast<std::size_t>((c * s.h + y) * s.w + x);
}

Int128 value_at(const Shape& s, const Exact& v, std::int64_t c, std::int64_t y, std::int64_t x) {
  return y < 0 || y >= s.h || x < 0 || x >= s.w ? Int128{0} : v[at(s, c, y, x)];
}

// The signed value in [-2^(l-1), 2^(l-1)) that is congruent to v.
Int128 signed_mod(Int128 v, unsigned bits) {
  const Int128 modulus = Int128{1} << bits;
  const Int128 r = ((v % modulus) + modulus) % modulus;
  return r >= modulus / 2 ? r - modulus : r;
}

Int128 floor_shift(Int128 v, unsigned s) {
  const Int128 d = Int128{1} << s;
  return v >= 0 ? v / d : -((-v + d - 1) / d);
}

template <typename F>
Exact fill(const Shape& s, F f) {
  Exact out;
  for (std::int64_t c = 0; c < s.c; ++c)
    for (std::int64_t y = 0; y < s.h; ++y)
      for (std::int64_t x = 0; x < s.w; ++x) out.push_back(f(c, y, x));
  return out;
}

class Naive {
 public:
  Naive(const Model& model, std::span<const Word> image) : model_(model), plan_(model.plan) {
    read_.resize(plan_.nodes.size(), false);
    for (const Node& node : plan_.nodes)
      for (const int i : node.inputs)
        if (!linear(node.op)) read_[static_cast<std::size_t>(i)] = true;
    read_[static_cast<std::size_t>(plan_.output)] = true;
    for (std::size_t i = 0; i < plan_.nodes.size(); ++i) run_node(i, image);
  }

  NaiveResult result;

 private:
  static bool linear(Op op) {
    return op == Op::kConv || op == Op::kAdd || op == Op::kAddConstant || op == Op::kReduce || op == Op::kSumPool ||
           op == Op::kConcat || op == Op::kPad || op == Op::kSlice || op == Op::kReshape;
  }
  const Exact& input(const Node& node, std::size_t i = 0) const {
    return values_[static_cast<std::size_t>(node.inputs[i])];
  }
  const TensorType& type(const Node& node, std::size_t i = 0) const {
    return plan_.nodes[static_cast<std::size_t>(node.inputs[i])].type;
  }

  void run_node(std::size_t i, std::span<const Word> image) {
    const Node& node = plan_.nodes[i];
    const unsigned l = node.type.ring_bits;
    Exact v = compute(node, model_.secrets[i], image);
    double bound = std::ldexp(1.0, static_cast<int>(l) - 1);
    if (linear(node.op)) {
      bound = linear_bound(node, model_.secrets[i]);
      if (!read_[i] && bound >= std::ldexp(1.0, 60)) result.counts_comparable = false;
    }
    if (read_[i] && node.op != Op::kArgMax) {
      for (Int128& x : v) {
        const Int128 reading = signed_mod(x, l);
        result.overflowed += reading != x ? 1 : 0;
        x = reading;
      }
      bound = std::min(bound, std::ldexp(1.0, static_cast<int>(l) - 1));
    }
    std::vector<Word> words;
    for (const Int128 x : v) words.push_back(node.type.ring().reduce(static_cast<Word>(x)));
    result.trace.push_back(words);
    values_.push_back(v);
    bounds_.push_back(bound);
  }

  double linear_bound(const Node& node, const NodeSecrets& secrets) const {
    double sum = 0, bias = 0;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      double term = bounds_[static_cast<std::size_t>(node.inputs[i])];
      if (!node.input_shifts.empty()) term = std::ldexp(term, static_cast<int>(node.input_shifts[i]));
      sum += term;
    }
    for (const std::int64_t b : secrets.bias) bias = std::max(bias, std::fabs(static_cast<double>(b)));
    if (node.op == Op::kConv) sum *= static_cast<double>(weight_sum_bound(node, type(node).shape));
    if (node.op == Op::kSumPool) sum *= static_cast<double>(node.window.kernel_h * node.window.kernel_w);
    return sum + bias + std::fabs(static_cast<double>(node.constant));
  }

  Exact compute(const Node& node, const NodeSecrets& secrets, std::span<const Word> image) {
    const Shape& out = node.type.shape;
    switch (node.op) {
      case Op::kInput: {
        Exact v;
        for (const Word x : image) v.push_back(signed_mod(Int128{x}, node.type.ring_bits));
        return v;
      }
      case Op::kConv:
        return node.domain == ConvDomain::kWinograd ? winograd(node, secrets) : direct(node, secrets);
      case Op::kAdd:
        return fill(out, [&](auto c, auto y, auto x) {
          Int128 sum = 0;
          for (std::size_t i = 0; i < node.inputs.size(); ++i)
            sum += node.input_signs[i] * (input(node, i)[at(out, c, y, x)] * (Int128{1} << node.input_shifts[i]));
          return sum;
        });
      case Op::kConcat: {
        Exact v;
        for (std::size_t i = 0; i < node.inputs.size(); ++i)
          for (const Int128 x : input(node, i)) v.push_back(x * (Int128{1} << node.input_shifts[i]));
        return v;
      }
      case Op::kPad:
        return fill(out, [&](auto c, auto y, auto x) {
          const std::int64_t from = c - node.pad_before[0];
          if (from < 0 || from >= type(node).shape.c) return Int128{0};
          return value_at(type(node).shape, input(node), from, y - node.pad_before[1], x - node.pad_before[2]);
        });
      case Op::kSlice:
        return fill(out, [&](auto c, auto y, auto x) {
          return input(node)[at(type(node).shape, node.start[0] + c * node.step[0], node.start[1] + y * node.step[1],
                                node.start[2] + x * node.step[2])];
        });
      case Op::kMaxPool:
      case Op::kSumPool:
        return fill(out, [&](auto c, auto y, auto x) { return pool(node, c, y, x); });
      case Op::kArgMax: {
        std::vector<std::size_t> order(input(node).size());
        for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
        return {static_cast<Int128>(tournament(order, input(node), type(node).ring_bits))};
      }
      default:
        break;
    }
    Exact v = input(node);
    for (Int128& x : v) {
      if (node.op == Op::kAddConstant) x += node.constant;
      if (node.op == Op::kRelu) x = x < 0 ? Int128{0} : x;
      if (node.op == Op::kTruncate || node.op == Op::kTruncateReduce) x = floor_shift(x, node.shift);
      if (node.op == Op::kRequantize)
        x = signed_mod(floor_shift(node.relu && x < 0 ? Int128{0} : x, node.shift), node.type.ring_bits);
    }
    return v;  // kExtend, kReduce and kReshape keep the numbers
  }

  Exact direct(const Node& node, const NodeSecrets& secrets) {
    const Shape in = type(node).shape;
    const Window& w = node.window;
    const std::int64_t part = in.c / node.groups, filters = node.type.shape.c / node.groups;
    return fill(node.type.shape, [&](auto k, auto y, auto x) {
      Int128 sum = secrets.bias[static_cast<std::size_t>(k)];
      for (std::int64_t c = 0; c < part; ++c)
        for (std::int64_t i = 0; i < w.kernel_h; ++i)
          for (std::int64_t j = 0; j < w.kernel_w; ++j) {
            const auto index = static_cast<std::size_t>(((k * part + c) * w.kernel_h + i) * w.kernel_w + j);
            sum += Int128{node.codes[0].value(secrets.weights[index])} *
                   value_at(in, input(node), k / filters * part + c, y * w.stride_h + i * w.dilation_h - w.pad_top,
                            x * w.stride_w + j * w.dilation_w - w.pad_left);
          }
      return sum;
    });
  }

  Exact winograd(const Node& node, const NodeSecrets& secrets) {
    constexpr int kB[4][4] = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}};
    constexpr int kA[2][4] = {{1, 1, 1, 0}, {0, 1, -1, -1}};
    const Shape in = type(node).shape;
    const std::int64_t filters = node.type.shape.c;
    return fill(node.type.shape, [&](auto k, auto y, auto x) {
      Int128 sum = secrets.bias[static_cast<std::size_t>(k)];
      for (std::int64_t c = 0; c < in.c; ++c)
        for (std::int64_t p = 0; p < 4; ++p)
          for (std::int64_t q = 0; q < 4; ++q) {
            const auto index = static_cast<std::size_t>(((4 * p + q) * filters + k) * in.c + c);
            const WeightCode& code = node.codes[node.codes.size() == 1 ? 0 : static_cast<std::size_t>(4 * p + q)];
            Int128 v = 0;
            for (std::int64_t a = 0; a < 4; ++a)
              for (std::int64_t b = 0; b < 4; ++b)
                v += kB[p][a] * kB[q][b] *
                     value_at(in, input(node), c, y / 2 * 2 + a - node.window.pad_top,
                              x / 2 * 2 + b - node.window.pad_left);
            sum += kA[y % 2][p] * kA[x % 2][q] * Int128{code.value(secrets.weights[index])} * v;
          }
      return sum;
    });
  }

  Int128 pool(const Node& node, std::int64_t c, std::int64_t y, std::int64_t x) {
    const Window& w = node.window;
    Exact in;
    Int128 sum = 0;
    for (std::int64_t i = 0; i < w.kernel_h; ++i)
      for (std::int64_t j = 0; j < w.kernel_w; ++j) {
        in.push_back(value_at(type(node).shape, input(node), c, y * w.stride_h + i * w.dilation_h - w.pad_top,
                              x * w.stride_w + j * w.dilation_w - w.pad_left));
        sum += in.back();
      }
    if (node.op == Op::kSumPool) return sum;
    std::vector<std::size_t> order(in.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    return in[tournament(order, in, type(node).ring_bits)];
  }

  // Neighbours play in pairs, round by round, an odd last one passes; the second wins where first - second, read in the
  // ring, is negative. Counts the differences that do not fit.
  std::size_t tournament(std::vector<std::size_t> players, const Exact& v, unsigned bits) {
    while (players.size() > 1) {
      std::vector<std::size_t> next;
      for (std::size_t i = 0; i < players.size(); i += 2) {
        if (i + 1 == players.size()) {
          next.push_back(players[i]);
          continue;
        }
        const Int128 difference = v[players[i]] - v[players[i + 1]];
        const Int128 reading = signed_mod(difference, bits);
        result.overflowed += reading != difference ? 1 : 0;
        next.push_back(players[reading < 0 ? i + 1 : i]);
      }
      players = next;
    }
    return players[0];
  }

  const Model& model_;
  const PublicPlan& plan_;
  std::vector<bool> read_;
  std::vector<Exact> values_;
  std::vector<double> bounds_;
};

}  // namespace

NaiveResult naive_run(const Model& model, std::span<const Word> image) { return Naive(model, image).result; }

}  // namespace eqo::testing
