// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/scratch.h"

namespace kms {

namespace {

constexpr std::size_t kMaxKeptBytes = std::size_t{1} << 20U;

Bytes& KeptBytes() {
  thread_local Bytes bytes;
  return bytes;
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

}  // namespace kms
