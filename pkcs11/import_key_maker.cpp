// SPDX-License-Identifier: Apache-2.0
// Making import keys. What a token can is found out with the very key, never by its list.
#include "pkcs11/import_key_maker.h"

#include <algorithm>
#include <array>
#include <utility>

namespace kms::pkcs11 {
namespace {

constexpr std::array kExtrasToTry = {ExtraAttributes::kUnmodifiableAndOneMechanism,
                                     ExtraAttributes::kNone};

// With these a token says that it makes no such key; others mean a trouble of the moment.
constexpr CK_RV kNoSuchKey[] = {
    CKR_MECHANISM_INVALID,      CKR_MECHANISM_PARAM_INVALID, CKR_FUNCTION_NOT_SUPPORTED,
    CKR_FUNCTION_REJECTED,      CKR_KEY_SIZE_RANGE,          CKR_ATTRIBUTE_VALUE_INVALID,
    CKR_ATTRIBUTE_TYPE_INVALID, CKR_TEMPLATE_INCONSISTENT,   CKR_TEMPLATE_INCOMPLETE,
};

// A step was refused, as far as a return value tells: another way may be tried.
bool IsRefusal(const Rv& rv) {
  return rv.kind() == RvKind::kPolicy || rv.kind() == RvKind::kAmbiguous;
}

// Some tokens fail vaguely at a size that their own list denies.
bool ListDeniesSize(const Connection& connection) {
  CK_MECHANISM_INFO info{};
  const CK_RV rv = connection.module().functions().C_GetMechanismInfo(
      connection.facts().slot, CKM_RSA_PKCS_KEY_PAIR_GEN, &info);
  return rv == CKR_MECHANISM_INVALID || (rv == CKR_OK && info.ulMaxKeySize < kImportKeyBits);
}

bool CannotMake(const Connection& connection, const Rv& rv) {
  return std::ranges::find(kNoSuchKey, rv.value) != std::end(kNoSuchKey) ||
         (rv.kind() == RvKind::kAmbiguous && ListDeniesSize(connection));
}

std::int64_t UnixNow() { return ToUnixSeconds(SystemClock().Now()); }

}  // namespace

Result<std::optional<ImportKeyRecord>> ImportKeyMaker::AdoptOrMake(Deadline deadline) {
  using Outcome = std::optional<ImportKeyRecord>;
  const Rv present = connection_.CheckPresent();
  if (!present.ok()) return call_.Fail(present);
  auto key = KMS_TRY(Find());
  const bool adopted = key.has_value();
  if (!adopted) {
    const bool made = KMS_TRY(Make());
    if (!made) return Outcome();
    key = KMS_TRY(Find());
    if (!key.has_value()) return call_.Fail({CKR_DEVICE_ERROR, "C_FindObjects: a key is lost"});
  }
  const Status good = Check(*key);
  if (!good.has_value()) {
    if (!adopted) IgnoreError(Destroy(deadline), "the refusal is what matters");
    return good.error();
  }
  ImportKeyRecord record{.id = wanted_.id,
                         .label = wanted_.label,
                         .token_label = connection_.facts().label,
                         .token_serial = connection_.facts().serial,
                         .module_description = connection_.module_description(),
                         .public_key = key->public_key,
                         .places = {},
                         .created_unix_seconds = UnixNow()};
  KMS_TRY(FindPlaces(*key, record));
  if (record.PlaceOf(HashAlgorithm::kSha2_256) == OaepPlace::kNowhere) {
    KMS_TRY(Destroy(deadline));
    return Outcome();
  }
  ScopedLock exclusive(connection_.objects());
  KMS_TRY(connection_.BackUp(deadline));
  return Outcome(std::move(record));
}

Result<std::optional<ImportKeyObject>> ImportKeyMaker::Find() {
  ScopedSharedLock shared(connection_.objects());
  auto key = KMS_TRY(FindImportKey(call_, wanted_.id));
  if (!key.has_value()) KMS_TRY(RequireLogin(call_));
  return key;
}

Result<bool> ImportKeyMaker::Make() {
  const auto fresh = KMS_TRY(Generate(/*in_token=*/false));
  if (fresh.has_value()) {
    const bool copied = KMS_TRY(Copy(fresh->handle));
    if (copied) return true;
  }
  const auto made = KMS_TRY(Generate(/*in_token=*/true));
  return made.has_value();
}

Result<std::optional<ImportKeyMaker::SessionKey>> ImportKeyMaker::Generate(bool in_token) {
  ImportKeyTemplate wanted = wanted_;
  wanted.in_token = in_token;
  Rv refusal;
  for (const ExtraAttributes extras : kExtrasToTry) {
    std::optional<Session> session;
    const Rv opened = Session::OpenBeside(call_, connection_.facts().slot, session);
    if (!opened.ok()) return call_.Fail(opened);
    const auto key = GenerateImportKeyPair(*session, wanted, extras);
    if (key.has_value()) return std::optional(SessionKey{std::move(*session), *key});
    refusal = *session->failure();
    if (!IsRefusal(refusal)) return call_.Fail(refusal);
  }
  if (CannotMake(connection_, refusal)) return std::optional<SessionKey>();
  return call_.Fail(refusal);
}

Result<bool> ImportKeyMaker::Copy(CK_OBJECT_HANDLE key) {
  ScopedLock exclusive(connection_.objects());
  for (const ExtraAttributes extras : kExtrasToTry) {
    const bool copied = KMS_TRY(CopyOnce(key, extras));
    if (copied) return true;
  }
  return false;
}

Result<bool> ImportKeyMaker::CopyOnce(CK_OBJECT_HANDLE key, ExtraAttributes extras) {
  std::optional<Session> session;
  const Rv opened = Session::OpenBeside(call_, connection_.facts().slot, session);
  if (!opened.ok()) return call_.Fail(opened);
  const auto copy = CopyIntoToken(*session, key, extras);
  const Status good = copy.has_value()
                          ? CheckImportKeyAttributes(*session, *copy, connection_.ImportDemands())
                          : Status(copy.error());
  if (good.has_value()) return true;
  if (session->failure().has_value() && !IsRefusal(*session->failure())) {
    return call_.Fail(*session->failure());
  }
  // A copy that forgot that it was never extractable.
  if (copy.has_value()) KMS_TRY(DestroyImportKeyObjects(call_, wanted_.id, wanted_.label));
  return false;
}

Status ImportKeyMaker::Check(const ImportKeyObject& key) {
  ScopedSharedLock shared(connection_.objects());
  return CheckImportKeyAttributes(call_, key.handle, connection_.ImportDemands());
}

Status ImportKeyMaker::Destroy(Deadline deadline) {
  ScopedLock exclusive(connection_.objects());
  KMS_TRY(DestroyImportKeyObjects(call_, wanted_.id, wanted_.label));
  return connection_.BackUp(deadline);
}

Status ImportKeyMaker::FindPlaces(const ImportKeyObject& key, ImportKeyRecord& record) {
  ScopedSharedLock shared(connection_.objects());
  for (std::size_t index = 0; index < kImportHashes.size(); ++index) {
    std::optional<Rv> doubtful;
    record.places[index] = KMS_TRY(FindPlace(key, kImportHashes[index], doubtful));
    // Nobody is sent to software because the device failed for a moment.
    const bool none = record.places[index] == OaepPlace::kNowhere;
    if (none && doubtful.has_value()) return call_.Fail(*doubtful);
  }
  return Ok();
}

Result<OaepPlace> ImportKeyMaker::FindPlace(const ImportKeyObject& key, HashAlgorithm hash,
                                            std::optional<Rv>& doubtful) {
  for (const OaepPlace place : {OaepPlace::kToken, OaepPlace::kWorker}) {
    std::optional<Session> session;
    const Rv opened = Session::OpenBeside(call_, connection_.facts().slot, session);
    if (!opened.ok()) return call_.Fail(opened);
    const auto opens = OpensItsOwnImports(*session, key, hash, place);
    if (opens.has_value() && *opens) return place;
    const std::optional<Rv>& failure = session->failure();
    if (!failure.has_value()) {
      if (!opens.has_value()) return opens.error();
      continue;
    }
    if (failure->kind() == RvKind::kAmbiguous) doubtful = failure;
    if (!IsRefusal(*failure) && failure->kind() != RvKind::kIntegrity) return call_.Fail(*failure);
  }
  return OaepPlace::kNowhere;
}

}  // namespace kms::pkcs11
