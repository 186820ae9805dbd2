#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace onnx {
class AttributeProto;
class NodeProto;
}  // namespace onnx

namespace eqo {

// Reads a node's attributes; one that is there with another type than asked for is a model_error.
class NodeAttributes {
 public:
  explicit NodeAttributes(const onnx::NodeProto& node) : node_(node) {}

  bool has(const std::string& name) const { return find(name) != nullptr; }
  std::int64_t get_int(const std::string& name, std::int64_t fallback) const;
  float get_float(const std::string& name, float fallback) const;
  std::string get_string(const std::string& name, const std::string& fallback) const;
  std::vector<std::int64_t> get_ints(const std::string& name, std::vector<std::int64_t> fallback = {}) const;
  const onnx::AttributeProto* find(const std::string& name) const;

 private:
  const onnx::NodeProto& node_;
};

// `axis` in -rank..rank-1 made 0..rank-1; throws model_error otherwise.
std::size_t normal_axis(std::int64_t axis, std::size_t rank);

}  // namespace eqo
