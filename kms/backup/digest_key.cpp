// SPDX-License-Identifier: Apache-2.0
// Stored: format(1) = 1 | key(32)
#include "kms/backup/digest_key.h"

#include <algorithm>
#include <utility>

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

Status StoreDigestKey(SealedStore& sys, const SecretBytes& key) {
  SecretBytes stored = KMS_TRY(SecretBytes::OfSize(1 + key.size()));
  stored.MutableView()[0] = kFormat;
  std::ranges::copy(key.View(), stored.MutableView().begin() + 1);
  std::vector<SealedMutation> mutations;
  mutations.push_back(
      {.path = std::string(kPath), .value = std::move(stored), .expected_revision = 0});
  KMS_TRY(sys.Commit(std::move(mutations)));
  return Ok();
}

}  // namespace kms
