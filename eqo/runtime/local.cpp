#include "eqo/runtime/local.h"

#include <algorithm>

#include "eqo/core/error.h"
#include "eqo/model/bytes.h"
#include "eqo/model/twin.h"
#include "eqo/net/tcp_transport.h"
#include "eqo/runtime/child.h"

namespace eqo {
namespace {

constexpr auto kConnect = std::chrono::milliseconds(10'000);

template <typename T>
void put(const Child::Pipe& pipe, const T& value) {
  pipe.write(std::as_bytes(std::span(&value, 1)));
}

template <typename T>
bool get(Child& child, T& value) {
  return child.read(std::as_writable_bytes(std::span(&value, 1)));
}

// One step's share: its size is public, only the words travel.
void put_share(const Child::Pipe& pipe, std::span<const Word> share) { pipe.write(std::as_bytes(share)); }

void put_summary(const Child::Pipe& pipe, const SessionSummary& s) {
  ByteWriter w;
  const RunReport& r = s.report;
  for (const std::uint64_t v :
       {s.images, s.batches, r.client_bytes, r.server_bytes, r.setup_bytes, r.prepared_bytes, r.online_bytes,
        r.setup_flights, r.prepared_flights, r.online_flights, r.peak_rss_bytes, s.prepared_batches, s.prepared_bytes})
    w.u64(v);
  for (const double v : {s.online_seconds, s.prepared_seconds, r.setup_seconds, r.prepared_seconds, r.online_seconds})
    w.f64(v);
  w.u32(static_cast<std::uint32_t>(r.layers.size()));
  for (const LayerRow& l : r.layers) {
    w.string(l.name);
    w.string(l.op);
    for (const std::uint64_t v : {l.setup_bytes, l.prepared_bytes, l.online_bytes, l.flights}) w.u64(v);
    w.f64(l.seconds);
  }
  put(pipe, static_cast<std::uint64_t>(w.size()));
  pipe.write(w.view());
}

bool get_summary(Child& child, SessionSummary& s) {
  constexpr std::uint64_t kMaxSummary = std::uint64_t{64} << 20;
  std::uint64_t size = 0;
  if (!get(child, size) || size > kMaxSummary) return false;
  Bytes bytes(size);
  if (!child.read(bytes)) return false;
  ByteReader in(bytes, "summary");
  RunReport& r = s.report;
  for (std::uint64_t* v : {&s.images, &s.batches, &r.client_bytes, &r.server_bytes, &r.setup_bytes, &r.prepared_bytes,
                           &r.online_bytes, &r.setup_flights, &r.prepared_flights, &r.online_flights, &r.peak_rss_bytes,
                           &s.prepared_batches, &s.prepared_bytes})
    *v = in.u64();
  for (double* v : {&s.online_seconds, &s.prepared_seconds, &r.setup_seconds, &r.prepared_seconds, &r.online_seconds})
    *v = in.f64();
  r.layers.resize(in.count(1U << 20, 8));
  for (LayerRow& l : r.layers) {
    l.name = in.string(4096);
    l.op = in.string(4096);
    for (std::uint64_t* v : {&l.setup_bytes, &l.prepared_bytes, &l.online_bytes, &l.flights}) *v = in.u64();
    l.seconds = in.f64();
  }
  return true;
}

StepObserver sharing(const Child::Pipe& pipe, bool verify) {
  if (!verify) return {};
  return [&pipe](std::size_t, std::span<const Word> share) { put_share(pipe, share); };
}

std::unique_ptr<Transport> linked(std::unique_ptr<Transport> transport, const LocalOptions& options) {
  if (!options.network) return transport;
  return simulate_link(std::move(transport), *options.network);
}

void serve_one(const Child::Pipe& pipe, const Offer& offer, const LocalOptions& options) {
  TcpListener listener = TcpListener::listen("127.0.0.1", 0);
  put(pipe, listener.port());
  auto socket = listener.accept(kConnect);
  if (!socket) throw connection_error("the other process did not connect");
  Offer mine = offer;
  mine.threads = options.threads;
  mine.max_batch = std::max(mine.max_batch, options.batch);
  mine.max_prepared = options.prepare;
  put_summary(pipe, serve_session(linked(make_tcp_transport(std::move(*socket)), options), mine,
                                  sharing(pipe, options.verify)));
}

void ask(const Child::Pipe& pipe, std::uint16_t port, std::span<const Word> images, std::uint64_t count,
         const LocalOptions& options) {
  ClientOptions client;
  client.threads = options.threads;
  client.batch = options.batch;
  client.prepare = options.prepare;
  ClientSession session(linked(tcp_connect("127.0.0.1", port, kConnect), options), client);
  const std::size_t image = count == 0 ? 0 : images.size() / count;
  for (std::uint64_t done = 0; done < count;) {
    prepare_ahead(session, count - done, options.batch);
    const auto n = static_cast<std::uint32_t>(std::min<std::uint64_t>(options.batch, count - done));
    const auto opened = session.infer(images.subspan(done * image, n * image), n, sharing(pipe, options.verify));
    pipe.write(std::as_bytes(std::span(opened)));
    done += n;
  }
  put_summary(pipe, session.finish());
}

// Both parties' shares of one step, added.
std::optional<std::vector<Word>> reconstruct(Child& server, Child& client, const Node& node, std::size_t batch) {
  const auto words = static_cast<std::size_t>(tensor_words(node, batch));
  Words a(words), b(words);
  if (!server.read(std::as_writable_bytes(std::span(a)))) return {};
  if (!client.read(std::as_writable_bytes(std::span(b)))) return {};
  std::vector<Word> value(words);
  for (std::size_t i = 0; i < words; ++i) value[i] = node.type.ring().add(a[i], b[i]);
  return value;
}

// What the twin says of this batch.
struct Expected {
  Trace trace;
  std::vector<std::vector<std::int64_t>> outputs;
};

Expected expect(const Twin& twin, const PublicPlan& plan, std::span<const Word> images, std::size_t batch) {
  Expected e;
  e.trace.resize(plan.nodes.size());
  const Twin::Observer observer = [&](int node, std::span<const Word> values) {
    e.trace[static_cast<std::size_t>(node)].assign(values.begin(), values.end());
  };
  const bool label = plan.nodes[static_cast<std::size_t>(plan.output)].op == Op::kArgMax;
  for (const Twin::Result& r : twin.run_batch(images, batch, nullptr, &observer))
    e.outputs.push_back(label ? std::vector<std::int64_t>{r.label} : r.logits);
  return e;
}

}  // namespace

LocalResult run_local(const Offer& offer, std::span<const Word> images, std::uint64_t count,
                      const LocalOptions& options) {
  const PublicPlan& plan = offer.model.plan;
  if (count < 1) throw usage_error("there is no image to classify");
  if (options.batch < 1) throw usage_error("the batch must have at least one image");
  check_prepare(options.prepare, options.batch);
  if (images.size() % count != 0 || images.size() / count != tensor_words(plan.nodes.front(), 1))
    throw usage_error("the images do not have the model's input size");

  Child server([&](const Child::Pipe& pipe) { serve_one(pipe, offer, options); });
  std::uint16_t port = 0;
  if (!get(server, port)) server.finish();
  Child client([&](const Child::Pipe& pipe) { ask(pipe, port, images, count, options); });

  LocalResult result;
  std::optional<Twin> twin;
  if (options.verify) twin.emplace(offer.model);
  const auto outputs = static_cast<std::size_t>(plan.nodes[static_cast<std::size_t>(plan.output)].type.shape.size());
  const std::size_t image = images.size() / count;
  bool alive = true;
  for (std::uint64_t done = 0; alive && done < count;) {
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(options.batch, count - done));
    Expected expected;
    if (options.verify) {
      expected = expect(*twin, plan, images.subspan(done * image, n * image), n);
      Trace got(plan.nodes.size());
      for (std::size_t i = 0; alive && i < plan.nodes.size(); ++i) {
        auto value = reconstruct(server, client, plan.nodes[i], n);
        alive = value.has_value();
        if (alive) got[i] = std::move(*value);
      }
      if (!alive) break;
      if (!result.difference) result.difference = first_difference(plan, expected.trace, got);
    }
    std::vector<std::int64_t> opened(n * outputs);
    alive = client.read(std::as_writable_bytes(std::span(opened)));
    for (std::size_t i = 0; alive && i < n; ++i) {
      result.outputs.emplace_back(opened.begin() + static_cast<std::ptrdiff_t>(i * outputs),
                                  opened.begin() + static_cast<std::ptrdiff_t>((i + 1) * outputs));
      if (options.verify) result.verified.push_back(result.outputs.back() == expected.outputs[i]);
    }
    done += n;
  }
  alive = alive && get_summary(client, result.client) && get_summary(server, result.server);
  // The party that found the fault says more than the one that lost its peer.
  std::optional<Error> lost;
  for (Child* child : {&client, &server}) {
    try {
      child->finish();
    } catch (const Error& e) {
      if (e.category() != Category::kConnection) throw;
      lost = e;
    }
  }
  if (lost) throw *lost;
  if (!alive) throw internal_error("a party ended without a word");
  return result;
}

}  // namespace eqo
