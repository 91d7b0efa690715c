// SPDX-License-Identifier: Apache-2.0
// A thread's reused memory for the hot verbs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kms/base/bytes.h"
#include "kms/base/secret_bytes.h"

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

// A buffer for a plaintext that stays inside: empty before and after. At most one at a time in a
// thread for each use.
class ScratchPlaintext {
 public:
  enum class Use : std::uint8_t { kRewrap, kVerify };

  explicit ScratchPlaintext(Use use);
  ScratchPlaintext(const ScratchPlaintext&) = delete;
  ScratchPlaintext& operator=(const ScratchPlaintext&) = delete;
  ~ScratchPlaintext();

  PlaintextBuffer& operator*() { return buffer_; }

 private:
  PlaintextBuffer& buffer_;
};

}  // namespace kms
