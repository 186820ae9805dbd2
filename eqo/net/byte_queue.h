#pragma once
#include <cstddef>
#include <deque>
#include <memory>
#include <span>

namespace eqo {

// A first-in, first-out queue of bytes in fixed-size chunks: appending never moves what is queued. Not thread-safe.
class ByteQueue {
 public:
  static constexpr std::size_t kChunkBytes = std::size_t{1} << 16;

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  void append(std::span<const std::byte> data);
  // Moves everything from `other`, which is left empty, to the end. Chunks with little in them are copied, so that the
  // memory in use stays within a small factor of size().
  void append(ByteQueue&& other);
  // At least one byte of free space at the end, for a reader to fill; commit(n) makes its first n bytes part of the
  // queue and must follow before anything else.
  std::span<std::byte> prepare();
  void commit(std::size_t n);
  // The longest run of bytes at the front that lies in one piece; empty only if the queue is.
  std::span<const std::byte> front() const;
  // Drops n <= size() bytes.
  void pop(std::size_t n);
  // Moves up to out.size() bytes out of the queue; returns how many.
  std::size_t take(std::span<std::byte> out);

 private:
  struct Chunk {
    std::unique_ptr<std::byte[]> data;
    std::size_t begin = 0, end = 0;
  };
  void add_chunk();

  std::deque<Chunk> chunks_;
  std::unique_ptr<std::byte[]> spare_;  // one emptied chunk, so that a queue that is always drained allocates nothing
  std::size_t size_ = 0;
};

}  // namespace eqo
