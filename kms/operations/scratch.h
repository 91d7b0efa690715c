// SPDX-License-Identifier: Apache-2.0
// What the hot verbs share: a thread's reused memory for ciphertext, and the choice of a cipher.
#pragma once

#include <cstddef>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/keys/key.h"

namespace kms {

// The prepared cipher of `version`. Errors: kInvalidArgument "no such key version" when it is not
// in the working set; kInvalidArgument for a derived key, whose material never encrypts directly.
Result<const Aead*> FindCipher(const Key& key, KeyVersionNumber version);

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
