#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "eqo/model/compare.h"
#include "eqo/net/simulated_link.h"
#include "eqo/runtime/session.h"

namespace eqo {

struct LocalOptions {
  std::optional<LinkSpec> network;
  unsigned threads = 1;       // of each party
  std::uint32_t batch = 1;    // images a batch
  std::uint32_t prepare = 0;  // images at a time for which material is prepared; at least a batch, or 0
  bool verify = false;        // compare every step of every batch with the twin
};

struct LocalResult {
  std::vector<std::vector<std::int64_t>> outputs;  // one an image: logits, or the label
  SessionSummary client, server;
  std::vector<bool> verified;            // one an image, with verify
  std::optional<Difference> difference;  // the first step and element that differ from the twin; none: all is equal
};

// Runs both parties as two processes over TCP on loopback and, with verify, puts their shares together step by step to
// compare them with the twin. Meant for one user who owns both sides. `images`: quantized, one behind the other.
// Called while the process has one thread only (it forks). Throws what a party threw.
LocalResult run_local(const Offer& offer, std::span<const Word> images, std::uint64_t count,
                      const LocalOptions& options);

}  // namespace eqo
