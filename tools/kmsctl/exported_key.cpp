// SPDX-License-Identifier: Apache-2.0
// Reads the export encodings of transit-api 5.9 and writes the backup of 5.10.
#include "tools/kmsctl/exported_key.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "kms/base/base64.h"
#include "kms/crypto/key_import.h"
#include "kms/crypto/private_key_text.h"
#include "kms/keys/key_backup.h"
#include "tools/kmsctl/json_member.h"

namespace kms::tools {

namespace {

using Json = nlohmann::json;

Error Unusable(const std::string& why) { return FailedPrecondition(why); }

Result<SecretBytes> DecodeSecret(std::string_view base64) {
  SecretBytes room = KMS_TRY(SecretBytes::OfSize(Base64DecodedBound(base64.size())));
  const auto size = Base64DecodeInto(base64, room.MutableView());
  if (!size.has_value()) {
    return Unusable("an exported key is not base64");
  }
  return SecretBytes::CopyOf(room.View().first(*size));
}

// The object of a version among `keys` of the key object; null for keys that only have a time.
const Json& ShownVersion(const Json& key, const std::string& number) {
  static const Json kNothing = Json::object();
  const auto keys = key.find("keys");
  if (keys == key.end() || !keys->is_object()) {
    return kNothing;
  }
  const auto found = keys->find(number);
  return found == keys->end() ? kNothing : *found;
}

WallTime CreationTime(const Json& shown) {
  if (shown.is_number_integer()) {
    return WallTime(std::chrono::seconds(shown.get<std::int64_t>()));
  }
  return shown.is_object() ? ParseRfc3339(TextOf(shown, "creation_time")).value_or(WallTime())
                           : WallTime();
}

Result<SecretBytes> PrivateKeyInfoOf(const KeyTypeTraits& traits, std::string_view text) {
  if (traits.family != KeyFamily::kEd25519) {
    return PrivateKeyInfoFromPem(text);
  }
  const SecretBytes key = KMS_TRY(DecodeSecret(text));
  return PrivateKeyInfoFromEd25519(key.View());
}

Result<AsymmetricKey> PairOf(const KeyTypeTraits& traits, std::string_view text,
                             const Json& shown) {
  const std::string_view public_key = TextOf(shown, "public_key");
  if (text.empty()) {  // only the public half is known
    return ImportPublicKey(traits.asymmetric, public_key);
  }
  const SecretBytes pkcs8 = KMS_TRY(PrivateKeyInfoOf(traits, text));
  return ImportPrivateKey(traits.asymmetric, pkcs8.View());
}

Result<KeyVersion> VersionOf(const KeyTypeTraits& traits, std::string_view text,
                             const Json& shown) {
  if (traits.is_asymmetric()) {
    return KeyVersion::FromAsymmetricKey(0, {}, KMS_TRY(PairOf(traits, text, shown)));
  }
  return KeyVersion::FromRawKey(traits.type, 0, {}, KMS_TRY(DecodeSecret(text)));
}

Result<std::vector<KeyVersion>> ReadVersions(const ExportedKey& exported,
                                             const KeyTypeTraits& traits) {
  const bool hmac = traits.family == KeyFamily::kHmac;
  const Json& material = hmac ? exported.hmac_material : exported.material;
  std::vector<KeyVersion> versions;
  for (const auto& [number, text] : material.items()) {
    KeyVersionNumber parsed = 0;
    const auto [end, code] = std::from_chars(number.data(), number.data() + number.size(), parsed);
    if (code != std::errc() || end != number.data() + number.size() || !text.is_string()) {
      return Unusable("the server's export is not a map of versions");
    }
    const Json& shown = ShownVersion(exported.key, number);
    KeyVersion version =
        KMS_TRY(VersionOf(traits, text.get_ref<const std::string&>(), shown));
    version.number = parsed;
    version.created = CreationTime(shown);
    if (const std::string_view own = TextOf(exported.hmac_material, number.c_str());
        !hmac && !own.empty()) {
      version.hmac_key = KMS_TRY(DecodeSecret(own));
    }
    versions.push_back(std::move(version));
  }
  std::ranges::sort(versions, {}, &KeyVersion::number);
  return versions;
}

Result<KeyPolicy> ReadPolicy(const Json& key, KeyType type,
                             const std::vector<KeyVersion>& versions) {
  KeyPolicy policy;
  policy.name = TextOf(key, "name");
  policy.type = type;
  policy.derived = BooleanOf(key, "derived");
  policy.convergent_encryption = BooleanOf(key, "convergent_encryption");
  policy.exportable = true;
  policy.deletion_allowed = BooleanOf(key, "deletion_allowed");
  policy.auto_rotate_period_seconds = IntegerOf(key, "auto_rotate_period");
  policy.latest_version = static_cast<KeyVersionNumber>(IntegerOf(key, "latest_version"));
  policy.min_encryption_version =
      static_cast<KeyVersionNumber>(IntegerOf(key, "min_encryption_version"));
  const KeyVersionNumber first = versions.front().number;
  policy.min_decryption_version = first;
  if (first > 1) {  // older ones stay behind: such a key is a trimmed one
    policy.min_available_version = first;
    policy.min_encryption_version = std::max(policy.min_encryption_version, first);
  }
  if (type == KeyType::kHmac) {
    policy.key_size = static_cast<std::uint32_t>(versions.front().material.size());
  }
  policy.imported = BooleanOf(key, "imported_key");
  policy.imported_allow_rotation =
      policy.imported && BooleanOf(key, "imported_key_allow_rotation");
  if (policy.derived && TextOf(key, "kdf") != "hkdf_sha256") {
    return Unusable("its derivation function is not offered here");
  }
  return policy;
}

Status CheckComplete(const KeyPolicy& policy, const std::vector<KeyVersion>& versions) {
  if (versions.back().number != policy.latest_version ||
      versions.size() != policy.latest_version - versions.front().number + 1) {
    return Unusable("the server's export has gaps");
  }
  return Ok();
}

}  // namespace

Result<std::string> BlobOfExport(const ExportedKey& exported) {
  const std::string_view type_name = TextOf(exported.key, "type");
  const std::optional<KeyType> type = FindKeyType(type_name);
  if (!type.has_value()) {
    return Unusable("key type " + std::string(type_name) + " is not offered here");
  }
  const std::vector<KeyVersion> versions = KMS_TRY(ReadVersions(exported, TraitsOf(*type)));
  if (versions.empty()) {
    return Unusable("the server exported no version");
  }
  const KeyPolicy policy = KMS_TRY(ReadPolicy(exported.key, *type, versions));
  KMS_TRY(CheckComplete(policy, versions));
  return EncodeBackupBlob(policy, versions);
}

}  // namespace kms::tools
