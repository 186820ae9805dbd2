#include "eqo/model/plan_io.h"

#include <algorithm>

#include "eqo/core/error.h"
#include "eqo/model/bytes.h"
#include "eqo/model/types.h"

namespace eqo {
namespace {

void write_shape(ByteWriter& w, const Shape& s) {
  for (const std::int64_t v : {s.c, s.h, s.w}) w.i64(v);
}

Shape read_shape(ByteReader& r) {
  Shape s;
  for (std::int64_t* v : {&s.c, &s.h, &s.w}) *v = r.i64();
  return s;
}

void write_code(ByteWriter& w, const WeightCode& code) {
  w.u8(static_cast<std::uint8_t>(code.exponents.size()));
  for (std::size_t i = 0; i < code.exponents.size(); ++i) {
    w.u8(code.exponents[i]);
    w.u8(static_cast<std::uint8_t>(code.signs[i]));
  }
  w.i64(code.offset);
  w.u8(code.shift);
}

WeightCode read_code(ByteReader& r) {
  WeightCode code;
  for (unsigned n = r.u8(); n > 0; --n) {
    code.exponents.push_back(r.u8());
    code.signs.push_back(static_cast<std::int8_t>(r.u8()));
  }
  code.offset = r.i64();
  code.shift = r.u8();
  return code;
}

// In the order of the struct; the fields of Window and of the arrays as they come in memory.
std::array<std::int64_t*, 10> window_fields(Window& w) {
  return {&w.kernel_h, &w.kernel_w,   &w.stride_h,  &w.stride_w,   &w.pad_top,
          &w.pad_left, &w.pad_bottom, &w.pad_right, &w.dilation_h, &w.dilation_w};
}

void write_node(ByteWriter& w, const Node& node) {
  w.u8(static_cast<std::uint8_t>(node.op));
  w.string(node.name);
  w.string(node.layer);
  w.u32(static_cast<std::uint32_t>(node.inputs.size()));
  for (const int i : node.inputs) w.u32(static_cast<std::uint32_t>(i));
  write_shape(w, node.type.shape);
  w.u8(static_cast<std::uint8_t>(node.type.ring_bits));
  w.i64(node.type.lo);
  w.i64(node.type.hi);
  Window window = node.window;
  for (const std::int64_t* v : window_fields(window)) w.i64(*v);
  w.i64(node.groups);
  w.u8(static_cast<std::uint8_t>(node.domain));
  w.u32(static_cast<std::uint32_t>(node.codes.size()));
  for (const WeightCode& code : node.codes) write_code(w, code);
  w.u8(static_cast<std::uint8_t>(node.shift));
  w.u32(static_cast<std::uint32_t>(node.input_shifts.size()));
  for (const unsigned s : node.input_shifts) w.u8(static_cast<std::uint8_t>(s));
  w.u32(static_cast<std::uint32_t>(node.input_signs.size()));
  for (const std::int8_t s : node.input_signs) w.u8(static_cast<std::uint8_t>(s));
  w.i64(node.constant);
  for (const auto* field : {&node.pad_before, &node.pad_after, &node.start, &node.step})
    for (const std::int64_t v : *field) w.i64(v);
  w.u8(static_cast<std::uint8_t>(node.activation_bits));
  w.u8(node.relu ? 1 : 0);
  const Method& m = node.method;
  w.u8(m.levels);
  w.u8(static_cast<std::uint8_t>((m.use_interval ? 1U : 0U) | (m.staged ? 2U : 0U) | (m.merged ? 4U : 0U) |
                                 (m.homomorphic ? 8U : 0U)));
}

Node read_node(ByteReader& r, std::uint16_t minor) {
  Node node;
  const std::uint8_t op = r.u8();
  const Op last = minor == 0 ? Op::kArgMax : Op::kRequantize;
  if (op > static_cast<std::uint8_t>(last)) r.fail("an unknown kind of step (" + std::to_string(op) + ")");
  node.op = static_cast<Op>(op);
  node.name = r.string(kMaxNameBytes);
  node.layer = r.string(kMaxNameBytes);
  node.inputs.resize(r.count(kMaxInputs, 4));
  for (int& i : node.inputs) {
    const std::uint32_t v = r.u32();
    if (v >= kMaxNodes) r.fail("an impossible step number");
    i = static_cast<int>(v);
  }
  node.type.shape = read_shape(r);
  node.type.ring_bits = r.u8();
  node.type.lo = r.i64();
  node.type.hi = r.i64();
  for (std::int64_t* v : window_fields(node.window)) *v = r.i64();
  node.groups = r.i64();
  const std::uint8_t domain = r.u8();
  if (domain > static_cast<std::uint8_t>(ConvDomain::kWinograd)) r.fail("an unknown convolution domain");
  node.domain = static_cast<ConvDomain>(domain);
  const std::size_t codes = r.count(16, 10);
  for (std::size_t i = 0; i < codes; ++i) node.codes.push_back(read_code(r));
  node.shift = r.u8();
  node.input_shifts.resize(r.count(kMaxInputs, 1));
  for (unsigned& s : node.input_shifts) s = r.u8();
  node.input_signs.resize(r.count(kMaxInputs, 1));
  for (std::int8_t& s : node.input_signs) s = static_cast<std::int8_t>(r.u8());
  node.constant = r.i64();
  for (auto* field : {&node.pad_before, &node.pad_after, &node.start, &node.step})
    for (std::int64_t& v : *field) v = r.i64();
  node.activation_bits = r.u8();
  if (minor == 0) return node;
  const std::uint8_t relu = r.u8();
  if (relu > 1) r.fail("a flag that is neither 0 nor 1");
  node.relu = relu == 1;
  node.method.levels = r.u8();
  const std::uint8_t flags = r.u8();
  if (flags > 15) r.fail("an unknown method");
  node.method.use_interval = (flags & 1U) != 0;
  node.method.staged = (flags & 2U) != 0;
  node.method.merged = (flags & 4U) != 0;
  node.method.homomorphic = (flags & 8U) != 0;
  return node;
}

Bytes encode(const PublicPlan& plan) {
  ByteWriter w;
  w.u16(kPlanMajor);
  w.u16(kPlanMinor);
  w.string(plan.name);
  w.u32(static_cast<std::uint32_t>(plan.nodes.size()));
  for (const Node& node : plan.nodes) w.record([&] { write_node(w, node); });
  w.record([&] {
    w.u32(static_cast<std::uint32_t>(plan.output));
    write_shape(w, plan.preprocess.shape);
    w.u32(static_cast<std::uint32_t>(plan.preprocess.resize_shorter));
    for (const double v : plan.preprocess.mean) w.f64(v);
    for (const double v : plan.preprocess.std) w.f64(v);
    w.f64(plan.input_scale);
    w.u8(static_cast<std::uint8_t>(plan.input_bits));
    w.f64(plan.output_scale);
    w.u32(static_cast<std::uint32_t>(plan.classes.size()));
    for (const std::string& name : plan.classes) w.string(name);
    w.string(plan.leakage);
  });
  return {w.view().begin(), w.view().end()};
}

void read_head(ByteReader r, PublicPlan& plan, bool exact) {
  const std::uint32_t output = r.u32();
  if (output >= kMaxNodes) r.fail("an impossible output");
  plan.output = static_cast<int>(output);
  plan.preprocess.shape = read_shape(r);
  const std::uint32_t resize = r.u32();
  if (resize > static_cast<std::uint32_t>(kMaxDimension)) r.fail("an impossible picture size");
  plan.preprocess.resize_shorter = static_cast<int>(resize);
  for (double& v : plan.preprocess.mean) v = r.f64();
  for (double& v : plan.preprocess.std) v = r.f64();
  plan.input_scale = r.f64();
  plan.input_bits = r.u8();
  plan.output_scale = r.f64();
  const std::size_t classes = r.count(kMaxClassNames, 4);
  for (std::size_t i = 0; i < classes; ++i) plan.classes.push_back(r.string(kMaxNameBytes));
  plan.leakage = r.string(kMaxTextBytes);
  if (exact) r.expect_end();
}

}  // namespace

std::string to_hex(const Digest& digest) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const std::byte b : digest) {
    hex += kDigits[static_cast<unsigned>(b) >> 4];
    hex += kDigits[static_cast<unsigned>(b) & 15U];
  }
  return hex;
}

Digest digest_from_hex(const std::string& hex) {
  const auto bad = [] { return usage_error("a digest is 64 hexadecimal digits", "copy it from 'eqo inspect'"); };
  const auto digit = [&](char c) -> unsigned {
    if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
    if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A') + 10;
    throw bad();
  };
  Digest digest;
  if (hex.size() != 2 * digest.size()) throw bad();
  for (std::size_t i = 0; i < digest.size(); ++i)
    digest[i] = static_cast<std::byte>((digit(hex[2 * i]) << 4) | digit(hex[2 * i + 1]));
  return digest;
}

std::string serialize_plan(const PublicPlan& plan) {
  validate(plan);
  const Bytes bytes = encode(plan);
  if (bytes.size() > kMaxPlanFileBytes) throw model_error("the plan takes more than 64 MiB");
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

PublicPlan parse_plan(std::span<const std::byte> bytes) {
  if (bytes.size() > kMaxPlanFileBytes) throw model_error("the plan takes more than 64 MiB");
  ByteReader r(bytes, "the plan");
  const std::uint16_t major = r.u16(), minor = r.u16();
  if (major != kPlanMajor)
    throw model_error("the plan has version " + std::to_string(major) + "." + std::to_string(minor) +
                          ", this program reads " + std::to_string(kPlanMajor) + ".x",
                      "use the same release of eqo on both sides");
  const bool exact = minor <= kPlanMinor;
  PublicPlan plan;
  plan.name = r.string(kMaxNameBytes);
  const std::size_t nodes = r.count(kMaxNodes, 64);
  plan.nodes.reserve(nodes);
  for (std::size_t i = 0; i < nodes; ++i) {
    ByteReader record = r.record();
    plan.nodes.push_back(read_node(record, minor));
    if (exact) record.expect_end();
  }
  read_head(r.record(), plan, exact);
  r.expect_end();
  validate(plan);
  // One plan, one encoding: whatever decodes to the same plan in another way is refused.
  if (minor == kPlanMinor && !std::ranges::equal(bytes, encode(plan))) r.fail("another form of the same plan");
  return plan;
}

Digest plan_digest(const PublicPlan& plan) {
  const std::string bytes = serialize_plan(plan);
  return sha256(std::as_bytes(std::span(bytes)));
}

}  // namespace eqo
