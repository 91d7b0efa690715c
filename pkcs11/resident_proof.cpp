// SPDX-License-Identifier: Apache-2.0
// Finding recorded keys and taking a known answer of each before its first use of a connection.
#include <algorithm>

#include "kms/base/random.h"
#include "pkcs11/import_key.h"
#include "pkcs11/resident_object.h"
#include "pkcs11/resident_use.h"

namespace kms::pkcs11 {
namespace {

constexpr std::size_t kDigestBytes = 32;

Error WrongAnswer(const ResidentKeyRecord& record) {
  return Corrupted("the key in the HSM is not the recorded one; restore the token from a backup",
                   "resident key " + HexEncode(record.id));
}

Result<Bytes> ReadModulus(Session& session, CK_OBJECT_HANDLE key, ResidentKeyType type) {
  const auto algorithm = AsymmetricAlgorithmOf(type);
  if (!algorithm.has_value() || !IsRsa(*algorithm)) return Bytes();
  const Bytes number = KMS_TRY(session.ReadAttribute(key, CKA_MODULUS));
  return Bytes(std::ranges::find_if(number, [](std::uint8_t byte) { return byte != 0; }),
               number.end());
}

Bytes TestDigest() {
  Bytes digest(kDigestBytes);
  FillRandom(digest);
  return digest;
}

Status ProveSignature(const ResidentUse& use) {
  ResidentSignRequest request{.digest = TestDigest()};
  if (IsRsa(*AsymmetricAlgorithmOf(use.key.record.type))) {
    request.scheme = ResidentSignatureScheme::kRsaPkcs1v15;
  }
  KMS_TRY(SignResident(use, request));
  return Ok();
}

// An RSA key that signs nothing (an external one) opens what was encrypted to it.
Status ProveDecryption(const ResidentUse& use) {
  const ImportKeyObject key{.handle = use.key.handle,
                            .modulus = use.key.modulus,
                            .public_key = use.key.record.public_key};
  for (const OaepPlace place : {OaepPlace::kToken, OaepPlace::kWorker}) {
    auto session = KMS_TRY(Session::OpenBeside(use.session, use.connection.facts().slot));
    if (OpensItsOwnImports(session, key, HashAlgorithm::kSha2_256, place).value_or(false)) {
      return Ok();
    }
  }
  return InvalidArgument("the HSM token neither signs nor opens anything with this key");
}

// Round trip of one layout. Errors: as the session; kUnavailable for another answer.
Status RoundTrip(Session& session, BoundResident& key) {
  const Bytes secret = TestDigest();
  constexpr std::string_view kAad = "known answer";
  const ResidentCiphertext made = KMS_TRY(EncryptGcm(session, key, secret, AsBytes(kAad)));
  const SecretBytes opened = KMS_TRY(DecryptGcm(session, key, made, AsBytes(kAad)));
  if (!EqualInConstantTime(opened.View(), secret)) {
    return Unavailable("the HSM does not open what it encrypted a moment ago; have it checked");
  }
  key.record.nonce_bytes = static_cast<std::uint8_t>(made.nonce.size());
  return Ok();
}

// Damage and another context must not open: CKM_AES_GCM must be what its name says.
Status RefusesDamage(Connection& connection, Session& call, const BoundResident& key) {
  for (const bool other_aad : {false, true}) {
    auto session = KMS_TRY(Session::OpenBeside(call, connection.facts().slot));
    ResidentCiphertext made = KMS_TRY(EncryptGcm(session, key, TestDigest(), AsBytes("a")));
    if (!other_aad) made.ciphertext.front() ^= 1U;
    if (DecryptGcm(session, key, made, AsBytes(other_aad ? "b" : "a")).has_value()) {
      return InvalidArgument("the HSM token's AES-GCM does not authenticate; it is not used");
    }
  }
  return Ok();
}

Status ProveCipher(Connection& connection, Session& call, BoundResident& key) {
  std::vector<GcmParameterLayout> layouts = {GcmParameterLayout::kWithIvBits,
                                             GcmParameterLayout::kWithoutIvBits};
  for (const WrapProfile& profile : connection.negotiated().usable) {
    if (profile.mechanism == WrapMechanism::kGcmEncrypt) layouts = {profile.gcm_layout};
  }
  for (const GcmParameterLayout layout : layouts) {
    std::optional<Session> session;
    const Rv opened = Session::OpenBeside(call, connection.facts().slot, session);
    if (!opened.ok()) return call.Fail(opened);
    key.gcm_layout = layout;
    const Status proven = RoundTrip(*session, key);
    if (proven.has_value()) return Ok();
    const std::optional<Rv>& failure = session->failure();
    if (!failure.has_value()) return proven;
    if (failure->kind() != RvKind::kPolicy) return call.Fail(*failure);
  }
  return InvalidArgument(
      "the HSM token does not do AES-GCM; make an RSA or EC key in it, or keep "
      "this one in software");
}

Status Prove(Connection& connection, Session& session, BoundResident& key) {
  if (key.record.type == ResidentKeyType::kAes256Gcm) return ProveCipher(connection, session, key);
  const ResidentUse use{.connection = connection, .session = session, .key = key};
  const bool signs = KMS_TRY(session.ReadFlag(key.handle, CKA_SIGN));
  if (signs) return ProveSignature(use);
  return key.modulus.empty() ? ProveAgreement(connection.facts().slot, session, key)
                             : ProveDecryption(use);
}

Result<CK_OBJECT_HANDLE> FindRecorded(Session& session, const ResidentKeyRecord& record) {
  const ResidentObjects objects = KMS_TRY(FindResidentObjects(session, record.id));
  if (objects.secrets.size() == 1) return objects.secrets.front();
  if (objects.secrets.empty()) {
    // A search without login finds no private object.
    KMS_TRY(RequireLogin(session));
    return NotFound("the HSM token has no key \"" + record.label + "\" (id " +
                    HexEncode(record.id) + ")");
  }
  return FailedPrecondition("the HSM token has " + std::to_string(objects.secrets.size()) +
                            " keys of one id, \"" + record.label +
                            "\"; none is used until all but the right one are removed");
}

}  // namespace

Status ProveResident(Connection& connection, Session& session, BoundResident& key) {
  key.modulus = KMS_TRY(ReadModulus(session, key.handle, key.record.type));
  KMS_TRY(Prove(connection, session, key));
  return key.record.type == ResidentKeyType::kAes256Gcm ? RefusesDamage(connection, session, key)
                                                        : Ok();
}

Result<BoundResident> BindResident(Connection& connection, Session& session,
                                   const ResidentKeyRecord& record) {
  const auto known = connection.residents().Find(record);
  if (known.has_value()) return *known;
  BoundResident key{.handle = KMS_TRY(FindRecorded(session, record)), .record = record};
  const ResidentKeyType type = KMS_TRY(ReadResidentType(session, key.handle));
  if (type != record.type) return WrongAnswer(record);
  const bool own = !RefuseOwnLabel(record.label).has_value();
  KMS_TRY(own ? CheckOwnAttributes(session, key.handle, type, connection.ResidentDemands())
              : CheckExternalAttributes(session, key.handle, type));
  key.modulus = KMS_TRY(ReadModulus(session, key.handle, type));
  const Status proven = Prove(connection, session, key);
  // The token answered, but not as the recorded key does (H13).
  const bool wrong = !proven.has_value() && !session.failure().has_value() &&
                     proven.error().code == ErrorCode::kUnavailable;
  if (wrong || (proven.has_value() && key.record.nonce_bytes != record.nonce_bytes)) {
    return WrongAnswer(record);
  }
  KMS_TRY(proven);
  connection.residents().Keep(key);
  return key;
}

}  // namespace kms::pkcs11
