// SPDX-License-Identifier: Apache-2.0
// main of every test program: secret memory first, as in kmsd.
#include <gmock/gmock.h>

#include <cstdio>

#include "kms/base/secret_bytes.h"

#if defined(__SANITIZE_ADDRESS__)
#include <openssl/crypto.h>
#include <sanitizer/lsan_interface.h>

#include <cinttypes>

namespace {

// OpenSSL keeps random generators in the secret arena, which LeakSanitizer does not search by
// itself: what only they point to would count as leaked.
void ShowSecretMemoryToLeakSanitizer() {
  void* inside = OPENSSL_secure_malloc(1);
  const auto address = reinterpret_cast<std::uintptr_t>(inside);
  std::FILE* maps = std::fopen("/proc/self/maps", "r");
  char line[512];
  while (maps != nullptr && std::fgets(line, sizeof(line), maps) != nullptr) {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    if (std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &begin, &end) == 2 && begin <= address &&
        address < end) {
      __lsan_register_root_region(reinterpret_cast<void*>(begin), end - begin);
    }
  }
  if (maps != nullptr) {
    std::fclose(maps);
  }
  OPENSSL_secure_free(inside);
}

}  // namespace
#endif

int main(int argc, char** argv) {
  const kms::Status prepared = kms::InitializeSecretMemory();
  if (!prepared.has_value()) {
    std::fprintf(stderr, "%s\n", kms::Describe(prepared.error()).c_str());
    return 1;
  }
#if defined(__SANITIZE_ADDRESS__)
  ShowSecretMemoryToLeakSanitizer();
#endif
  testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
