#include "eqo/protocols/he_product.h"

#include <algorithm>
#include <string>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/protocols/direct_kernels.h"

namespace eqo {
namespace {

constexpr std::uint64_t kMaxWeight = (std::uint64_t{1} << 23) - 1;

// What both sides check and know.
class HeConvolution : public SecretConvolution {
 public:
  HeConvolution(HeConvPlan plan, HeKeys& keys) : plan_(std::move(plan)), keys_(keys) {}

  Words online(Context& ctx, std::uint64_t counter, std::uint64_t batch, std::span<const Word> x) final {
    begin(ctx, counter, batch, x);
    return finish(ctx);
  }

 protected:
  void begin_setup() {
    if (ready_) throw internal_error("homomorphic convolution: setup ran twice");
    ready_ = true;
  }
  void begin_online(std::uint64_t counter, std::uint64_t batch, std::size_t values) {
    if (!ready_) throw internal_error("homomorphic convolution: online before setup");
    if (counter < next_counter_) throw internal_error("homomorphic convolution: a counter must never be used again");
    if (batch == 0 || values != batch * static_cast<std::uint64_t>(plan_.spec.shape.in.size()))
      throw internal_error("homomorphic convolution: the input does not fit the shape");
    next_counter_ = counter + 1;
    batch_ = batch;
  }
  // The batch that was begun.
  std::uint64_t begun() {
    if (batch_ == 0) throw internal_error("homomorphic convolution: nothing was begun");
    return std::exchange(batch_, 0);
  }
  std::size_t outputs(std::uint64_t batch) const {
    return batch * static_cast<std::size_t>(plan_.layout.shape().out().size());
  }

  HeConvPlan plan_;
  HeKeys& keys_;

 private:
  bool ready_ = false;
  std::uint64_t next_counter_ = 0, batch_ = 0;
};

class Client final : public HeConvolution {
 public:
  using HeConvolution::HeConvolution;

  void setup(Context&) override { begin_setup(); }

  void begin(Context& ctx, std::uint64_t counter, std::uint64_t batch, std::span<const Word> x) override {
    begin_online(counter, batch, x.size());
    const ConvLayout& layout = plan_.layout;
    const HeClientKey& key = keys_.client(plan_.params);
    const std::uint64_t tiles = layout.tile_chunks(batch);
    for (std::uint64_t t = 0; t < tiles; ++t)
      ctx.channel.send(key.encrypt(plan_.params, layout.inputs(batch, t, x), layout.used(batch, t), ctx.prg));
  }

  Words finish(Context& ctx) override {
    const std::uint64_t batch = begun();
    const ConvLayout& layout = plan_.layout;
    const HeClientKey& key = keys_.client(plan_.params);
    const std::uint64_t tiles = layout.tile_chunks(batch), chunks = layout.output_chunks();
    Words y(outputs(batch));
    std::vector<Bytes> answers(chunks);
    for (std::uint64_t t = 0; t < tiles; ++t) {
      for (std::uint64_t o = 0; o < chunks; ++o)
        answers[o] = ctx.channel.recv(he_answer_bytes(plan_.params, layout.result_count(batch, t, o)));
      ctx.threads.parallel_for(chunks, 1, [&](std::size_t begin, std::size_t end) {
        for (std::size_t o = begin; o < end; ++o) {
          const ConvLayout::Results results = layout.results(batch, t, o);
          const Words values = key.decrypt(plan_.params, answers[o], results.coefficients);
          for (std::size_t i = 0; i < values.size(); ++i) y[results.places[i]] = values[i];
        }
      });
    }
    return direct_outputs(plan_.spec, batch, std::move(y));
  }
};

class Server final : public HeConvolution {
 public:
  Server(HeConvPlan plan, std::span<const std::uint16_t> codes, std::span<const Word> bias, HeKeys& keys)
      : HeConvolution(std::move(plan), keys),
        codes_(codes),
        bias_(bias.begin(), bias.end()),
        weights_(direct_weights(plan_.spec, codes)) {
    if (!bias.empty() && bias.size() != static_cast<std::size_t>(plan_.spec.shape.out_channels))
      throw internal_error("homomorphic convolution: the bias does not fit the shape");
  }

  void setup(Context& ctx) override {
    begin_setup();
    const ConvLayout& layout = plan_.layout;
    const std::uint64_t polynomial = plan_.params.primes.size() * plan_.params.degree * sizeof(std::uint32_t);
    if (!keys_.take_weight_bytes(layout.weight_polynomials() * polynomial)) return;
    kept_.resize(layout.output_chunks());
    ctx.threads.parallel_for(kept_.size(), 1, [&](std::size_t begin, std::size_t end) {
      for (std::size_t o = begin; o < end; ++o) kept_[o].emplace(transformed(o));
    });
    WipedVector<std::int32_t>().swap(weights_);
  }

  void begin(Context& ctx, std::uint64_t counter, std::uint64_t batch, std::span<const Word> x) override {
    begin_online(counter, batch, x.size());
    const ConvLayout& layout = plan_.layout;
    const HeParams& params = plan_.params;
    const std::uint64_t tiles = layout.tile_chunks(batch);
    keys_.reveal(outputs(batch));

    // While the ciphertexts are on their way.
    mask_ = Words(outputs(batch));
    ctx.prg.fill(mask_, plan_.spec.ring);
    y_ = own_share(ctx, batch, x);

    inputs_.clear();
    inputs_.reserve(tiles);
    for (std::uint64_t t = 0; t < tiles; ++t)
      inputs_.emplace_back(*keys_.ring(params), layout.used(batch, t),
                           ctx.channel.recv(layout.inputs_bytes(params, batch, t)));
  }

  Words finish(Context& ctx) override {
    const std::uint64_t batch = begun();
    const ConvLayout& layout = plan_.layout;
    const HeParams& params = plan_.params;
    const HePublicKey& key = keys_.server(params);
    const std::uint64_t tiles = layout.tile_chunks(batch), chunks = layout.output_chunks();
    std::vector<Prg> generators;
    generators.reserve(chunks);
    for (std::uint64_t o = 0; o < chunks; ++o) generators.push_back(ctx.prg.fork());
    std::vector<Bytes> answers(tiles * chunks);
    ctx.threads.parallel_for(chunks, 1, [&](std::size_t begin, std::size_t end) {
      for (std::size_t o = begin; o < end; ++o) {
        std::optional<HeWeights> fresh;
        if (kept_.empty()) fresh.emplace(transformed(o));
        const HeWeights& weights = fresh ? *fresh : *kept_[o];
        std::vector<HeTerm> terms;
        for (const std::uint32_t c : layout.sources(o)) terms.push_back({c, static_cast<std::uint32_t>(terms.size())});
        for (std::uint64_t t = 0; t < tiles; ++t) {
          const ConvLayout::Results results = layout.results(batch, t, o);
          Words part(results.places.size());
          for (std::size_t i = 0; i < part.size(); ++i) part[i] = mask_[results.places[i]];
          answers[t * chunks + o] =
              he_answer(params, key, inputs_[t], weights, terms, results.coefficients, part, generators[o]);
        }
      }
    });
    for (const Bytes& answer : answers) ctx.channel.send(answer);
    std::vector<HeInputs>().swap(inputs_);
    Words().swap(mask_);
    return std::move(y_);
  }

 private:
  HeWeights transformed(std::uint64_t output_chunk) const {
    HeWeights out(keys_.ring(plan_.params));
    WipedVector<std::int32_t> polynomial(plan_.params.degree);
    for (const std::uint32_t c : plan_.layout.sources(output_chunk)) {
      plan_.layout.weights(output_chunk, c, weights_, polynomial);
      out.add(polynomial, plan_.layout.support(output_chunk, c));
    }
    return out;
  }

  // W * x + bias - mask
  Words own_share(Context& ctx, std::uint64_t batch, std::span<const Word> x) const {
    const ConvSpec& spec = plan_.spec;
    const Ring ring = spec.ring;
    const DecodedWeights weights = decode_weights(spec.shape, spec.formats, codes_, ring);
    Words y = conv_plain(spec.shape, ring, batch, weights, bias_, x, ctx.threads);
    const Words r = direct_outputs(spec, batch, mask_);
    for (std::size_t i = 0; i < y.size(); ++i) y[i] = ring.sub(y[i], r[i]);
    return y;
  }

  std::span<const std::uint16_t> codes_;
  Words bias_;
  WipedVector<std::int32_t> weights_;           // direct kernels; empty once they are kept
  std::vector<std::optional<HeWeights>> kept_;  // by output chunk; empty if they do not fit the keys' memory
  // Of what was begun.
  Words mask_, y_;
  std::vector<HeInputs> inputs_;
};

}  // namespace

HeConvPlan plan_he_convolution(const ConvSpec& spec, const HeOptions& options) {
  const DirectKernels direct = direct_kernels(spec);
  const char* hint = "use another product for this layer: --products ot";
  if (spec.ring.bits() < 2 || spec.ring.bits() > 32)
    throw model_error(
        "homomorphic products need rings of 2 to 32 bits, this one has " + std::to_string(spec.ring.bits()), hint);
  if (direct.max_weight > kMaxWeight) throw model_error("homomorphic products take weights below 2^23", hint);
  HeSizes sizes;
  sizes.ring_bits = spec.ring.bits();
  sizes.max_weight = direct.max_weight;
  sizes.log_revealed = options.log_revealed;
  sizes.min_modulus_bits = options.min_modulus_bits;
  ConvLayoutChoice choice = choose_conv_layout(direct.shape, sizes);
  return {spec, std::move(choice.params), std::move(choice.layout)};
}

HeKeys::HeKeys(std::span<const HeParams> layers, std::uint64_t weight_bytes) : weight_bytes_(weight_bytes) {
  for (const HeParams& p : layers) {
    if (p.log_revealed != layers[0].log_revealed)
      throw internal_error("homomorphic keys: layers of different sessions");
    entries_.try_emplace({p.degree, p.modulus_bits}, Entry{p, nullptr, {}, {}});
  }
  for (auto& [name, entry] : entries_) entry.ring = make_he_ring(entry.params);
  if (!layers.empty()) budget_ = std::uint64_t{1} << layers[0].log_revealed;
}

void HeKeys::setup(Context& ctx) {
  for (auto& [name, entry] : entries_) {
    if (entry.client || entry.server) throw internal_error("homomorphic keys: setup ran twice");
    if (ctx.party == Party::kClient) {
      entry.client.emplace(entry.ring, ctx.prg);
      ctx.channel.send(entry.client->public_key(ctx.prg));
    } else {
      entry.server.emplace(entry.ring, ctx.channel.recv(he_public_key_bytes(entry.params)));
    }
  }
}

const HeKeys::Entry& HeKeys::entry(const HeParams& params) const {
  const auto found = entries_.find({params.degree, params.modulus_bits});
  if (found == entries_.end()) throw internal_error("homomorphic keys: none for this layer");
  return found->second;
}

const HeClientKey& HeKeys::client(const HeParams& params) const {
  const Entry& e = entry(params);
  if (!e.client) throw internal_error("homomorphic keys: no secret key");
  return *e.client;
}

const HePublicKey& HeKeys::server(const HeParams& params) const {
  const Entry& e = entry(params);
  if (!e.server) throw internal_error("homomorphic keys: no public key");
  return *e.server;
}

void HeKeys::reveal(std::uint64_t n) {
  if (n > budget_ - revealed_)
    throw policy_error("the session would reveal more results than the noise that hides the weights was planned for",
                       "start a new session");
  revealed_ += n;
}

bool HeKeys::take_weight_bytes(std::uint64_t bytes) {
  if (bytes > weight_bytes_) return false;
  weight_bytes_ -= bytes;
  return true;
}

std::unique_ptr<SecretConvolution> make_he_convolution_server(HeConvPlan plan, std::span<const std::uint16_t> codes,
                                                              std::span<const Word> bias, HeKeys& keys) {
  return std::make_unique<Server>(std::move(plan), codes, bias, keys);
}

std::unique_ptr<SecretConvolution> make_he_convolution_client(HeConvPlan plan, HeKeys& keys) {
  return std::make_unique<Client>(std::move(plan), keys);
}

void he_keys_setup_cost(CostMeter& meter, std::span<const HeParams> layers) {
  std::map<std::pair<std::size_t, unsigned>, std::uint64_t> keys;
  for (const HeParams& p : layers) keys[{p.degree, p.modulus_bits}] = he_public_key_bytes(p);
  for (const auto& [name, bytes] : keys) meter.send(Party::kClient, bytes);
}

void he_convolution_online_cost(CostMeter& meter, const HeConvPlan& plan, std::uint64_t batch) {
  he_convolution_begin_cost(meter, plan, batch);
  he_convolution_finish_cost(meter, plan, batch);
}

void he_convolution_begin_cost(CostMeter& meter, const HeConvPlan& plan, std::uint64_t batch) {
  const ConvLayout& layout = plan.layout;
  for (std::uint64_t t = 0; t < layout.tile_chunks(batch); ++t)
    meter.send(Party::kClient, layout.inputs_bytes(plan.params, batch, t));
}

void he_convolution_finish_cost(CostMeter& meter, const HeConvPlan& plan, std::uint64_t batch) {
  const ConvLayout& layout = plan.layout;
  const std::uint64_t tiles = layout.tile_chunks(batch);
  for (std::uint64_t t = 0; t < tiles; ++t)
    for (std::uint64_t o = 0; o < layout.output_chunks(); ++o)
      meter.send(Party::kServer, he_answer_bytes(plan.params, layout.result_count(batch, t, o)));
}

std::uint64_t he_convolution_reveals(const HeConvPlan& plan, std::uint64_t batch) {
  return batch * static_cast<std::uint64_t>(plan.layout.shape().out().size());
}

HeWork he_convolution_work(const HeConvPlan& plan, std::uint64_t batch) {
  const ConvLayout& layout = plan.layout;
  const std::uint64_t tiles = layout.tile_chunks(batch), weights = layout.weight_polynomials();
  return {tiles * layout.channel_chunks(), tiles * weights, tiles * layout.output_chunks(), weights};
}

}  // namespace eqo
