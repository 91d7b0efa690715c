// SPDX-License-Identifier: Apache-2.0
// Functions under test: Decode and Encode of kms::EnvironmentRecord, kms::PendingEnvironment and
// kms::RootRecord. Whatever decodes must encode to the very same bytes; records of an earlier
// format to those of the newest, which are their own encoding.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "kms/operations/environment_record.h"

namespace {

void Require(bool good) {
  if (!good) {
    std::abort();
  }
}

template <typename Record>
void Check(kms::ByteView input) {
  const kms::Result<Record> record = Record::Decode(input);
  if (!record) {
    Require(record.error().code == kms::ErrorCode::kCorrupted);
    return;
  }
  const kms::Bytes encoded = record->Encode();
  constexpr std::size_t kFormatOffset = 1;
  if (input[kFormatOffset] == encoded[kFormatOffset]) {
    Require(std::ranges::equal(encoded, input));
    return;
  }
  Require(input[kFormatOffset] < encoded[kFormatOffset]);
  const kms::Result<Record> again = Record::Decode(encoded);
  Require(again.has_value() && std::ranges::equal(again->Encode(), encoded));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const kms::ByteView input(data, size);
  Check<kms::EnvironmentRecord>(input);
  Check<kms::PendingEnvironment>(input);
  Check<kms::RootRecord>(input);
  return 0;
}
