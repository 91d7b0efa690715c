// SPDX-License-Identifier: Apache-2.0
// main of every test program: secret memory first, as in kmsd.
#include <gmock/gmock.h>

#include <cstdio>

#include "kms/base/secret_bytes.h"

int main(int argc, char** argv) {
  const kms::Status prepared = kms::InitializeSecretMemory();
  if (!prepared.has_value()) {
    std::fprintf(stderr, "%s\n", kms::Describe(prepared.error()).c_str());
    return 1;
  }
  testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
