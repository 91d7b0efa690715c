// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/scratch.h"

#include <array>
#include <utility>

namespace kms {

namespace {

// A larger buffer is freed instead of kept for the thread's next call.
constexpr std::size_t kMaxKeptBytes = std::size_t{1} << 20U;

Bytes& KeptBytes() {
  thread_local Bytes bytes;
  return bytes;
}

PlaintextBuffer& KeptPlaintext(ScratchPlaintext::Use use) {
  thread_local std::array<PlaintextBuffer, 2> buffers;
  return buffers[static_cast<std::size_t>(use)];
}

}  // namespace

ScratchBytes::ScratchBytes(std::size_t size) {
  Bytes& bytes = KeptBytes();
  if (bytes.size() < size) {
    bytes.resize(size);  // never shrinks: growing again would fill with zeros
  }
  view_ = MutableByteView{bytes}.first(size);
}

ScratchBytes::~ScratchBytes() {
  if (view_.size() > kMaxKeptBytes) {
    Bytes{}.swap(KeptBytes());
  }
}

ScratchPlaintext::ScratchPlaintext(Use use) : buffer_(KeptPlaintext(use)) {}

ScratchPlaintext::~ScratchPlaintext() {
  if (buffer_.size() > kMaxKeptBytes) {
    const PlaintextBuffer freed = std::move(buffer_);
  }
  buffer_.Wipe();
}

}  // namespace kms
