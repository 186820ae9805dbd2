#include <benchmark/benchmark.h>

#include <thread>
#include <vector>

#include "eqo/net/channel.h"
#include "eqo/net/simulated_link.h"
#include "eqo/net/testing/transports.h"

namespace eqo {
namespace {

constexpr const char* kKinds[] = {"memory", "tcp", "tls", "lan", "wan"};

testing::TransportPair connect(const std::string& kind) {
  if (kind != "lan" && kind != "wan") return testing::connected_transports(kind);
  auto [a, b] = testing::connected_transports("tcp");
  return {simulate_link(std::move(a), parse_link(kind)), simulate_link(std::move(b), parse_link(kind))};
}

// One message of range(1) bytes there, one byte back. On a link: round trip + bytes / rate.
void BM_MessageAndAnswer(benchmark::State& state) {
  const std::string kind = kKinds[state.range(0)];
  const auto bytes = static_cast<std::size_t>(state.range(1));
  auto [a, b] = connect(kind);
  Channel server(Party::kServer, std::move(a)), client(Party::kClient, std::move(b));
  std::jthread echo([&] {
    try {
      Bytes in(bytes);
      for (;;) {
        client.recv(in);
        client.send(std::span(in).first(1));
      }
    } catch (const Error&) {  // the end
    }
  });
  const Bytes out(bytes);
  for (auto _ : state) {
    server.send(out);
    server.recv(1);
  }
  server.close();
  state.SetLabel(kind);
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes) * state.iterations());
  if (kind == "lan" || kind == "wan") {
    const LinkSpec link = parse_link(kind);
    state.counters["link_ms"] =
        1e3 * (link.round_trip_seconds +
               8 * static_cast<double>(framed_bytes(bytes) + framed_bytes(1)) / link.bits_per_second);
  }
}
BENCHMARK(BM_MessageAndAnswer)
    ->ArgsProduct({{0, 1, 2, 3, 4}, {1, 1 << 16, 1 << 24}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace eqo
