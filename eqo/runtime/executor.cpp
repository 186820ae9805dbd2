#include "eqo/runtime/executor.h"

#include <chrono>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/kernels/pooling.h"
#include "eqo/model/local_ops.h"
#include "eqo/peers/convolution.h"
#include "eqo/planner/step_params.h"
#include "eqo/protocols/argmax.h"
#include "eqo/protocols/convolution.h"
#include "eqo/protocols/extend.h"
#include "eqo/protocols/maximum.h"
#include "eqo/protocols/relu.h"
#include "eqo/protocols/truncate.h"
#include "eqo/runtime/layer_secrets.h"
#include "eqo/runtime/peer_steps.h"

namespace eqo {
namespace {

using Clock = std::chrono::steady_clock;

// Adds traffic and time since construction to a report's fields.
class Meter {
 public:
  explicit Meter(const Channel& channel) : channel_(channel), before_(channel.traffic()), start_(Clock::now()) {}
  void add(std::uint64_t& bytes, std::uint64_t& flights, double& seconds) const {
    const Traffic now = channel_.traffic();
    bytes += now.sent_bytes - before_.sent_bytes + now.received_bytes - before_.received_bytes;
    flights += now.flights - before_.flights;
    seconds += std::chrono::duration<double>(Clock::now() - start_).count();
  }

 private:
  const Channel& channel_;
  Traffic before_;
  Clock::time_point start_;
};

}  // namespace

SecureExecutor::SecureExecutor(Context& ctx, const PublicPlan& plan, const ExecOptions& options, const Model* model)
    : ctx_(ctx), plan_(plan), options_(options), model_(model) {
  if ((ctx.party == Party::kServer) != (model != nullptr))
    throw internal_error("the server, and only the server, has a model");
  if (is_peer(options.framework)) peer_ = std::make_unique<PeerSteps>(ctx, plan, options.framework, model);
  layers_.resize(plan.nodes.size());
  reports_.resize(plan.nodes.size());
  last_use_.assign(plan.nodes.size(), 0);
  for (std::size_t i = 0; i < plan.nodes.size(); ++i)
    for (const int in : plan.nodes[i].inputs) last_use_[static_cast<std::size_t>(in)] = i;
}

SecureExecutor::~SecureExecutor() = default;

void SecureExecutor::make_cots(const OtSchedule::Need& need, std::uint64_t& bytes, std::uint64_t& flights,
                               double& seconds) {
  if (need[0] == 0 && need[1] == 0) return;
  ctx_.channel.set_scope("correlated OTs");
  const Meter meter(ctx_.channel);
  const auto mine = static_cast<std::size_t>(ctx_.party);
  ctx_.ot.reserve(need[mine], need[1 - mine]);
  meter.add(bytes, flights, seconds);
}

void SecureExecutor::setup() {
  const auto make = [this](const OtSchedule::Need& need) {
    make_cots(need, cots_.setup_bytes, cots_.setup_flights, cots_.setup_seconds);
  };
  if (peer_) {
    ctx_.channel.set_scope("setup of the peer's protocols");
    const Meter meter(ctx_.channel);
    peer_->setup();
    meter.add(cots_.setup_bytes, cots_.setup_flights, cots_.setup_seconds);
  }
  if (const std::vector<HeParams> layers = he_layers(plan_, options_); !layers.empty()) {
    ctx_.channel.set_scope("public keys");
    const Meter meter(ctx_.channel);
    he_keys_ = std::make_unique<HeKeys>(layers);
    he_keys_->setup(ctx_);
    meter.add(he_keys_report_.setup_bytes, he_keys_report_.setup_flights, he_keys_report_.setup_seconds);
  }
  schedule_.begin(setup_needs(plan_, options_), prefetch_need(plan_, options_));
  for (std::size_t i = 0; i < plan_.nodes.size(); ++i) {
    const Node& node = plan_.nodes[i];
    make(schedule_.before(i));
    if (node.op != Op::kConv || peer_) continue;
    ctx_.channel.set_scope(node.name + " (setup)");
    const Meter meter(ctx_.channel);
    make_product(i);
    layers_[i].product->setup(ctx_);
    meter.add(reports_[i].setup_bytes, reports_[i].setup_flights, reports_[i].setup_seconds);
  }
  make(schedule_.finish());
}

void SecureExecutor::make_product(std::size_t index) {
  const Node& node = plan_.nodes[index];
  const ConvSpec& spec = layers_[index].spec = conv_spec(plan_, node);
  const bool keyed = keys_products(options_.framework);
  Layer& layer = layers_[index];
  if (ctx_.party == Party::kClient) {
    layer.product = node.method.homomorphic ? make_he_convolution_client(he_plan(plan_, node, options_), *he_keys_)
                    : keyed                 ? make_ot_convolution_client(spec)
                                            : peers::make_convolution_client(spec, peers::Choice::kWeights);
    return;
  }
  LayerSecrets secrets = layer_secrets(node, model_->secrets[index]);
  layer.codes = std::move(secrets.codes);
  layer.product = node.method.homomorphic
                      ? make_he_convolution_server(he_plan(plan_, node, options_), layer.codes, secrets.bias, *he_keys_)
                  : keyed ? make_ot_convolution_server(spec, layer.codes, secrets.bias)
                          : peers::make_convolution_server(spec, peers::Choice::kWeights, layer.codes, secrets.bias);
}

std::uint64_t SecureExecutor::prepared_images() const {
  std::uint64_t n = 0;
  for (const Material& m : material_) n += m.batch;
  return n;
}

std::uint64_t SecureExecutor::next_prepared() const { return material_.empty() ? 0 : material_.front().batch; }

void SecureExecutor::check_batch(std::uint64_t batch) const {
  if (batch < 1) throw usage_error("the batch must have at least one image");
}

void SecureExecutor::prepare(std::uint64_t batch, std::uint64_t counter) {
  check_batch(batch);
  if (!prepares(options_.framework)) throw usage_error("nothing can be prepared in another system's plan");
  Material material;
  material.batch = batch;
  material.layers.resize(plan_.nodes.size());
  material.reports.resize(plan_.nodes.size());
  StepReport& cots = material.cots;
  make_cots(schedule_.prepare(batch_need(plan_, options_, batch)), cots.prepared_bytes, cots.prepared_flights,
            cots.prepared_seconds);
  const auto half = [&](std::size_t i, auto work) {
    ctx_.channel.set_scope(plan_.nodes[i].name + " (prepare)");
    const Meter meter(ctx_.channel);
    work(layers_[i], material.layers[i]);
    StepReport& report = material.reports[i];
    meter.add(report.prepared_bytes, report.prepared_flights, report.prepared_seconds);
  };
  for (const std::vector<std::size_t>& round : prepare_rounds(plan_, options_, batch)) {
    for (const std::size_t i : round)
      half(i, [&](Layer& layer, auto& made) { made.emplace(ctx_, layer.spec, *layer.product, counter, batch); });
    for (const std::size_t i : round) half(i, [&](Layer&, auto& made) { made->finish(ctx_); });
  }
  material_.push_back(std::move(material));
}

Words SecureExecutor::run(std::span<const Word> input, std::uint64_t batch, std::uint64_t counter, BatchKind kind,
                          const Observer& observer) {
  check_batch(batch);
  const std::uint64_t input_words = tensor_words(plan_.nodes.front(), batch);
  if (input.size() != (ctx_.party == Party::kClient ? input_words : 0))
    throw usage_error("the input has " + std::to_string(input.size()) + " elements, expected " +
                      std::to_string(input_words));
  std::optional<Material> material;
  if (kind == BatchKind::kPrepared) {
    if (next_prepared() != batch)
      throw usage_error("no batch of " + std::to_string(batch) + " images is prepared next");
    material.emplace(std::move(material_.front()));
    material_.pop_front();
    schedule_.release(batch_need(plan_, options_, batch));
  }
  const auto begin_report = [](StepReport& report, const StepReport& prepared) {
    report.prepared_bytes = prepared.prepared_bytes;
    report.prepared_flights = prepared.prepared_flights;
    report.prepared_seconds = prepared.prepared_seconds;
    report.online_bytes = report.online_flights = 0;
    report.online_seconds = 0;
  };
  begin_report(cots_, material ? material->cots : StepReport{});
  schedule_.begin(online_needs(plan_, options_, batch));
  std::vector<Words> tensors(plan_.nodes.size());
  for (std::size_t i = 0; i < plan_.nodes.size(); ++i) {
    const Node& node = plan_.nodes[i];
    make_cots(schedule_.before(i), cots_.online_bytes, cots_.online_flights, cots_.online_seconds);
    ctx_.channel.set_scope(node.name);
    const Meter meter(ctx_.channel);
    StepReport& report = reports_[i];
    begin_report(report, material ? material->reports[i] : StepReport{});
    if (node.op == Op::kInput) {
      // The client's share is the image itself, the server's is zero.
      tensors[i] = input.empty() ? Words(input_words) : Words(input.begin(), input.end());
    } else {
      tensors[i] = step(i, tensors, batch, counter, material ? &*material : nullptr);
    }
    meter.add(report.online_bytes, report.online_flights, report.online_seconds);
    if (observer) observer(i, tensors[i]);
    for (const int in : node.inputs)
      if (last_use_[static_cast<std::size_t>(in)] == i) Words().swap(tensors[static_cast<std::size_t>(in)]);
  }
  return std::move(tensors[static_cast<std::size_t>(plan_.output)]);
}

Words SecureExecutor::step(std::size_t index, std::span<const Words> tensors, std::uint64_t batch,
                           std::uint64_t counter, Material* material) {
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
  if (peer_) return peer_->step(index, x, batch);
  const CompareOptions compare = compare_options(node, options_);
  switch (node.op) {
    case Op::kConv:
      if (material != nullptr) return material->layers[index]->answer(ctx_, layers_[index].codes, x);
      return layers_[index].product->online(ctx_, counter, batch, x);
    case Op::kRelu:
      return relu(ctx_, in.ring(), x, compare);
    case Op::kTruncate:
      return truncate(ctx_, in.ring(), x, node.shift, knowledge_for(node, in), compare);
    case Op::kTruncateReduce:
      return truncate_reduce(ctx_, in.ring(), x, node.shift, compare, last_receiver(node));
    case Op::kExtend:
      return extend(ctx_, in.ring(), node.type.ring(), x, knowledge_for(node, in), compare, last_receiver(node));
    case Op::kRequantize:
      return requantize(ctx_, requantize_spec(node, in), x, compare);
    case Op::kMaxPool:
      return max_tree(ctx_, in.ring(), gather_windows(in.shape, node.window, batch, x, 0), window_size(node),
                      tensor_words(node, batch), compare);
    case Op::kArgMax: {
      const auto k = static_cast<std::size_t>(in.shape.size());
      return argmax(ctx_, in.ring(), values_by_position(x, batch, k), k, batch, compare);
    }
    default:
      throw internal_error(std::string("no protocol for the step ") + op_name(node.op));
  }
}

}  // namespace eqo
