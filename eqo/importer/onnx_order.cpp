#include "eqo/importer/onnx_order.h"

#include <onnx/onnx_pb.h>

#include <queue>
#include <unordered_map>

#include "eqo/importer/onnx_file.h"
#include "eqo/importer/passes.h"

namespace eqo {
namespace {

using Producers = std::unordered_map<std::string, int>;

Producers find_producers(const onnx::GraphProto& graph, const std::unordered_set<std::string>& known,
                         OnnxOrder& order) {
  Producers producers;
  for (int n = 0; n < graph.node_size(); ++n) {
    for (const std::string& out : graph.node(n).output()) {
      if (out.empty()) continue;
      if (known.count(out) > 0 || !producers.emplace(out, n).second) {
        order.problems.emplace_back("makes '" + printable(out) + "', which exists already", n);
      }
    }
  }
  return producers;
}

// The nodes that the graph's outputs depend on.
std::vector<bool> find_live(const onnx::GraphProto& graph, const Producers& producers) {
  std::vector<bool> live(static_cast<std::size_t>(graph.node_size()), false);
  std::vector<int> open;
  const auto visit = [&](const std::string& value) {
    const auto it = producers.find(value);
    if (it == producers.end() || live[static_cast<std::size_t>(it->second)]) return;
    live[static_cast<std::size_t>(it->second)] = true;
    open.push_back(it->second);
  };
  for (const auto& out : graph.output()) visit(out.name());
  while (!open.empty()) {
    const int n = open.back();
    open.pop_back();
    for (const std::string& in : graph.node(n).input()) visit(in);
  }
  return live;
}

}  // namespace

OnnxOrder order_nodes(const onnx::GraphProto& graph, const std::unordered_set<std::string>& known) {
  OnnxOrder order;
  if (static_cast<std::size_t>(graph.node_size()) > kMaxGraphNodes) {
    order.problems.emplace_back("the graph has more than " + std::to_string(kMaxGraphNodes) + " nodes", -1);
    return order;
  }
  const Producers producers = find_producers(graph, known, order);
  const std::vector<bool> live = find_live(graph, producers);
  const auto count = static_cast<std::size_t>(graph.node_size());
  std::vector<int> waiting(count, 0);
  std::vector<std::vector<int>> readers(count);
  // The smallest index first: a file in order stays in order.
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  std::size_t total = 0;
  for (int n = 0; n < graph.node_size(); ++n) {
    const auto at = static_cast<std::size_t>(n);
    if (!live[at]) continue;
    ++total;
    for (const std::string& in : graph.node(n).input()) {
      if (in.empty() || known.count(in) > 0) continue;
      const auto it = producers.find(in);
      if (it == producers.end()) {
        order.problems.emplace_back("its input '" + printable(in) + "' doesn't exist", n);
        continue;
      }
      readers[static_cast<std::size_t>(it->second)].push_back(n);
      ++waiting[at];
    }
    if (waiting[at] == 0) ready.push(n);
  }
  while (!ready.empty()) {
    const int n = ready.top();
    ready.pop();
    order.nodes.push_back(n);
    for (const int r : readers[static_cast<std::size_t>(n)]) {
      if (--waiting[static_cast<std::size_t>(r)] == 0) ready.push(r);
    }
  }
  if (order.nodes.size() < total) {
    for (int n = 0; n < graph.node_size(); ++n) {
      const auto at = static_cast<std::size_t>(n);
      if (!live[at] || waiting[at] == 0) continue;
      order.problems.emplace_back("is part of a cycle, or depends on one", n);
      break;
    }
  }
  return order;
}

}  // namespace eqo
