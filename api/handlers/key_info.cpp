// SPDX-License-Identifier: Apache-2.0
// Renders KeyInfo in the order clients' examples show.
#include "api/handlers/key_info.h"

#include <cmath>
#include <vector>

#include "api/pipeline/json_writer.h"
#include "kms/crypto/certificate_chain.h"
#include "kms/crypto/key_export.h"
#include "kms/keys/key_type.h"
#include "kms/operations/signing_key.h"
#include "kms/operations/usage.h"

namespace kms::api {
namespace {

// What others verify with; "" for a derived key whose context is not told, and for one of which
// only the public half is known: nothing can be derived from that.
Result<std::string> PublicKeyOf(const Key& key, KeyVersionNumber version, ByteView context) {
  const AsymmetricKey* pair = key.FindAsymmetric(version);
  if (key.policy().derived && (context.empty() || !pair->has_private())) {
    return std::string();
  }
  return PublicKeyText(KMS_TRY(ChooseSigningKey(key, version, context)));
}

Status AppendVersionWithPublicKey(const Key& key, const KeyVersion& version, ByteView context,
                                  std::string& out) {
  JsonObject object(out);
  object.String("name", TraitsOf(key.policy().type).version_name);
  object.String("public_key", KMS_TRY(PublicKeyOf(key, version.number, context)));
  object.String("certificate_chain", RenderCertificateChain(version.certificate_chain));
  object.String("creation_time", ToRfc3339(version.created));
  object.Close();
  return Ok();
}

// "<hsm>:<key>", as it was given.
void AppendReferences(const Key& key, std::string& out) {
  JsonObject versions(out);
  for (const KeyVersion& version : key.versions()) {
    versions.String(std::to_string(version.number),
                    version.resident->hsm + ":" + version.resident->reference);
  }
  versions.Close();
}

Status AppendVersions(const Key& key, ByteView context, std::string& out) {
  if (key.policy().protection == KeyProtection::kExternal) {
    AppendReferences(key, out);
    return Ok();
  }
  const bool with_public_key = TraitsOf(key.policy().type).is_asymmetric();
  JsonObject versions(out);
  for (const KeyVersion& version : key.versions()) {
    const std::string number = std::to_string(version.number);
    if (with_public_key) {
      versions.Key(number);
      KMS_TRY(AppendVersionWithPublicKey(key, version, context, out));
    } else {
      versions.Integer(number, ToUnixSeconds(version.created));
    }
  }
  versions.Close();
  return Ok();
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

// Members of ours.
void AppendResidence(const Key& key, JsonObject& object) {
  const KeyPolicy& policy = key.policy();
  if (!policy.is_resident()) {
    return;
  }
  object.String("protection", "hsm");
  object.String("hsm", key.versions().back().resident->hsm);
  if (policy.protection == KeyProtection::kExternal) {
    object.String("external_key_type", TraitsOf(policy.type).name);
  }
}

std::string_view TypeNameOf(const KeyPolicy& policy) {
  return policy.protection == KeyProtection::kExternal ? "external-key"
                                                       : TraitsOf(policy.type).name;
}

void AppendImport(const KeyPolicy& policy, JsonObject& object) {
  object.Boolean("imported_key", policy.imported);
  if (policy.imported) {
    object.Boolean("imported_key_allow_rotation", policy.imported_allow_rotation);
  }
}

void AppendStamp(std::string_view name, const std::optional<TransferStamp>& stamp,
                 JsonObject& object, std::string& out) {
  if (!stamp) {
    return;
  }
  object.Key(name);
  JsonObject members(out);
  members.String("time", ToRfc3339(stamp->time));
  members.Integer("version", stamp->version);
  members.Close();
}

// A member of ours: encryptions per version, the limit, and how long it lasts at this rate.
void AppendUsages(std::span<const VersionUsage> usages, JsonObject& object, std::string& out) {
  if (usages.empty()) {
    return;
  }
  object.Key("usage");
  JsonObject versions(out);
  for (const VersionUsage& usage : usages) {
    versions.Key(std::to_string(usage.version));
    JsonObject members(out);
    members.Integer("encryptions", static_cast<std::int64_t>(usage.encryptions));
    members.Integer("limit", static_cast<std::int64_t>(usage.limit));
    members.Integer("encryptions_per_day", std::llround(usage.per_day));
    if (usage.days_left) {
      members.Integer("days_left", *usage.days_left);
    }
    members.Close();
  }
  versions.Close();
}

}  // namespace

Result<std::string> DescribeKey(Environment& environment, const Key& key, ByteView context) {
  const std::vector<VersionUsage> usages = KMS_TRY(DescribeUsage(environment, key));
  return RenderKeyInfo(key, context, usages);
}

Result<std::string> RenderKeyInfo(const Key& key, ByteView context,
                                  std::span<const VersionUsage> usages) {
  const KeyPolicy& policy = key.policy();
  const KeyTypeTraits& traits = TraitsOf(policy.type);
  std::string out;
  JsonObject object(out);
  object.String("name", policy.name);
  object.String("type", TypeNameOf(policy));
  object.Boolean("derived", policy.derived);
  object.Boolean("deletion_allowed", policy.deletion_allowed);
  object.Boolean("exportable", policy.exportable);
  object.Boolean("allow_plaintext_backup", policy.allow_plaintext_backup);
  object.Integer("min_available_version", policy.min_available_version);
  object.Integer("min_decryption_version", policy.min_decryption_version);
  object.Integer("min_encryption_version", policy.min_encryption_version);
  object.Integer("latest_version", policy.latest_version);
  object.Key("keys");
  KMS_TRY(AppendVersions(key, context, out));
  object.Boolean("supports_encryption", traits.supports_encryption);
  object.Boolean("supports_decryption", traits.supports_decryption);
  object.Boolean("supports_signing", traits.supports_signing);
  object.Boolean("supports_derivation", traits.supports_derivation && !policy.is_resident());
  object.Integer("auto_rotate_period", policy.auto_rotate_period_seconds);
  AppendImport(policy, object);
  object.Boolean("soft_deleted", policy.soft_deleted);
  if (policy.key_size != 0) {
    object.Integer("key_size", policy.key_size);
  }
  AppendDerivation(policy, object);
  AppendStamp("backup_info", policy.backup_info, object, out);
  AppendStamp("restore_info", policy.restore_info, object, out);
  AppendUsages(usages, object, out);
  AppendResidence(key, object);
  object.Close();
  return out;
}

}  // namespace kms::api
