// SPDX-License-Identifier: Apache-2.0
#include "kms/base/secret_bytes.h"
#include "kms/base/vector_registers.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace kms {

namespace {

// The smallest block the secure heap hands out; 32-byte keys waste nothing.
constexpr std::size_t kMinimumBlockBytes = 32;

}  // namespace

Status InitializeSecretMemory(std::size_t arena_bytes) {
  if (CRYPTO_secure_malloc_initialized() == 1) {
    return Ok();
  }
  // 1 = locked and guarded; 2 = pages are not locked; 0 = failed.
  const int outcome = CRYPTO_secure_malloc_init(arena_bytes, kMinimumBlockBytes);
  if (outcome == 1) {
    return Ok();
  }
  return FailedPrecondition(
      "secret memory cannot be locked: raise the memlock limit (ulimit -l, LimitMEMLOCK=) to at "
      "least " + std::to_string(arena_bytes / 1024) + " KiB",
      "CRYPTO_secure_malloc_init returned " + std::to_string(outcome));
}

Result<SecretBytes> SecretBytes::OfSize(std::size_t size) {
  SecretBytes secret;
  if (size == 0) {
    return secret;
  }
  if (CRYPTO_secure_malloc_initialized() != 1) {
    return Internal("InitializeSecretMemory was not called");
  }
  void* memory = OPENSSL_secure_zalloc(size);
  if (memory == nullptr || CRYPTO_secure_allocated(memory) != 1) {
    OPENSSL_secure_clear_free(memory, size);
    return Unavailable("secret memory is exhausted", "secure heap is full");
  }
  secret.data_ = static_cast<std::uint8_t*>(memory);
  secret.size_ = size;
  return secret;
}

Result<SecretBytes> SecretBytes::CopyOf(ByteView bytes) {
  SecretBytes secret = KMS_TRY(OfSize(bytes.size()));
  std::ranges::copy(bytes, secret.MutableView().begin());
  ClearVectorRegisters();
  return secret;
}

SecretBytes::SecretBytes(SecretBytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

SecretBytes::~SecretBytes() { OPENSSL_secure_clear_free(data_, size_); }

PlaintextBuffer::PlaintextBuffer(PlaintextBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      capacity_(std::exchange(other.capacity_, 0)) {}

PlaintextBuffer& PlaintextBuffer::operator=(PlaintextBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(capacity_, other.capacity_);
  return *this;
}

PlaintextBuffer::~PlaintextBuffer() { Free(); }

MutableByteView PlaintextBuffer::Reset(std::size_t size) {
  Wipe();
  if (size > capacity_) {
    Free();
    const std::size_t capacity = std::max(size, std::size_t{256});
    data_ = static_cast<std::uint8_t*>(std::malloc(capacity));  // NOLINT: freed in Free()
    if (data_ == nullptr) {
      std::abort();  // out of memory terminates, like every other allocation
    }
    capacity_ = capacity;
  }
  size_ = size;
  return {data_, size_};
}

void PlaintextBuffer::Truncate(std::size_t size) {
  if (size < size_) {
    OPENSSL_cleanse(data_ + size, size_ - size);
    size_ = size;
  }
}

void PlaintextBuffer::Wipe() {
  if (size_ != 0) {
    OPENSSL_cleanse(data_, size_);
    size_ = 0;
  }
}

void PlaintextBuffer::Free() {
  Wipe();
  std::free(data_);  // NOLINT: allocated in Reset()
  data_ = nullptr;
  capacity_ = 0;
}

}  // namespace kms
