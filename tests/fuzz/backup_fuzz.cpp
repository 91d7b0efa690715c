// SPDX-License-Identifier: Apache-2.0
// Functions under test: kms::BackupHeadBytes, kms::DecodeBackupHead, and Decode and Encode of
// kms::BackupHeader, kms::BackupRecord, kms::EpochRecord and kms::AcceptedRollback. Whatever decodes
// must encode to the very same bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "kms/backup/backup_header.h"
#include "kms/backup/epochs.h"
#include "kms/backup/store_guard.h"
#include "kms/crypto/backup_envelope.h"

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
  const kms::Result<kms::BackupEnvelope> envelope = kms::DecodeBackupHead(input);
  if (envelope.has_value() && envelope->header.size() + kms::kBackupFixedBytes > size) {
    std::abort();
  }
  Check<kms::BackupHeader>(input);
  Check<kms::BackupRecord>(input);
  Check<kms::EpochRecord>(input);
  Check<kms::AcceptedRollback>(input);
  return 0;
}
