#pragma once
#include <cstddef>
#include <span>
#include <string>

#include "eqo/core/secret.h"
#include "eqo/model/graph.h"
#include "eqo/model/plan_io.h"

namespace eqo {

// The model file (.eqo), little-endian:
//   magic 8 bytes | u16 major | u16 minor | u32 sections | u64 length of the whole file
//   for each section: u32 kind | u32 0 | u64 offset | u64 length | SHA-256 of the section
//   the sections, in the table's order, without gaps
//   SHA-256 of everything before it: the model's digest
// Kind 1 is the public plan (serialize_plan); kind 2 the secrets: for each node its scale and, for kConv, its weights
// packed LSB-first at their code's width (a Winograd tap begins a new byte) and its bias. Sizes follow from the plan.
// A newer minor version may add sections of other kinds; a reader skips those it does not know.
inline constexpr std::uint16_t kModelMajor = 1;
inline constexpr std::uint16_t kModelMinor = 0;

// The file's bytes: equal models give equal bytes. They hold the weights: wiped by their type. Throws model_error if
// the model does not pass validate().
Bytes serialize_model(const Model& model);

// Reads such bytes, however damaged: model_error, with nothing allocated beyond a small multiple of their number.
Model parse_model(std::span<const std::byte> file);

// Replaces `path` by a file that its owner alone can read; an old file survives a full disk. Throws resource_error.
void save_model(const Model& model, const std::string& path);

// Throws model_error if there is no such file or parse_model refuses it.
Model load_model(const std::string& path);

// The digest at the end of the model's file: what a client pins. A hash of the weights: whoever has a candidate for all
// of them can check it, nothing else follows from it.
Digest model_digest(const Model& model);

}  // namespace eqo
