#include "eqo/quantizer/ring_assignment.h"

#include <algorithm>
#include <bit>
#include <map>
#include <set>
#include <string>
#include <unordered_set>

#include "eqo/core/error.h"
#include "eqo/model/types.h"

namespace eqo::quant {
namespace {

std::size_t at(int i) { return static_cast<std::size_t>(i); }

bool reads_signed(Op op) {
  return op == Op::kRelu || op == Op::kTruncate || op == Op::kTruncateReduce || op == Op::kMaxPool ||
         op == Op::kArgMax || op == Op::kExtend;
}

class Assignment {
 public:
  Assignment(const Draft& draft, int output, const RingOptions& options)
      : draft_(draft), options_(options), output_(output), live_(draft.nodes().size(), false) {
    resolve_inputs();
    find_regions();
    widen_to_values();
    widen_to_constraints();
    if (!options_.minimise) widen_to_widest();
    find_demands();
  }

  Model emit() {
    for (std::size_t i = 0; i < inputs_.size(); ++i)
      if (live_[i]) emit_node(static_cast<int>(i));
    model_.plan.output = emitted_.at({output_, output_bits_});
    model_.plan.input_scale = model_.secrets[0].scale;
    model_.plan.output_scale = model_.secrets[at(model_.plan.output)].scale;
    return std::move(model_);
  }

 private:
  const DraftNode& draft(int id) const { return draft_.nodes()[at(id)]; }
  unsigned& width(int id) { return widths_.at(regions_[at(id)]); }
  bool floating(int id) const { return regions_[at(id)] < 0; }
  unsigned guard() const { return draft_.rule() == RangeRule::kCalibration ? 1 : 0; }

  // Past additions of nothing.
  int source(int id) const {
    while (draft(id).node.op == Op::kAddConstant && draft(id).node.constant == 0) id = draft(id).node.inputs[0];
    return id;
  }

  void resolve_inputs() {
    output_ = source(output_);
    for (const DraftNode& d : draft_.nodes()) {
      inputs_.push_back(d.node.inputs);
      for (int& in : inputs_.back()) in = source(in);
    }
    live_[at(output_)] = true;
    live_[0] = true;
    for (std::size_t i = live_.size(); i-- > 0;)
      if (live_[i])
        for (const int in : inputs_[i]) live_[at(in)] = true;
  }

  void find_regions() {
    for (std::size_t i = 0; i < live_.size(); ++i) {
      regions_.push_back(draft_.region(static_cast<int>(i)));
      if (regions_[i] >= 0) widths_.emplace(regions_[i], 1);
    }
  }

  void widen(int id, unsigned bits, bool& changed) {
    if (bits > 64)
      throw model_error("step '" + draft(id).node.name + "' needs a ring of " + std::to_string(bits) + " bits",
                        "its scales lie too far apart for 64 bits");
    if (width(id) >= bits) return;
    width(id) = bits;
    changed = true;
  }

  void widen_to_values() {
    bool changed = false;
    const auto fit = [&](int id) {
      const DraftNode& d = draft(id);
      if (!floating(id)) widen(id, ring_bits_for(d.lo, d.hi, d.node.op == Op::kInput ? 0 : guard()), changed);
    };
    for (std::size_t i = 0; i < live_.size(); ++i) {
      if (!live_[i]) continue;
      const int id = static_cast<int>(i);
      for (const int in : inputs_[i])
        if (reads_signed(draft(id).node.op) || regions_[at(in)] != regions_[i]) fit(in);
      if (reads_signed(draft(id).node.op)) fit(id);
      if (draft(id).node.op == Op::kMaxPool) {  // which compares by differences
        const DraftNode& in = draft(inputs_[i][0]);
        widen(id, ring_bits_for(in.lo - in.hi, in.hi - in.lo, 0), changed);
      }
    }
    fit(output_);
  }

  // Widths that keep a value's proven sign through the conversion to another ring.
  std::vector<unsigned> proof_widths() {
    std::vector<unsigned> bits(live_.size(), 0);
    for (std::size_t i = 0; i < live_.size(); ++i) {
      if (!live_[i]) continue;
      const int id = static_cast<int>(i);
      const Node& node = draft(id).node;
      if (!floating(id)) {
        bits[i] = width(id);
        continue;
      }
      for (std::size_t k = 0; k < inputs_[i].size(); ++k) {
        unsigned b = bits[at(inputs_[i][k])];
        if (node.op == Op::kConcat) b += node.input_shifts[k];
        if (node.op == Op::kSumPool)
          b += static_cast<unsigned>(
              std::bit_width(static_cast<std::uint64_t>(node.window.kernel_h * node.window.kernel_w)));
        bits[i] = std::max(bits[i], b);
      }
    }
    return bits;
  }

  void widen_to_constraints() {
    for (bool changed = true; changed;) {
      changed = false;
      const std::vector<unsigned> proof = proof_widths();
      for (std::size_t i = 0; i < live_.size(); ++i) {
        if (!live_[i]) continue;
        const int id = static_cast<int>(i);
        const Node& node = draft(id).node;
        if (node.op == Op::kTruncateReduce) {
          const int in = inputs_[i][0];
          widen(in, width(id) + node.shift, changed);
          widen(id, width(in) - node.shift, changed);
        }
        if (draft(id).beyond_inputs)
          for (std::size_t k = 0; k < inputs_[i].size(); ++k)
            if (regions_[at(inputs_[i][k])] != regions_[i])
              widen(id, proof[at(inputs_[i][k])] + node.input_shifts[k] + 1, changed);
        if (draft(id).keep_proof) widen(id, proof[at(inputs_[i][0])], changed);
      }
    }
  }

  // One ring for all products. What is truncated out of it, and what must be wider than that, follows.
  void widen_to_widest() {
    for (bool changed = true; changed;) {
      changed = false;
      unsigned widest = 1;
      const auto for_products = [&](auto&& visit) {
        for (std::size_t i = 0; i < live_.size(); ++i)
          if (live_[i] && draft(static_cast<int>(i)).node.op == Op::kConv) visit(static_cast<int>(i));
      };
      for_products([&](int id) { widest = std::max(widest, width(id)); });
      for_products([&](int id) { widen(id, widest, changed); });
      widen_to_constraints();
    }
  }

  void find_demands() {
    demands_.resize(live_.size());
    const DraftNode& out = draft(output_);
    output_bits_ = floating(output_) ? ring_bits_for(out.lo, out.hi, guard()) : width(output_);
    demands_[at(output_)].insert(output_bits_);
    for (std::size_t i = live_.size(); i-- > 0;) {
      if (!live_[i]) continue;
      const int id = static_cast<int>(i);
      for (const int in : inputs_[i]) {
        if (draft(id).node.op == Op::kTruncateReduce) {
          demands_[at(in)].insert(width(in));
        } else if (!floating(id)) {
          demands_[at(in)].insert(width(id));
        } else {
          demands_[at(in)].insert(demands_[i].begin(), demands_[i].end());
        }
      }
    }
    // The image is made in the widest ring that asks for it: there is nothing to extend.
    if (!demands_[0].empty()) width(0) = std::max(width(0), *demands_[0].rbegin());
  }

  std::string unique_name(std::string name) {
    std::string tried = name;
    for (int n = 2; !names_.insert(tried).second; ++n) tried = name + std::to_string(n);
    return tried;
  }

  int push(Node node, NodeSecrets secrets) {
    std::vector<TensorType> types;
    for (const int in : node.inputs) types.push_back(model_.plan.nodes[at(in)].type);
    node.name = unique_name(node.name);
    node.type = infer_type(node, types, model_.plan.input_bits);
    model_.plan.nodes.push_back(std::move(node));
    model_.secrets.push_back(std::move(secrets));
    return static_cast<int>(model_.plan.nodes.size()) - 1;
  }

  int emit_in_ring(int id, unsigned bits) {
    const DraftNode& d = draft(id);
    Node node = d.node;
    node.inputs.clear();
    for (const int in : inputs_[at(id)]) {
      const unsigned wanted = node.op == Op::kTruncateReduce ? width(in) : bits;
      const bool own_extension = !options_.share_extensions && !floating(in) && wanted > width(in);
      node.inputs.push_back(own_extension ? convert(Op::kExtend, in, emitted_.at({in, width(in)}), wanted)
                                          : emitted_.at({in, wanted}));
    }
    if (floating(id) && demands_[at(id)].size() > 1) node.name.append("@").append(std::to_string(bits));
    node.type.ring_bits = node.op == Op::kInput ? bits : 0;
    return push(std::move(node), d.secrets);
  }

  // The value of `id`, written as step `from`, in another ring.
  int convert(Op op, int id, int from, unsigned bits) {
    Node node;
    node.op = op;
    node.layer = draft(id).node.layer;
    node.name = model_.plan.nodes[at(emitted_.at({id, width(id)}))].name;
    node.name.append(op == Op::kExtend ? "/extend" : "/reduce").append(std::to_string(bits));
    node.inputs = {from};
    node.type.shape = draft(id).node.type.shape;
    node.type.ring_bits = bits;
    NodeSecrets secrets;
    secrets.scale = draft(id).secrets.scale;
    return push(std::move(node), std::move(secrets));
  }

  void emit_node(int id) {
    const std::set<unsigned>& rings = demands_[at(id)];
    if (floating(id)) {
      for (const unsigned bits : rings) emitted_[{id, bits}] = emit_in_ring(id, bits);
      return;
    }
    const unsigned own = width(id);
    const int base = emitted_[{id, own}] = emit_in_ring(id, own);
    if (rings.empty()) return;
    const unsigned widest = *rings.rbegin();
    if (widest > own && options_.share_extensions) emitted_[{id, widest}] = convert(Op::kExtend, id, base, widest);
    for (const unsigned bits : rings) {
      if (bits < own) {
        emitted_[{id, bits}] = convert(Op::kReduce, id, base, bits);
      } else if (bits > own && bits < widest && options_.share_extensions) {
        emitted_[{id, bits}] = convert(Op::kReduce, id, emitted_.at({id, widest}), bits);
      }
    }
  }

  const Draft& draft_;
  RingOptions options_;
  int output_;
  unsigned output_bits_ = 0;
  std::vector<bool> live_;
  std::vector<std::vector<int>> inputs_;
  std::vector<int> regions_;
  std::map<int, unsigned> widths_;
  std::vector<std::set<unsigned>> demands_;
  std::map<std::pair<int, unsigned>, int> emitted_;
  std::unordered_set<std::string> names_;
  Model model_;
};

}  // namespace

unsigned ring_bits_for(std::int64_t lo, std::int64_t hi, unsigned guard) {
  const auto magnitude = [](std::int64_t v) { return static_cast<std::uint64_t>(v < 0 ? ~v : v); };
  const auto bits = static_cast<unsigned>(std::bit_width(std::max(magnitude(lo), magnitude(hi))));
  return bits + 1 + guard;
}

Model assign_rings(const Draft& draft, int output, const RingOptions& options) {
  return Assignment(draft, output, options).emit();
}

}  // namespace eqo::quant
