// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/create_key.h"

#include <utility>

#include "kms/operations/key_storage.h"
#include "kms/operations/resident_census.h"
#include "kms/operations/resident_versions.h"

namespace kms {

namespace {

Status CheckDerivation(const CreateKeyRequest& request, const KeyTypeTraits& traits) {
  const std::string name(traits.name);
  if (request.derived && !traits.supports_derivation) {
    return InvalidArgument(
        "key derivation and convergent encryption not supported for keys of type " + name);
  }
  if (request.convergent_encryption && !traits.supports_convergent) {
    return InvalidArgument("convergent encryption not supported for keys of type " + name);
  }
  return Ok();
}

// The bytes of an hmac key; 0 for other types.
Result<std::uint32_t> CheckedKeySize(const CreateKeyRequest& request,
                                     const KeyTypeTraits& traits) {
  const bool sized = traits.family == KeyFamily::kHmac;
  if (!sized && request.key_size != 0) {
    return InvalidArgument("key_size is not valid for algorithm " + std::string(traits.name));
  }
  const bool fits = request.key_size >= std::int64_t{kMinHmacKeySize} &&
                    request.key_size <= std::int64_t{kMaxHmacKeySize};
  if (request.key_size != 0 && !fits) {
    return InvalidArgument("invalid key_size " + std::to_string(request.key_size));
  }
  if (sized && request.key_size == 0) {
    return std::uint32_t{kMinHmacKeySize};
  }
  return static_cast<std::uint32_t>(request.key_size);
}

// A key that cannot leave its token is neither derived nor shown to anybody.
Status CheckResidence(const CreateKeyRequest& request) {
  if (request.protection == KeyProtection::kSoftware) {
    return Ok();
  }
  const bool external = request.protection == KeyProtection::kExternal;
  const std::string kind = external ? "external keys" : "keys protected by an HSM";
  if (!ResidentTypeOf(request.type).has_value()) {
    return InvalidArgument("key type " + std::string(TraitsOf(request.type).name) +
                           " cannot be protected by an HSM; choose aes256-gcm96, rsa-2048, "
                           "rsa-3072, rsa-4096, ecdsa-p256, ecdsa-p384 or ecdsa-p521");
  }
  if (request.derived || request.convergent_encryption) {
    return InvalidArgument("key derivation and convergent encryption not supported for " + kind);
  }
  if (request.exportable || request.allow_plaintext_backup) {
    return InvalidArgument(kind + " cannot be exportable or backed up: they never leave the HSM");
  }
  if (external && request.auto_rotate_period_seconds != 0) {
    return InvalidArgument("cannot enable auto-rotation with external keys");
  }
  return Ok();
}

Result<KeyPolicy> PolicyFor(const KeyName& name, const CreateKeyRequest& request) {
  if (request.auto_rotate_period_seconds != 0 && request.auto_rotate_period_seconds < 3600) {
    return InvalidArgument("auto rotate period must be 0 to disable or at least an hour");
  }
  if (request.convergent_encryption && !request.derived) {
    return InvalidArgument("convergent encryption requires derivation to be enabled");
  }
  const KeyTypeTraits& traits = TraitsOf(request.type);
  const std::uint32_t key_size = KMS_TRY(CheckedKeySize(request, traits));
  KMS_TRY(CheckResidence(request));
  KMS_TRY(CheckDerivation(request, traits));
  return KeyPolicy{
      .name = name.text(),
      .incarnation = Uuid::Random(),
      .type = request.type,
      .derived = request.derived,
      .convergent_encryption = request.convergent_encryption,
      .exportable = request.exportable,
      .allow_plaintext_backup = request.allow_plaintext_backup,
      .auto_rotate_period_seconds = request.auto_rotate_period_seconds,
      .key_size = key_size,
      .backup_info = {},
      .restore_info = {},
      .protection = request.protection,
  };
}

Result<KeyHandle> StoreFirstVersion(Environment& environment, KeyPolicy policy, KeyVersion first,
                                    std::vector<SealedMutation> archive) {
  archive.push_back(KMS_TRY(ArchiveVersion(policy.incarnation, first)));
  std::vector<KeyVersion> versions;
  versions.push_back(std::move(first));
  Key key = KMS_TRY(Key::Create(std::move(policy), std::move(versions)));
  return StoreKey(environment, std::move(key), 0, std::move(archive));
}

Result<CreateKeyOutcome> StoreUnlessPresent(Environment& environment, const KeyName& name,
                                            KeyPolicy policy, KeyVersion first,
                                            std::vector<SealedMutation> more) {
  const ScopedLock lock(environment.KeyWriteMutex(name.text()));
  // It may have been created meanwhile, here or by another node.
  if (KeyHandle existing = KMS_TRY(environment.FindKey(name)); existing != nullptr) {
    return CreateKeyOutcome{.key = std::move(existing), .already_existed = true};
  }
  Result<KeyHandle> created =
      StoreFirstVersion(environment, std::move(policy), std::move(first), std::move(more));
  if (created.has_value() || created.error().code != ErrorCode::kConflict) {
    return CreateKeyOutcome{.key = KMS_TRY(std::move(created))};
  }
  KeyHandle existing = KMS_TRY(environment.FindKey(name));
  if (existing == nullptr) {
    return std::move(created).error();
  }
  return CreateKeyOutcome{.key = std::move(existing), .already_existed = true};
}

Result<CreateKeyOutcome> StoreDraft(Environment& environment, const KeyName& name,
                                    const KeyPolicy& policy, ResidentDraft draft) {
  const std::string hsm = draft.version.resident->hsm;
  std::vector<SealedMutation> more;
  more.push_back(std::move(draft.entry));
  auto outcome = StoreUnlessPresent(environment, name, policy, std::move(draft.version),
                                    std::move(more));
  // What the store may have taken stays; the sweep judges it later.
  const bool stored = outcome.has_value() ? !outcome->already_existed
                                          : outcome.error().code == ErrorCode::kOutcomeUnknown;
  if (!stored) {
    IgnoreError(DiscardResidentKey(environment, policy.incarnation, 1, hsm),
                "what is left is swept later");
  }
  return outcome;
}

Result<CreateKeyOutcome> CreateInHsm(Environment& environment, const KeyName& name,
                                     const CreateKeyRequest& request, const KeyPolicy& policy) {
  const auto turn = KMS_TRY(TakeMakingTurn(environment));
  // Nothing is made in vain for whoever waited.
  if (KeyHandle existing = KMS_TRY(environment.FindKey(name)); existing != nullptr) {
    return CreateKeyOutcome{.key = std::move(existing), .already_existed = true};
  }
  ResidentDraft draft = KMS_TRY(MakeResidentVersion(environment, policy, 1, request.hsms));
  return StoreDraft(environment, name, policy, std::move(draft));
}

Result<CreateKeyOutcome> CreateExternal(Environment& environment, const KeyName& name,
                                        CreateKeyRequest request) {
  if (request.external_key_ref.empty()) {
    return InvalidArgument("must provide external_key_ref to create policy of type external-key");
  }
  request.type = KeyType::kAes256Gcm96;  // any that passes; the key's own takes its place
  KeyPolicy policy = KMS_TRY(PolicyFor(name, request));
  if (KeyHandle existing = KMS_TRY(environment.FindKey(name)); existing != nullptr) {
    return CreateKeyOutcome{.key = std::move(existing), .already_existed = true};
  }
  ResidentVersion found = KMS_TRY(FindExternalKey(environment, request.external_key_ref));
  policy.type = KeyTypeOf(found.record.type);
  ResidentDraft draft =
      KMS_TRY(DraftExternalVersion(environment, policy, 1, std::move(found)));
  return StoreDraft(environment, name, policy, std::move(draft));
}

}  // namespace

Result<CreateKeyOutcome> CreateKey(Environment& environment, const KeyName& name,
                                   const CreateKeyRequest& request) {
  if (request.protection == KeyProtection::kExternal) {
    return CreateExternal(environment, name, request);
  }
  KeyPolicy policy = KMS_TRY(PolicyFor(name, request));
  if (KeyHandle existing = KMS_TRY(environment.FindKey(name)); existing != nullptr) {
    return CreateKeyOutcome{.key = std::move(existing), .already_existed = true};
  }
  if (policy.is_resident()) {
    return CreateInHsm(environment, name, request, policy);
  }
  KeyVersion first = KMS_TRY(
      KeyVersion::Generate(policy.type, 1, environment.clock().Now(), policy.key_size));
  return StoreUnlessPresent(environment, name, std::move(policy), std::move(first), {});
}

}  // namespace kms
