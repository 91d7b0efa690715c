// SPDX-License-Identifier: Apache-2.0
// Making resident keys. What a token can is found out with the very key, never by its list.
#include "pkcs11/resident_maker.h"

#include <array>
#include <utility>

namespace kms::pkcs11 {
namespace {

constexpr std::array kExtrasToTry = {ExtraAttributes::kUnmodifiableAndOneMechanism,
                                     ExtraAttributes::kNone};

bool IsRsaType(ResidentKeyType type) {
  const auto algorithm = AsymmetricAlgorithmOf(type);
  return algorithm.has_value() && IsRsa(*algorithm);
}

bool IsEcType(ResidentKeyType type) {
  const auto algorithm = AsymmetricAlgorithmOf(type);
  return algorithm.has_value() && IsEcdsa(*algorithm);
}

// A step was refused, as far as a return value tells: another way may be tried.
bool IsRefusal(const Rv& rv) {
  return rv.kind() == RvKind::kPolicy || rv.kind() == RvKind::kAmbiguous;
}

Error CannotMake(ResidentKeyType type, const Rv& refusal) {
  return MakeError(ErrorCode::kInvalidArgument,
                   "the HSM token makes no " + std::string(ResidentKeyTypeName(type)) +
                       " keys; choose another type or token, or keep the key in software",
                   refusal.ToError().detail);
}

}  // namespace

Result<ResidentKeyRecord> ResidentKeyMaker::AdoptOrMake(Deadline deadline) {
  const Rv present = connection_.CheckPresent();
  if (!present.ok()) return call_.Fail(present);
  CK_OBJECT_HANDLE handle = KMS_TRY(FindWhole());
  const bool adopted = handle != CK_INVALID_HANDLE;
  if (!adopted) {
    KMS_TRY(Make());
    handle = KMS_TRY(FindWhole());
    if (handle == CK_INVALID_HANDLE) {
      return call_.Fail({CKR_DEVICE_ERROR, "C_FindObjects: a key is lost"});
    }
  }
  auto record = Record(handle);
  if (!record.has_value()) {
    // What is refused does not stay; what failed may be adopted by the next call.
    const ErrorCode code = record.error().code;
    const bool refused =
        code == ErrorCode::kInvalidArgument || code == ErrorCode::kFailedPrecondition;
    if (!adopted && refused) IgnoreError(Destroy(deadline), "the refusal is what matters");
    return record.error();
  }
  ScopedLock exclusive(connection_.objects());
  KMS_TRY(connection_.BackUp(deadline));
  return record;
}

Result<CK_OBJECT_HANDLE> ResidentKeyMaker::FindWhole() {
  ScopedLock exclusive(connection_.objects());
  const ResidentObjects found = KMS_TRY(FindResidentObjects(call_, wanted_.id.View()));
  if (found.secrets.empty()) KMS_TRY(RequireLogin(call_));
  if (found.secrets.size() > 1) {
    return FailedPrecondition("the HSM token has several keys of one id, \"" + wanted_.label +
                              "\"; remove all of them and repeat the request");
  }
  const bool pair = wanted_.type != ResidentKeyType::kAes256Gcm;
  const bool whole = found.secrets.size() == 1 && (!pair || found.publics.size() == 1);
  if (whole) return found.secrets.front();
  KMS_TRY(DestroyResidentObjects(call_, wanted_.id.View(), wanted_.label));
  return CK_OBJECT_HANDLE{CK_INVALID_HANDLE};
}

Status ResidentKeyMaker::Make() {
  if (!IsRsaType(wanted_.type)) {
    ScopedLock exclusive(connection_.objects());
    return MakeInToken();
  }
  const bool copied = KMS_TRY(MakeByCopy());
  return copied ? Ok() : MakeInToken();
}

Result<bool> ResidentKeyMaker::MakeByCopy() {
  ResidentTemplate wanted = wanted_;
  wanted.in_token = false;
  std::optional<Session> session;
  const Rv opened = Session::OpenBeside(call_, connection_.facts().slot, session);
  if (!opened.ok()) return call_.Fail(opened);
  const auto pair = GenerateResidentObjects(*session, wanted, ExtraAttributes::kNone);
  if (!pair.has_value()) {
    const Rv failure = *session->failure();
    if (!IsRefusal(failure)) return call_.Fail(failure);
    return false;
  }
  ScopedLock exclusive(connection_.objects());
  for (const ExtraAttributes extras : kExtrasToTry) {
    const bool copied = KMS_TRY(CopyOnce(*pair, extras));
    if (copied) return true;
  }
  return false;
}

Result<bool> ResidentKeyMaker::CopyOnce(const Session::KeyPair& pair, ExtraAttributes extras) {
  std::optional<Session> session;
  const Rv opened = Session::OpenBeside(call_, connection_.facts().slot, session);
  if (!opened.ok()) return call_.Fail(opened);
  Status good = CopyResidentPair(*session, pair, extras);
  if (good.has_value()) {
    const ResidentObjects found = KMS_TRY(FindResidentObjects(call_, wanted_.id.View()));
    good = found.secrets.size() == 1
               ? CheckOwnAttributes(*session, found.secrets.front(), wanted_.type,
                                    connection_.ResidentDemands())
               : Status(FailedPrecondition("the copied key is not found"));
  }
  if (good.has_value()) return true;
  const std::optional<Rv>& failure = session->failure();
  if (failure.has_value() && !IsRefusal(*failure)) return call_.Fail(*failure);
  // Half a pair, or a copy that forgot that it was never extractable.
  KMS_TRY(DestroyResidentObjects(call_, wanted_.id.View(), wanted_.label));
  return false;
}

Status ResidentKeyMaker::MakeInToken() {
  ResidentTemplate wanted = wanted_;
  if (IsEcType(wanted.type)) {
    wanted.agrees = KMS_TRY(MakesAgreeingKeys(connection_, call_, wanted.type));
  }
  Rv refusal;
  for (const ExtraAttributes extras : kExtrasToTry) {
    std::optional<Session> session;
    const Rv opened = Session::OpenBeside(call_, connection_.facts().slot, session);
    if (!opened.ok()) return call_.Fail(opened);
    if (GenerateResidentObjects(*session, wanted, extras).has_value()) return Ok();
    refusal = *session->failure();
    if (!IsRefusal(refusal)) return call_.Fail(refusal);
  }
  // Some tokens fail vaguely at what they cannot do; a trouble of the moment looks the same.
  if (refusal.kind() == RvKind::kPolicy) return CannotMake(wanted_.type, refusal);
  return call_.Fail(refusal);
}

Result<ResidentKeyRecord> ResidentKeyMaker::Record(CK_OBJECT_HANDLE handle) {
  ScopedSharedLock shared(connection_.objects());
  const ResidentKeyType type = KMS_TRY(ReadResidentType(call_, handle));
  if (type != wanted_.type) {
    return FailedPrecondition("the HSM token has a key of another type under the id of \"" +
                              wanted_.label + "\"; remove it and repeat the request");
  }
  KMS_TRY(CheckOwnAttributes(call_, handle, type, connection_.ResidentDemands()));
  const ResidentObjects found = KMS_TRY(FindResidentObjects(call_, wanted_.id.View()));
  BoundResident key{.handle = handle, .record = {}};
  key.record.id = CopyOf(wanted_.id.View());
  key.record.label = wanted_.label;
  key.record.type = type;
  key.record.token_label = connection_.facts().label;
  key.record.token_serial = connection_.facts().serial;
  key.record.public_key = KMS_TRY(ReadResidentPublicKey(
      call_, type, handle, found.publics.empty() ? CK_INVALID_HANDLE : found.publics.front()));
  KMS_TRY(ProveResident(connection_, call_, key));
  return key.record;
}

Status ResidentKeyMaker::Destroy(Deadline deadline) {
  auto session = KMS_TRY(Session::OpenBeside(call_, connection_.facts().slot));
  ScopedLock exclusive(connection_.objects());
  KMS_TRY(DestroyResidentObjects(session, wanted_.id.View(), wanted_.label));
  return connection_.BackUp(deadline);
}

}  // namespace kms::pkcs11
