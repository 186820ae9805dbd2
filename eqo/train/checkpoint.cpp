#include "eqo/train/checkpoint.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <string_view>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/data/file.h"
#include "eqo/importer/atomic_file.h"

namespace eqo {
namespace {

static_assert(std::endian::native == std::endian::little);
constexpr std::array<char, 8> kMagic = {'E', 'Q', 'O', 'T', 'R', 'A', 'I', 'N'};
constexpr std::uint64_t kVersion = 2;
constexpr std::size_t kHeaderBytes = 6 * 8;
constexpr std::uint64_t kPrime = 0x100000001b3;

std::uint64_t checksum(std::span<const char> bytes) {
  std::uint64_t h = 0xcbf29ce484222325;
  for (const char b : bytes) h = (h ^ static_cast<unsigned char>(b)) * kPrime;
  return h;
}

template <typename T>
void put(std::string& out, const T& v) {
  std::array<char, sizeof(T)> bytes;
  std::memcpy(bytes.data(), &v, sizeof(T));
  out.append(bytes.data(), bytes.size());
}

std::uint64_t word(const std::vector<std::uint8_t>& file, std::size_t i) {
  std::uint64_t v = 0;
  std::memcpy(&v, file.data() + 8 * i, 8);
  return v;
}

constexpr const char* kHint = "remove it to train from the beginning";

Checkpoint read_checkpoint(const std::string& path, std::size_t state_size, int max_epochs) {
  const std::size_t expected = kHeaderBytes + 4 * state_size + 8;
  const std::vector<std::uint8_t> file = read_file(path, std::size_t{16} << 30);
  if (file.size() < kHeaderBytes + 8 || !std::equal(kMagic.begin(), kMagic.end(), file.begin()))
    throw data_error(path + " is not a training checkpoint", kHint);
  if (word(file, 1) != kVersion) throw data_error(path + " is a checkpoint of an unknown version", kHint);
  const std::span<const char> body(reinterpret_cast<const char*>(file.data()), file.size() - 8);
  std::uint64_t sum = 0;
  std::memcpy(&sum, file.data() + file.size() - 8, 8);
  if (sum != checksum(body)) throw data_error(path + " is damaged or truncated", kHint);
  Checkpoint checkpoint{word(file, 2), word(file, 3), 0, {}};
  const std::uint64_t epochs = word(file, 4);
  if (file.size() != expected || word(file, 5) != state_size || epochs < 1 ||
      epochs > static_cast<std::uint64_t>(max_epochs))
    return checkpoint;  // without a state
  checkpoint.epochs_done = static_cast<int>(epochs);
  checkpoint.state.resize(state_size);
  std::memcpy(checkpoint.state.data(), file.data() + kHeaderBytes, 4 * state_size);
  return checkpoint;
}

void check_state(const std::string& path, const Checkpoint& checkpoint) {
  if (checkpoint.epochs_done == 0) throw data_error(path + " does not fit the model", kHint);
  if (!std::all_of(checkpoint.state.begin(), checkpoint.state.end(), [](float v) { return std::isfinite(v); }))
    throw data_error(path + " holds values that are not numbers", kHint);
}

}  // namespace

void RunDigest::add(std::uint64_t v) {
  for (int i = 0; i < 8; ++i) hash_ = (hash_ ^ (v >> (8 * i) & 0xff)) * kPrime;
}
void RunDigest::add(double v) { add(std::bit_cast<std::uint64_t>(v)); }
void RunDigest::add(const std::string& v) {
  add(static_cast<std::uint64_t>(v.size()));
  for (const char c : v) hash_ = (hash_ ^ static_cast<unsigned char>(c)) * kPrime;
}

void save_checkpoint(const std::string& path, const Checkpoint& checkpoint) {
  std::string out(kMagic.begin(), kMagic.end());
  out.reserve(kHeaderBytes + 4 * checkpoint.state.size() + 8);
  put(out, kVersion);
  put(out, checkpoint.run);
  put(out, checkpoint.subject);
  put(out, static_cast<std::uint64_t>(checkpoint.epochs_done));
  put(out, static_cast<std::uint64_t>(checkpoint.state.size()));
  out.append(reinterpret_cast<const char*>(checkpoint.state.data()), 4 * checkpoint.state.size());
  put(out, checksum(out));
  write_file_atomically(path, out);
}

Checkpoint load_checkpoint(const std::string& path, std::uint64_t run, std::size_t state_size, int max_epochs) {
  Checkpoint checkpoint = read_checkpoint(path, state_size, max_epochs);
  if (checkpoint.run != run)
    throw usage_error(path + " belongs to a run with another model, data set or options",
                      "repeat the options of that run, or remove the file");
  check_state(path, checkpoint);
  return checkpoint;
}

std::vector<float> load_state(const std::string& path, std::uint64_t subject, std::size_t state_size) {
  Checkpoint checkpoint = read_checkpoint(path, state_size, std::numeric_limits<int>::max());
  if (checkpoint.subject != subject)
    throw usage_error(path + " belongs to another model, or one that was quantized otherwise",
                      "repeat the options that it was quantized with");
  check_state(path, checkpoint);
  return std::move(checkpoint.state);
}

}  // namespace eqo
