#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace eqo {

// Where a training run stands at the end of an epoch. The random streams of the next epoch follow from seed and epoch,
// so the state of the generators is in here as well.
struct Checkpoint {
  std::uint64_t run = 0;      // digest of everything that must be equal for a run to be continued
  std::uint64_t subject = 0;  // digest of what is trained: for another run to start from this one's result
  int epochs_done = 0;
  std::vector<float> state;  // TorchNet::state()
};

// File: "EQOTRAIN", version, run, subject, epochs_done, number of floats (64-bit little-endian each), the floats, a
// checksum (FNV-1a, 64 bits; it detects damage, not forgery). Replaces an older file in one step. Throws
// resource_error.
void save_checkpoint(const std::string& path, const Checkpoint& checkpoint);

// Throws data_error unless the file is whole, of run `run`, has exactly `state_size` finite floats and a number of
// epochs in 1..max_epochs; the caller's numbers bound every allocation. usage_error if it is another run's.
Checkpoint load_checkpoint(const std::string& path, std::uint64_t run, std::size_t state_size, int max_epochs);

// The state that any run with the same subject left. Throws as load_checkpoint.
std::vector<float> load_state(const std::string& path, std::uint64_t subject, std::size_t state_size);

// FNV-1a over 64-bit words.
class RunDigest {
 public:
  void add(std::uint64_t v);
  void add(std::int64_t v) { add(static_cast<std::uint64_t>(v)); }
  void add(double v);
  void add(const std::string& v);
  std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325;
};

}  // namespace eqo
