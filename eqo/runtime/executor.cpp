#include "eqo/runtime/executor.h"

#include <algorithm>
#include <chrono>

#include "eqo/core/error.h"
#include "eqo/kernels/pooling.h"
#include "eqo/model/local_ops.h"
#include "eqo/planner/step_params.h"
#include "eqo/protocols/argmax.h"
#include "eqo/protocols/convolution.h"
#include "eqo/protocols/extend.h"
#include "eqo/protocols/maximum.h"
#include "eqo/protocols/relu.h"
#include "eqo/protocols/truncate.h"

namespace eqo {
namespace {

using Clock = std::chrono::steady_clock;

// Traffic and time since construction, into a report's fields.
class Meter {
 public:
  explicit Meter(const Channel& channel) : channel_(channel), before_(channel.traffic()), start_(Clock::now()) {}
  void add(std::uint64_t& bytes, std::uint64_t& flights, double& seconds) const {
    const Traffic now = channel_.traffic();
    bytes = now.sent_bytes - before_.sent_bytes + now.received_bytes - before_.received_bytes;
    flights = now.flights - before_.flights;
    seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  }

 private:
  const Channel& channel_;
  Traffic before_;
  Clock::time_point start_;
};

// [batch][k] -> [k][batch]
Words transposed(std::span<const Word> x, std::size_t batch, std::size_t k) {
  Words out(x.size());
  for (std::size_t b = 0; b < batch; ++b)
    for (std::size_t j = 0; j < k; ++j) out[j * batch + b] = x[b * k + j];
  return out;
}

}  // namespace

SecureExecutor::SecureExecutor(Context& ctx, const PublicPlan& plan, const ExecOptions& options, const Model* model)
    : ctx_(ctx), plan_(plan), options_(options), model_(model) {
  if ((ctx.party == Party::kServer) != (model != nullptr))
    throw internal_error("the server, and only the server, has a model");
  layers_.resize(plan.nodes.size());
  reports_.resize(plan.nodes.size());
  last_use_.assign(plan.nodes.size(), 0);
  for (std::size_t i = 0; i < plan.nodes.size(); ++i)
    for (const int in : plan.nodes[i].inputs) last_use_[static_cast<std::size_t>(in)] = i;
}

SecureExecutor::~SecureExecutor() = default;

void SecureExecutor::reserve(const std::function<void(CostMeter&)>& protocol) {
  const Cost need = dry_run(protocol);
  if (need.cots[0] == 0 && need.cots[1] == 0) return;
  const auto mine = static_cast<std::size_t>(ctx_.party);
  ctx_.ot.reserve(need.cots[mine], need.cots[1 - mine]);
}

void SecureExecutor::setup() {
  for (std::size_t i = 0; i < plan_.nodes.size(); ++i) {
    const Node& node = plan_.nodes[i];
    if (node.op != Op::kConv) continue;
    ctx_.channel.set_scope(node.name + " (setup)");
    const Meter meter(ctx_.channel);
    reserve([&](CostMeter& m) { step_setup_protocol(m, plan_, node); });
    const ConvSpec spec = conv_spec(plan_, node);
    if (ctx_.party == Party::kServer) {
      const NodeSecrets& secrets = model_->secrets[i];
      layers_[i].codes.assign(secrets.weights.begin(), secrets.weights.end());
      Words bias(secrets.bias.size());
      std::transform(secrets.bias.begin(), secrets.bias.end(), bias.begin(),
                     [&](std::int64_t b) { return node.type.ring().from_signed(b); });
      layers_[i].product = make_ot_convolution_server(spec, layers_[i].codes, bias);
    } else {
      layers_[i].product = make_ot_convolution_client(spec);
    }
    layers_[i].product->setup(ctx_);
    meter.add(reports_[i].setup_bytes, reports_[i].setup_flights, reports_[i].setup_seconds);
  }
}

Words SecureExecutor::run(std::span<const Word> input, std::uint64_t batch, std::uint64_t counter,
                          const Observer& observer) {
  if (batch < 1) throw usage_error("the batch must have at least one image");
  const std::uint64_t input_words = tensor_words(plan_.nodes.front(), batch);
  if (input.size() != (ctx_.party == Party::kClient ? input_words : 0))
    throw usage_error("the input has " + std::to_string(input.size()) + " elements, expected " +
                      std::to_string(input_words));
  std::vector<Words> tensors(plan_.nodes.size());
  for (std::size_t i = 0; i < plan_.nodes.size(); ++i) {
    const Node& node = plan_.nodes[i];
    ctx_.channel.set_scope(node.name);
    const Meter meter(ctx_.channel);
    if (node.op == Op::kInput) {
      // The client's share is the image itself, the server's is zero.
      tensors[i] = input.empty() ? Words(input_words) : Words(input.begin(), input.end());
    } else {
      reserve([&](CostMeter& m) { step_online_protocol(m, plan_, node, options_, batch); });
      tensors[i] = step(i, tensors, batch, counter);
    }
    meter.add(reports_[i].online_bytes, reports_[i].online_flights, reports_[i].online_seconds);
    if (observer) observer(i, tensors[i]);
    for (const int in : node.inputs)
      if (last_use_[static_cast<std::size_t>(in)] == i) Words().swap(tensors[static_cast<std::size_t>(in)]);
  }
  return std::move(tensors[static_cast<std::size_t>(plan_.output)]);
}

Words SecureExecutor::step(std::size_t index, std::span<const Words> tensors, std::uint64_t batch,
                           std::uint64_t counter) {
  const Node& node = plan_.nodes[index];
  const Words& x = tensors[static_cast<std::size_t>(node.inputs[0])];
  const TensorType& in = input_type(plan_, node);
  if (is_local(node.op)) {
    std::vector<TensorType> types;
    std::vector<std::span<const Word>> inputs;
    for (const int i : node.inputs) {
      types.push_back(plan_.nodes[static_cast<std::size_t>(i)].type);
      inputs.emplace_back(tensors[static_cast<std::size_t>(i)]);
    }
    return apply_local(node, types, inputs, batch, ctx_.party == Party::kServer, ctx_.threads);
  }
  switch (node.op) {
    case Op::kConv:
      return layers_[index].product->online(ctx_, counter, batch, x);
    case Op::kRelu:
      return relu(ctx_, in.ring(), x, options_.compare);
    case Op::kTruncate:
      return truncate(ctx_, in.ring(), x, node.shift, knowledge_of(in.ring(), in.lo, in.hi), options_.compare);
    case Op::kTruncateReduce:
      return truncate_reduce(ctx_, in.ring(), x, node.shift, options_.compare);
    case Op::kExtend:
      return extend(ctx_, in.ring(), node.type.ring(), x, knowledge_of(in.ring(), in.lo, in.hi), options_.compare);
    case Op::kMaxPool:
      return max_tree(ctx_, in.ring(), gather_windows(in.shape, node.window, batch, x, 0), window_size(node),
                      tensor_words(node, batch), options_.compare);
    case Op::kArgMax: {
      const auto k = static_cast<std::size_t>(in.shape.size());
      return argmax(ctx_, in.ring(), transposed(x, batch, k), k, batch, options_.compare);
    }
    default:
      throw internal_error(std::string("no protocol for the step ") + op_name(node.op));
  }
}

}  // namespace eqo
