#include "eqo/model/model_io.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "eqo/core/bits.h"
#include "eqo/core/error.h"
#include "eqo/data/file.h"
#include "eqo/model/bytes.h"
#include "eqo/model/secret_file.h"
#include "eqo/model/types.h"

namespace eqo {
namespace {

// The first byte is no text and the line ends show a transfer in text mode.
constexpr std::array<std::uint8_t, 8> kMagic{0x89, 'E', 'Q', 'O', '\r', '\n', 0x1A, '\n'};
constexpr std::uint32_t kPlanSection = 1, kSecretsSection = 2;
constexpr std::size_t kMaxSections = 64;
constexpr std::size_t kHeaderBytes = 24, kEntryBytes = 56, kDigestBytes = sizeof(Digest);
constexpr std::size_t kMaxFileBytes = std::size_t{16} << 30;

struct Section {
  std::uint32_t kind;
  std::span<const std::byte> content;
};

std::size_t tap_size(const Node& node, std::size_t weights) { return weights / node.codes.size(); }

void write_secrets(ByteWriter& w, const Node& node, const NodeSecrets& secrets) {
  w.f64(secrets.scale);
  if (node.op != Op::kConv) return;
  const std::size_t part = tap_size(node, secrets.weights.size());
  for (std::size_t p = 0; p < node.codes.size(); ++p) {
    const auto from = secrets.weights.begin() + static_cast<std::ptrdiff_t>(p * part);
    const Words codes(from, from + static_cast<std::ptrdiff_t>(part));
    w.bytes(pack(codes, node.codes[p].bits()));
  }
  for (const std::int64_t b : secrets.bias) w.i64(b);
}

NodeSecrets read_secrets(ByteReader& r, const PublicPlan& plan, const Node& node) {
  NodeSecrets secrets;
  secrets.scale = r.f64();
  if (node.op != Op::kConv) return secrets;
  const Shape& in = plan.nodes[static_cast<std::size_t>(node.inputs[0])].type.shape;
  const std::size_t part = tap_size(node, weight_count(node, in));
  for (const WeightCode& code : node.codes) {
    const auto packed = r.bytes(packed_bytes(part, code.bits()));  // throws before anything of this size exists
    const Words codes = unpack(packed, part, code.bits());
    for (const Word c : codes) secrets.weights.push_back(static_cast<std::uint8_t>(c));
    const unsigned used = static_cast<unsigned>(part * code.bits() % 8);
    if (used != 0 && (static_cast<unsigned>(packed.back()) >> used) != 0) r.fail("bits after the last weight");
  }
  const auto filters = static_cast<std::size_t>(node.type.shape.c);
  if (filters > r.left() / 8) r.fail("it ends before the bias");
  for (std::size_t k = 0; k < filters; ++k) secrets.bias.push_back(r.i64());
  return secrets;
}

Digest read_digest(ByteReader& r) {
  Digest d;
  std::ranges::copy(r.bytes(d.size()), d.begin());
  return d;
}

std::vector<Section> read_sections(std::span<const std::byte> file) {
  ByteReader r(file, "the model file");
  const auto magic = r.bytes(kMagic.size());
  if (std::memcmp(magic.data(), kMagic.data(), kMagic.size()) != 0)
    throw model_error("this is not a model file of eqo", "make one with 'eqo quantize'");
  const std::uint16_t major = r.u16(), minor = r.u16();
  if (major != kModelMajor)
    throw model_error("the model file has version " + std::to_string(major) + "." + std::to_string(minor) +
                          ", this program reads " + std::to_string(kModelMajor) + ".x",
                      major > kModelMajor ? "use a newer release of eqo" : "quantize the model again");
  const std::size_t count = r.count(kMaxSections, kEntryBytes);
  if (r.u64() != file.size()) r.fail("a length that is not the file's");
  if (file.size() < kHeaderBytes + count * kEntryBytes + kDigestBytes) r.fail("it ends too early");
  const auto body = file.first(file.size() - kDigestBytes);
  if (!std::ranges::equal(sha256(body), file.last(kDigestBytes))) r.fail("a checksum that does not match");

  std::vector<Section> sections;
  std::uint64_t expected = kHeaderBytes + count * kEntryBytes;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t kind = r.u32();
    if (r.u32() != 0) r.fail("a reserved field that is not 0");
    const std::uint64_t offset = r.u64(), length = r.u64();
    const Digest digest = read_digest(r);
    if (offset != expected || length > body.size() - offset) r.fail("sections that overlap or leave the file");
    const auto content = body.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(length));
    if (sha256(content) != digest) r.fail("a section whose checksum does not match");
    if (kind != kPlanSection && kind != kSecretsSection && minor <= kModelMinor) r.fail("an unknown section");
    sections.push_back({kind, content});
    expected += length;
  }
  if (expected != body.size()) r.fail("bytes that belong to no section");
  return sections;
}

std::span<const std::byte> find_section(const std::vector<Section>& sections, std::uint32_t kind) {
  const auto is_kind = [kind](const Section& s) { return s.kind == kind; };
  if (std::ranges::count_if(sections, is_kind) != 1)
    throw model_error("the model file needs exactly one section of kind " + std::to_string(kind));
  return std::ranges::find_if(sections, is_kind)->content;
}

}  // namespace

Bytes serialize_model(const Model& model) {
  validate(model);
  const std::string plan = serialize_plan(model.plan);
  ByteWriter secrets;
  for (std::size_t i = 0; i < model.secrets.size(); ++i) write_secrets(secrets, model.plan.nodes[i], model.secrets[i]);

  const std::array<Section, 2> sections{Section{kPlanSection, std::as_bytes(std::span(plan))},
                                        Section{kSecretsSection, secrets.view()}};
  std::uint64_t offset = kHeaderBytes + sections.size() * kEntryBytes;
  ByteWriter w;
  w.bytes(std::as_bytes(std::span(kMagic)));
  w.u16(kModelMajor);
  w.u16(kModelMinor);
  w.u32(static_cast<std::uint32_t>(sections.size()));
  w.u64(offset + plan.size() + secrets.size() + kDigestBytes);
  for (const Section& s : sections) {
    w.u32(s.kind);
    w.u32(0);
    w.u64(offset);
    w.u64(s.content.size());
    w.bytes(sha256(s.content));
    offset += s.content.size();
  }
  for (const Section& s : sections) w.bytes(s.content);
  w.bytes(sha256(w.view()));
  return {w.view().begin(), w.view().end()};
}

Model parse_model(std::span<const std::byte> file) {
  const std::vector<Section> sections = read_sections(file);
  Model model;
  model.plan = parse_plan(find_section(sections, kPlanSection));
  ByteReader r(find_section(sections, kSecretsSection), "the model file's weights");
  for (const Node& node : model.plan.nodes) model.secrets.push_back(read_secrets(r, model.plan, node));
  r.expect_end();
  validate(model);
  return model;
}

void save_model(const Model& model, const std::string& path) {
  const Bytes bytes = serialize_model(model);
  replace_secret_file(path, bytes);
}

Model load_model(const std::string& path) {
  std::vector<std::uint8_t> file;
  try {
    file = read_file(path, kMaxFileBytes);
  } catch (const Error& e) {
    if (e.category() != Category::kData) throw;
    throw model_error(e.what(), "give the path of a file made by 'eqo quantize'");
  }
  struct Wipe {
    std::vector<std::uint8_t>& v;
    ~Wipe() {
      if (!v.empty()) explicit_bzero(v.data(), v.size());  // an empty file has no pointer
    }
  } const wipe{file};
  try {
    return parse_model(std::as_bytes(std::span(file)));
  } catch (const Error& e) {
    if (e.category() != Category::kModel) throw;
    throw model_error(path + ": " + e.what(), e.hint());
  }
}

Digest model_digest(const Model& model) {
  const Bytes bytes = serialize_model(model);
  Digest digest;
  std::copy_n(bytes.end() - static_cast<std::ptrdiff_t>(digest.size()), digest.size(), digest.begin());
  return digest;
}

}  // namespace eqo
