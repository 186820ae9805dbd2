#include "eqo/net/byte_queue.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "eqo/core/error.h"

namespace eqo {

void ByteQueue::add_chunk() {
  Chunk c;
  c.data = spare_ ? std::move(spare_) : std::make_unique_for_overwrite<std::byte[]>(kChunkBytes);
  chunks_.push_back(std::move(c));
}

std::span<std::byte> ByteQueue::prepare() {
  if (chunks_.empty() || chunks_.back().end == kChunkBytes) add_chunk();
  Chunk& c = chunks_.back();
  return {c.data.get() + c.end, kChunkBytes - c.end};
}

void ByteQueue::commit(std::size_t n) {
  Chunk& c = chunks_.back();
  if (n > kChunkBytes - c.end) throw internal_error("ByteQueue: committing more than was prepared");
  c.end += n;
  size_ += n;
  if (c.begin == c.end) {
    spare_ = std::move(c.data);
    chunks_.pop_back();
  }
}

void ByteQueue::append(std::span<const std::byte> data) {
  while (!data.empty()) {
    const std::span<std::byte> room = prepare();
    const std::size_t n = std::min(data.size(), room.size());
    std::memcpy(room.data(), data.data(), n);
    commit(n);
    data = data.subspan(n);
  }
}

void ByteQueue::append(ByteQueue&& other) {
  while (!other.chunks_.empty()) {
    const std::size_t n = other.front().size();
    if (n < kChunkBytes / 4) {
      append(other.front());
      other.pop(n);
    } else {
      chunks_.push_back(std::move(other.chunks_.front()));
      other.chunks_.pop_front();
      other.size_ -= n;
      size_ += n;
    }
  }
}

std::span<const std::byte> ByteQueue::front() const {
  if (chunks_.empty()) return {};
  const Chunk& c = chunks_.front();
  return {c.data.get() + c.begin, c.end - c.begin};
}

void ByteQueue::pop(std::size_t n) {
  if (n > size_) throw internal_error("ByteQueue: popping more than is queued");
  size_ -= n;
  while (n > 0) {
    Chunk& c = chunks_.front();
    const std::size_t step = std::min(n, c.end - c.begin);
    c.begin += step;
    n -= step;
    if (c.begin == c.end) {
      spare_ = std::move(c.data);
      chunks_.pop_front();
    }
  }
}

std::size_t ByteQueue::take(std::span<std::byte> out) {
  const std::size_t wanted = std::min(out.size(), size_);
  for (std::size_t done = 0; done < wanted;) {
    const std::span<const std::byte> run = front();
    const std::size_t n = std::min(run.size(), wanted - done);
    std::memcpy(out.data() + done, run.data(), n);
    pop(n);
    done += n;
  }
  return wanted;
}

}  // namespace eqo
