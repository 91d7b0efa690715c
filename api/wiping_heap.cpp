// SPDX-License-Identifier: Apache-2.0
// Wipes every byte of the heap when it is freed (failures C20): parsers and strings of libraries
// copy a caller's plaintext into memory that nobody of ours can reach to wipe it.
//
// Defined for the service alone, and not under sanitizers, which keep and judge freed memory
// themselves. The array forms and those with std::nothrow end here too, as the standard has it.
#include <malloc.h>
#include <openssl/crypto.h>

#include <cstddef>
#include <cstdlib>
#include <new>

#ifdef __has_feature  // clang's way to say it
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define KMS_SANITIZED_HEAP
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KMS_SANITIZED_HEAP
#endif

#ifndef KMS_SANITIZED_HEAP

void operator delete(void* memory) noexcept {
  if (memory != nullptr) {
    OPENSSL_cleanse(memory, ::malloc_usable_size(memory));
    std::free(memory);
  }
}

void operator delete(void* memory, std::size_t /*size*/) noexcept { ::operator delete(memory); }

#endif
