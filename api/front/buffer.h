// SPDX-License-Identifier: Apache-2.0
// Buffer: bytes on their way in or out. Whatever leaves it is wiped, for it may be plaintext.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

namespace kms::api {

// Counts the memory of all buffers. Thread rule: any thread.
class BufferBudget {
 public:
  explicit BufferBudget(std::size_t limit_bytes) : limit_bytes_(limit_bytes) {}

  [[nodiscard]] bool Allows(std::size_t bytes) const {
    return used_bytes_.load(std::memory_order_relaxed) + bytes <= limit_bytes_;
  }
  void Take(std::size_t bytes) { used_bytes_.fetch_add(bytes, std::memory_order_relaxed); }
  void GiveBack(std::size_t bytes) { used_bytes_.fetch_sub(bytes, std::memory_order_relaxed); }
  [[nodiscard]] std::size_t used_bytes() const {
    return used_bytes_.load(std::memory_order_relaxed);
  }

 private:
  const std::size_t limit_bytes_;
  std::atomic<std::size_t> used_bytes_{0};
};

// A queue of bytes in one piece. Thread rule: like a plain value. `budget` must outlive it.
class Buffer {
 public:
  explicit Buffer(BufferBudget& budget) : budget_(&budget) {}
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();

  [[nodiscard]] std::string_view View() const { return {data(), size()}; }
  [[nodiscard]] char* data() const { return memory_.get() + begin_; }
  [[nodiscard]] std::size_t size() const { return end_ - begin_; }
  [[nodiscard]] bool empty() const { return begin_ == end_; }
  [[nodiscard]] std::size_t capacity() const { return capacity_; }

  // Makes room for `bytes` more; false when the budget does not allow it.
  [[nodiscard]] bool Reserve(std::size_t bytes);
  [[nodiscard]] char* tail() const { return memory_.get() + end_; }
  [[nodiscard]] std::size_t room() const { return capacity_ - end_; }
  // `bytes` were written at tail().
  void Extend(std::size_t bytes) { end_ += bytes; }

  // Answers must be able to leave, so this may pass the budget.
  void Append(std::string_view bytes);

  // Wipe and drop: the first `bytes`; all behind the first `size`; everything and the memory.
  void Consume(std::size_t bytes);
  void Truncate(std::size_t size);
  void Free();

 private:
  void Grow(std::size_t bytes);

  BufferBudget* budget_;
  std::unique_ptr<char[]> memory_;  // NOLINT: uninitialised on purpose, sized at run time
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

// Keeps a few small empty buffers warm, so that idle connections hold none. Thread rule: one loop.
class BufferPool {
 public:
  explicit BufferPool(BufferBudget& budget) : budget_(&budget) {}

  Buffer Take();
  // `buffer` is emptied; large memory goes back to the system.
  void GiveBack(Buffer& buffer);
  [[nodiscard]] BufferBudget& budget() const { return *budget_; }

 private:
  BufferBudget* budget_;
  std::vector<Buffer> free_;
};

}  // namespace kms::api
