#include "eqo/importer/node_attributes.h"

#include <onnx/onnx_pb.h>

#include <utility>

#include "eqo/core/error.h"

namespace eqo {
namespace {

Error wrong_type(const std::string& name) { return model_error("its attribute '" + name + "' has the wrong type"); }

}  // namespace

const onnx::AttributeProto* NodeAttributes::find(const std::string& name) const {
  for (const onnx::AttributeProto& a : node_.attribute()) {
    if (a.name() == name) return &a;
  }
  return nullptr;
}

std::int64_t NodeAttributes::get_int(const std::string& name, std::int64_t fallback) const {
  const auto* a = find(name);
  if (a == nullptr) return fallback;
  if (!a->has_i()) throw wrong_type(name);
  return a->i();
}

float NodeAttributes::get_float(const std::string& name, float fallback) const {
  const auto* a = find(name);
  if (a == nullptr) return fallback;
  if (!a->has_f()) throw wrong_type(name);
  return a->f();
}

std::string NodeAttributes::get_string(const std::string& name, const std::string& fallback) const {
  const auto* a = find(name);
  if (a == nullptr) return fallback;
  if (!a->has_s()) throw wrong_type(name);
  return a->s();
}

std::vector<std::int64_t> NodeAttributes::get_ints(const std::string& name, std::vector<std::int64_t> fallback) const {
  const auto* a = find(name);
  if (a == nullptr) return fallback;
  if (a->ints_size() == 0 && (a->has_i() || a->has_f() || a->has_s() || a->has_t() || a->floats_size() > 0)) {
    throw wrong_type(name);
  }
  return {a->ints().begin(), a->ints().end()};
}

std::size_t normal_axis(std::int64_t axis, std::size_t rank) {
  const auto r = static_cast<std::int64_t>(rank);
  if (axis < -r || axis >= r) {
    throw model_error("axis " + std::to_string(axis) + " is out of range for " + std::to_string(rank) + " dimensions");
  }
  return static_cast<std::size_t>(axis < 0 ? axis + r : axis);
}

}  // namespace eqo
