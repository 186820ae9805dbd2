#pragma once
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace onnx {
class GraphProto;
}  // namespace onnx

namespace eqo {

struct OnnxOrder {
  std::vector<int> nodes;                             // those the outputs depend on, each after its inputs
  std::vector<std::pair<std::string, int>> problems;  // message, node (or -1)
};

// Orders the nodes of a graph, whatever their order in the file. `known` are the values that no node makes: inputs and
// initializers. Problems: too many nodes, a value made twice, a missing one, a cycle.
OnnxOrder order_nodes(const onnx::GraphProto& graph, const std::unordered_set<std::string>& known);

}  // namespace eqo
