// SPDX-License-Identifier: Apache-2.0
// Stored: format(1) = 1 | key(32)
#include "kms/backup/digest_key.h"

#include <algorithm>
#include <utility>

#include "kms/base/random.h"
#include "kms/store/set_digest.h"

namespace kms {

namespace {

constexpr std::string_view kPath = "digest-key";
constexpr std::uint8_t kFormat = 1;

}  // namespace

Result<std::optional<SecretBytes>> ReadDigestKey(SealedStore& sys) {
  const std::optional<OpenedEntry> entry = KMS_TRY(sys.Get(kPath));
  if (!entry) {
    return std::optional<SecretBytes>();
  }
  const ByteView stored = entry->value.View();
  if (stored.size() != 1 + SetDigest::kKeyBytes || stored[0] != kFormat) {
    return Corrupted("the key of the store's digest has a format that this release does not know");
  }
  return std::optional(KMS_TRY(SecretBytes::CopyOf(stored.subspan(1))));
}

Result<SecretBytes> EnsureDigestKey(SealedStore& sys) {
  std::optional<SecretBytes> known = KMS_TRY(ReadDigestKey(sys));
  if (known) {
    return *std::move(known);
  }
  SecretBytes stored = KMS_TRY(SecretBytes::OfSize(1 + SetDigest::kKeyBytes));
  stored.MutableView()[0] = kFormat;
  FillRandom(stored.MutableView().subspan(1));
  std::vector<SealedMutation> mutations;
  mutations.push_back(
      {.path = std::string(kPath), .value = KMS_TRY(stored.Clone()), .expected_revision = 0});
  KMS_TRY(sys.Commit(std::move(mutations)));
  return SecretBytes::CopyOf(stored.View().subspan(1));
}

}  // namespace kms
