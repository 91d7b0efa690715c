// SPDX-License-Identifier: Apache-2.0
// Renders KeyInfo in the order clients' examples show.
#include "api/handlers/key_info.h"

#include "api/pipeline/json_writer.h"
#include "kms/keys/key_type.h"

namespace kms::api {
namespace {

void AppendVersions(const Key& key, std::string& out) {
  JsonObject versions(out);
  for (const KeyVersion& version : key.versions()) {
    versions.Integer(std::to_string(version.number), ToUnixSeconds(version.created));
  }
  versions.Close();
}

void AppendDerivation(const KeyPolicy& policy, JsonObject& object) {
  if (!policy.derived) {
    return;
  }
  object.String("kdf", "hkdf_sha256");
  object.Boolean("convergent_encryption", policy.convergent_encryption);
  if (policy.convergent_encryption) {
    object.Integer("convergent_encryption_version", -1);
  }
}

}  // namespace

std::string RenderKeyInfo(const Key& key) {
  const KeyPolicy& policy = key.policy();
  const KeyTypeTraits& traits = TraitsOf(policy.type);
  std::string out;
  JsonObject object(out);
  object.String("name", policy.name);
  object.String("type", traits.name);
  object.Boolean("derived", policy.derived);
  object.Boolean("deletion_allowed", policy.deletion_allowed);
  object.Boolean("exportable", policy.exportable);
  object.Boolean("allow_plaintext_backup", policy.allow_plaintext_backup);
  object.Integer("min_available_version", policy.min_available_version);
  object.Integer("min_decryption_version", policy.min_decryption_version);
  object.Integer("min_encryption_version", policy.min_encryption_version);
  object.Integer("latest_version", policy.latest_version);
  object.Key("keys");
  AppendVersions(key, out);
  object.Boolean("supports_encryption", traits.supports_encryption);
  object.Boolean("supports_decryption", traits.supports_decryption);
  object.Boolean("supports_signing", traits.supports_signing);
  object.Boolean("supports_derivation", traits.supports_derivation);
  object.Integer("auto_rotate_period", policy.auto_rotate_period_seconds);
  object.Boolean("imported_key", false);
  object.Boolean("soft_deleted", false);
  AppendDerivation(policy, object);
  object.Close();
  return out;
}

}  // namespace kms::api
