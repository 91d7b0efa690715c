// SPDX-License-Identifier: Apache-2.0
// Functions under test: Decode and Encode of kms::EnvironmentRecord, kms::PendingEnvironment and
// kms::RootRecord. Whatever decodes must encode to the very same bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "kms/operations/environment_record.h"

namespace {

template <typename Record>
void Check(kms::ByteView input) {
  const kms::Result<Record> record = Record::Decode(input);
  const bool good = record.has_value() ? std::ranges::equal(record->Encode(), input)
                                       : record.error().code == kms::ErrorCode::kCorrupted;
  if (!good) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const kms::ByteView input(data, size);
  Check<kms::EnvironmentRecord>(input);
  Check<kms::PendingEnvironment>(input);
  Check<kms::RootRecord>(input);
  return 0;
}
