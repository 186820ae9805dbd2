#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "eqo/importer/passes.h"

namespace eqo {

// Appends nodes to a FloatGraph; shapes are inferred and checked as each node arrives (model_error names the node).
// Every call returns the new node's index.
class GraphBuilder {
 public:
  GraphBuilder(std::string graph_name, std::string input_name, Shape input) {
    graph_.name = std::move(graph_name);
    FloatNode node;
    node.name = std::move(input_name);
    node.shape = input;
    add(std::move(node));
  }

  int add(FloatNode node) {
    std::vector<Shape> shapes;
    for (const int i : node.inputs) shapes.push_back(shape(i));
    node.shape = infer_shape(node, shapes);
    graph_.nodes.push_back(std::move(node));
    return static_cast<int>(graph_.nodes.size()) - 1;
  }
  // A node without parameters.
  int add(FloatOp op, std::string name, std::vector<int> inputs) {
    FloatNode node;
    node.op = op;
    node.name = std::move(name);
    node.inputs = std::move(inputs);
    return add(std::move(node));
  }
  int pool(FloatOp op, std::string name, int input, Window window, bool count_include_pad = false) {
    FloatNode node;
    node.op = op;
    node.name = std::move(name);
    node.inputs = {input};
    node.window = window;
    node.count_include_pad = count_include_pad;
    return add(std::move(node));
  }
  int global_pool(FloatOp op, std::string name, int input) {
    const Shape s = shape(input);
    return pool(op, std::move(name), input, Window{.kernel_h = s.h, .kernel_w = s.w});
  }
  int reshape(std::string name, int input, Shape to) {
    FloatNode node;
    node.op = FloatOp::kReshape;
    node.name = std::move(name);
    node.inputs = {input};
    node.shape = to;
    return add(std::move(node));
  }
  int slice(std::string name, int input, std::array<std::int64_t, 3> start, std::array<std::int64_t, 3> step,
            Shape to) {
    FloatNode node;
    node.op = FloatOp::kSlice;
    node.name = std::move(name);
    node.inputs = {input};
    node.start = start;
    node.step = step;
    node.shape = to;
    return add(std::move(node));
  }
  int pad(std::string name, int input, std::array<std::int64_t, 3> before, std::array<std::int64_t, 3> after) {
    FloatNode node;
    node.op = FloatOp::kPad;
    node.name = std::move(name);
    node.inputs = {input};
    node.pad_before = before;
    node.pad_after = after;
    return add(std::move(node));
  }

  const Shape& shape(int node) const { return graph_.nodes[static_cast<std::size_t>(node)].shape; }
  FloatNode& node(int node) { return graph_.nodes[static_cast<std::size_t>(node)]; }
  FloatGraph& graph() { return graph_; }

  // The finished and validated graph; the builder is empty afterwards.
  FloatGraph finish(int output, bool argmax = false) {
    graph_.output = output;
    graph_.argmax = argmax;
    validate(graph_);
    return std::move(graph_);
  }

 private:
  FloatGraph graph_;
};

}  // namespace eqo
