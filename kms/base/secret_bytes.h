// SPDX-License-Identifier: Apache-2.0
// SecretBytes: the only type for keys and PINs. Locked, left out of core dumps, wiped.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kms/base/bytes.h"
#include "kms/base/result.h"

namespace kms {

// Prepares the locked memory that every SecretBytes lives in. Call once, first thing in main and
// in each test program, before other threads exist. `arena_bytes` is a power of two.
// Errors: kFailedPrecondition when the pages cannot be locked (RLIMIT_MEMLOCK too small).
Status InitializeSecretMemory(std::size_t arena_bytes = std::size_t{2} << 20U);

// Move-only owner of a fixed number of secret bytes; zeroed by OPENSSL_cleanse when destroyed.
// Thread rule: like a plain value; distinct objects are independent.
class SecretBytes {
 public:
  // Empty; holds no memory.
  SecretBytes() = default;

  // Returns `size` zero bytes. Errors: kUnavailable when the secret arena is full.
  static Result<SecretBytes> OfSize(std::size_t size);
  // Returns a copy of `bytes`; the source stays the caller's to wipe. Errors: as OfSize.
  static Result<SecretBytes> CopyOf(ByteView bytes);

  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes();

  [[nodiscard]] Result<SecretBytes> Clone() const { return CopyOf(View()); }

  [[nodiscard]] ByteView View() const { return {data_, size_}; }
  [[nodiscard]] MutableByteView MutableView() { return {data_, size_}; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

  // Constant time in the contents.
  friend bool operator==(const SecretBytes& a, const SecretBytes& b) {
    return EqualInConstantTime(a.View(), b.View());
  }

 private:
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

// A growable buffer for callers' plaintext: ordinary memory (it may be megabytes), wiped before it
// is reused, grown or freed. For keys use SecretBytes.
class PlaintextBuffer {
 public:
  PlaintextBuffer() = default;
  PlaintextBuffer(PlaintextBuffer&& other) noexcept;
  PlaintextBuffer& operator=(PlaintextBuffer&& other) noexcept;
  PlaintextBuffer(const PlaintextBuffer&) = delete;
  PlaintextBuffer& operator=(const PlaintextBuffer&) = delete;
  ~PlaintextBuffer();

  // Wipes the old contents and returns `size` writable bytes of unspecified value.
  MutableByteView Reset(std::size_t size);
  // Keeps the first `size` bytes (size <= current size), wiping the rest.
  void Truncate(std::size_t size);
  // Wipes the contents; keeps the memory for the next use.
  void Wipe();

  [[nodiscard]] ByteView View() const { return {data_, size_}; }
  [[nodiscard]] MutableByteView MutableView() { return {data_, size_}; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  void Free();

  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace kms
