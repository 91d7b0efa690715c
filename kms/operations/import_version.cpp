// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/import_version.h"

#include <string>
#include <utility>

#include "kms/base/bytes.h"
#include "kms/operations/key_storage.h"
#include "kms/operations/replace_version.h"
#include "kms/operations/usable_key.h"

namespace kms {

namespace {

// A version can be added again to whatever someone else made of the key meanwhile.
constexpr int kAttempts = 4;

bool IsPublicOnly(const KeyVersion& version) {
  return version.material.empty() && !version.public_key.empty();
}

Status CheckTarget(const Key& key, const ImportVersionRequest& request) {
  const std::int64_t number = *request.version;
  const KeyVersion* version = number < 1 || number > std::int64_t{key.policy().latest_version}
                                  ? nullptr
                                  : key.FindVersion(static_cast<KeyVersionNumber>(number));
  if (version == nullptr) {
    return InvalidArgument("no such key version");
  }
  if (!TraitsOf(key.policy().type).is_asymmetric()) {
    return InvalidArgument("provided type does not support importing key versions");
  }
  if (!IsPublicOnly(*version)) {
    return InvalidArgument("private key imported, key version cannot be updated");
  }
  if (!request.source.is_private()) {
    return InvalidArgument(
        "cannot add a public key to a key version that already has a public key set");
  }
  return Ok();
}

Status CheckKey(const Key* key, const KeyName& name, const ImportVersionRequest& request) {
  if (key == nullptr) {
    return InvalidArgument("no key found with name " + name.text() +
                           "; to import a new key, use the import/ endpoint");
  }
  KMS_TRY(CheckUsable(*key));
  const KeyPolicy& policy = key->policy();
  if (!policy.imported) {
    return InvalidArgument("the import_version endpoint can only be used with an imported key");
  }
  if (policy.convergent_encryption) {
    return InvalidArgument(
        "import_version cannot be used on keys with convergent encryption enabled");
  }
  if (policy.derived && !request.source.is_private()) {
    return InvalidArgument("a derived key cannot be imported by its public half alone");
  }
  return request.version ? CheckTarget(*key, request) : Ok();
}

// The version that `material` completes; nullptr when it is a new one.
Result<const KeyVersion*> FindHalf(const Key& key, const ImportVersionRequest& request,
                                   const KeyVersion& material) {
  const KeyVersionNumber number = request.version ? static_cast<KeyVersionNumber>(*request.version)
                                                  : key.policy().latest_version;
  const KeyVersion* half = key.FindVersion(number);
  const bool matches = half->public_key == material.public_key;
  if (request.version && !matches) {
    return InvalidArgument("cannot import key, key pair does not match");
  }
  const bool completes = matches && IsPublicOnly(*half) && !material.material.empty();
  return completes ? half : nullptr;
}

Result<KeyHandle> Complete(Environment& environment, const LoadedKey& loaded,
                           const KeyVersion& half, const KeyVersion& material) {
  KeyVersion whole = KMS_TRY(half.Clone());
  whole.material = KMS_TRY(material.material.Clone());
  return ReplaceVersion(environment, loaded, whole);
}

Result<KeyHandle> Append(Environment& environment, const LoadedKey& loaded,
                         const KeyVersion& material) {
  KeyPolicy policy = loaded.key->policy();
  // The last number is what "keep nothing" is spelled as in the archive.
  if (policy.latest_version >= kKeepNothing - 1) {
    return MakeError(ErrorCode::kResourceExhausted, "the key has no version number left");
  }
  ++policy.latest_version;
  std::vector<KeyVersion> versions;
  for (const KeyVersion& version : loaded.key->versions()) {
    versions.push_back(KMS_TRY(version.Clone()));
  }
  versions.push_back(KMS_TRY(material.Clone()));
  versions.back().number = policy.latest_version;
  std::vector<SealedMutation> archive;
  archive.push_back(KMS_TRY(ArchiveVersion(policy.incarnation, versions.back())));
  Key next = KMS_TRY(Key::Create(std::move(policy), std::move(versions)));
  return StoreKey(environment, std::move(next), loaded.revision, std::move(archive));
}

// `incarnation` is that of the key for which the material was judged.
Result<ImportVersionOutcome> StoreOnce(Environment& environment, const KeyName& name,
                                       const ImportVersionRequest& request, const Uuid& incarnation,
                                       const KeyVersion& material) {
  const std::optional<LoadedKey> loaded = KMS_TRY(LoadKey(environment, name.text()));
  KMS_TRY(CheckKey(loaded ? loaded->key.get() : nullptr, name, request));
  if (loaded->key->policy().incarnation != incarnation) {
    return Conflict("the key was replaced meanwhile");
  }
  const KeyVersion* half = KMS_TRY(FindHalf(*loaded->key, request, material));
  if (half != nullptr) {
    return ImportVersionOutcome{.key = KMS_TRY(Complete(environment, *loaded, *half, material)),
                                .version = half->number};
  }
  KeyHandle key = KMS_TRY(Append(environment, *loaded, material));
  const KeyVersionNumber number = key->policy().latest_version;
  return ImportVersionOutcome{.key = std::move(key), .version = number};
}

}  // namespace

Result<ImportVersionOutcome> ImportVersion(Environment& environment, MasterKeyDevice& device,
                                           const KeyName& name,
                                           const ImportVersionRequest& request) {
  const KeyHandle key = KMS_TRY(environment.FindKey(name));
  KMS_TRY(CheckKey(key.get(), name, request));
  const KeyPolicy& policy = key->policy();
  const KeyVersion material = KMS_TRY(ReadImport(
      environment, device, request.source, {.type = policy.type, .hmac_bytes = policy.key_size}));
  const ScopedLock lock(environment.KeyWriteMutex(name.text()));
  for (int attempt = 1;; ++attempt) {
    Result<ImportVersionOutcome> outcome =
        StoreOnce(environment, name, request, policy.incarnation, material);
    const bool again = !outcome.has_value() && outcome.error().code == ErrorCode::kConflict;
    if (!again || attempt == kAttempts) {
      return outcome;
    }
  }
}

}  // namespace kms
