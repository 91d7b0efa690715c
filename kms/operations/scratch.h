// SPDX-License-Identifier: Apache-2.0
// A thread's reused memory for ciphertext, shared by the hot verbs.
#pragma once

#include <cstddef>

#include "kms/base/bytes.h"

namespace kms {

// `size` bytes of unspecified value for ciphertext, never for secrets: the thread keeps the memory
// for its next call unless it is large. At most one at a time in a thread.
class ScratchBytes {
 public:
  explicit ScratchBytes(std::size_t size);
  ScratchBytes(const ScratchBytes&) = delete;
  ScratchBytes& operator=(const ScratchBytes&) = delete;
  ~ScratchBytes();

  [[nodiscard]] MutableByteView View() const { return view_; }

 private:
  MutableByteView view_;
};

}  // namespace kms
