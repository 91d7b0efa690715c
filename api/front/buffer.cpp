// SPDX-License-Identifier: Apache-2.0
// Buffer: growth by doubling, wiping of every byte that was used.
#include "api/front/buffer.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace kms::api {
namespace {

constexpr std::size_t kSmallBytes = 16U << 10U;
constexpr std::size_t kMaxPooledBytes = 64U << 10U;
constexpr std::size_t kMaxPooledBuffers = 64;

}  // namespace

Buffer::Buffer(Buffer&& other) noexcept
    : budget_(other.budget_),
      memory_(std::move(other.memory_)),
      capacity_(std::exchange(other.capacity_, 0)),
      begin_(std::exchange(other.begin_, 0)),
      end_(std::exchange(other.end_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(budget_, other.budget_);
  std::swap(memory_, other.memory_);
  std::swap(capacity_, other.capacity_);
  std::swap(begin_, other.begin_);
  std::swap(end_, other.end_);
  return *this;
}

Buffer::~Buffer() { Free(); }

bool Buffer::Reserve(std::size_t bytes) {
  if (room() >= bytes) {
    return true;
  }
  if (!budget_->Allows(size() + bytes)) {
    return false;
  }
  try {
    Grow(bytes);
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

void Buffer::Append(std::string_view bytes) {
  if (bytes.empty()) {
    return;
  }
  if (room() < bytes.size()) {
    Grow(bytes.size());
  }
  std::memcpy(tail(), bytes.data(), bytes.size());
  end_ += bytes.size();
}

void Buffer::Grow(std::size_t bytes) {
  const std::size_t used = size();
  const std::size_t doubled = std::max(kSmallBytes, used + std::max(used, bytes));
  std::unique_ptr<char[]> larger{new char[doubled]};  // NOLINT: uninitialised on purpose
  if (used > 0) {
    std::memcpy(larger.get(), data(), used);
    OPENSSL_cleanse(data(), used);
  }
  budget_->Take(doubled);
  budget_->GiveBack(capacity_);
  memory_ = std::move(larger);
  capacity_ = doubled;
  begin_ = 0;
  end_ = used;
}

void Buffer::Consume(std::size_t bytes) {
  if (bytes > 0) {
    OPENSSL_cleanse(data(), bytes);
  }
  begin_ += bytes;
  if (begin_ == end_) {
    begin_ = 0;
    end_ = 0;
  }
}

void Buffer::Truncate(std::size_t size) {
  const std::size_t dropped = end_ - begin_ - size;
  if (dropped > 0) {
    OPENSSL_cleanse(data() + size, dropped);
  }
  end_ = begin_ + size;
}

void Buffer::Free() {
  Consume(size());
  budget_->GiveBack(std::exchange(capacity_, 0));
  memory_.reset();
}

Buffer BufferPool::Take() {
  if (free_.empty()) {
    return Buffer{*budget_};
  }
  Buffer buffer = std::move(free_.back());
  free_.pop_back();
  return buffer;
}

void BufferPool::GiveBack(Buffer& buffer) {
  buffer.Consume(buffer.size());
  if (buffer.capacity() == 0) {
    return;
  }
  if (buffer.capacity() > kMaxPooledBytes || free_.size() == kMaxPooledBuffers) {
    buffer.Free();
    return;
  }
  free_.push_back(std::move(buffer));
}

}  // namespace kms::api
