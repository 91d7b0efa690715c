// SPDX-License-Identifier: Apache-2.0
// Key agreement by EC keys in the token: CKM_ECDH1_DERIVE without a KDF into a secret of the
// session, which is read and destroyed. Nothing proves a shared secret by itself, as a public key
// proves a signature: so a known answer is taken beside it, and it is derived twice.
#include <array>
#include <utility>

#include "kms/crypto/der.h"
#include "kms/crypto/key_agreement.h"
#include "pkcs11/attributes.h"
#include "pkcs11/resident_object.h"
#include "pkcs11/resident_use.h"

namespace kms::pkcs11 {
namespace {

constexpr std::array kPointForms = {PointForm::kBare, PointForm::kOctetString};
// Room for a token that gives more than was asked for: a wrong length is then told as such.
constexpr std::size_t kSlackBytes = 64;

Error DoesNotAgree(ResidentKeyType type) {
  return InvalidArgument("the HSM token does not agree on keys with this " +
                         std::string(ResidentKeyTypeName(type)) +
                         " key; use a base key in software");
}

Error MadeWithoutAgreement() {
  return InvalidArgument(
      "the key in the HSM was made without key agreement (CKA_DERIVE); rotate it where the HSM "
      "token has ECDH, or use a base key in software");
}

Error WrongAnswer() {
  return Unavailable(
      "the HSM derived another secret than it should; it was not used, retry and have the HSM "
      "checked if it persists");
}

bool IsRefusal(const Rv& rv) {
  return rv.kind() == RvKind::kPolicy || rv.kind() == RvKind::kAmbiguous;
}

// The uncompressed point (SEC 1, 2.3.3), with which a SubjectPublicKeyInfo ends.
Result<Bytes> EncodePoint(const AsymmetricKey& key, PointForm form) {
  const Bytes spki = KMS_TRY(key.PublicKey());
  const ByteView point = ByteView(spki).last(1 + 2 * EcdsaFieldBytes(key.algorithm()));
  if (form == PointForm::kBare) return CopyOf(point);
  Bytes out(DerElementBytes(point.size()));
  DerWriter writer(out);
  writer.Head(DerTag::kOctetString, point.size());
  writer.Raw(point);
  return out;
}

AttributeList SecretTemplate(std::size_t size) {
  AttributeList list;
  list.Number(CKA_CLASS, CKO_SECRET_KEY).Number(CKA_KEY_TYPE, CKK_GENERIC_SECRET);
  list.Number(CKA_VALUE_LEN, size).Flag(CKA_TOKEN, false).Flag(CKA_PRIVATE, true);
  list.Flag(CKA_SENSITIVE, false).Flag(CKA_EXTRACTABLE, true);
  return list;
}

Result<SecretBytes> DeriveOnce(Session& session, const BoundResident& key,
                               const AsymmetricKey& peer, PointForm form) {
  const std::size_t size = EcdsaFieldBytes(peer.algorithm());
  Bytes point = KMS_TRY(EncodePoint(peer, form));
  CK_ECDH1_DERIVE_PARAMS parameters{CKD_NULL, 0, nullptr, point.size(), point.data()};
  CK_MECHANISM mechanism{CKM_ECDH1_DERIVE, &parameters, sizeof(parameters)};
  AttributeList wanted = SecretTemplate(size);
  const CK_OBJECT_HANDLE derived = KMS_TRY(session.Derive(mechanism, key.handle, wanted.span()));
  Result<SecretBytes> secret = session.ReadKeyValue(derived, size + kSlackBytes);
  const Status destroyed = session.DestroyObject(derived);
  if (!secret.has_value()) return secret;
  KMS_TRY(destroyed);
  if (secret->size() != size) {
    return session.Fail({CKR_DEVICE_ERROR, "C_DeriveKey: impossible length"});
  }
  return secret;
}

// With a fresh pair of ours both sides must come to one secret.
Result<bool> AnswersRightly(Session& session, const BoundResident& key, PointForm form) {
  const AsymmetricAlgorithm algorithm = *AsymmetricAlgorithmOf(key.record.type);
  const AsymmetricKey ours = KMS_TRY(AsymmetricKey::Generate(algorithm));
  const AsymmetricKey theirs =
      KMS_TRY(AsymmetricKey::FromPublicKey(algorithm, key.record.public_key));
  const SecretBytes expected = KMS_TRY(internal::EcdhSharedSecret(ours, theirs));
  const SecretBytes derived = KMS_TRY(DeriveOnce(session, key, ours, form));
  return derived == expected;
}

// A refusal ends a session: each form has one of its own.
Result<PointForm> TryForms(CK_SLOT_ID slot, Session& call, const BoundResident& key) {
  bool answered = false;
  for (const PointForm form : kPointForms) {
    std::optional<Session> session;
    const Rv opened = Session::OpenBeside(call, slot, session);
    if (!opened.ok()) return call.Fail(opened);
    const Result<bool> right = AnswersRightly(*session, key, form);
    if (right.has_value() && *right) return form;
    const std::optional<Rv>& failure = session->failure();
    if (!right.has_value() && !failure.has_value()) return right.error();
    if (failure.has_value() && !IsRefusal(*failure)) return call.Fail(*failure);
    answered = answered || right.has_value();
  }
  return answered ? WrongAnswer() : DoesNotAgree(key.record.type);
}

// Once a connection and key.
Result<PointForm> FindForm(const ResidentUse& use) {
  ResidentBindings& bindings = use.connection.residents();
  const auto known = bindings.PointFormOf(use.key.record.id);
  if (known.has_value()) return *known;
  const PointForm form = KMS_TRY(TryForms(use.connection.facts().slot, use.session, use.key));
  bindings.KeepPointForm(use.key.record.id, form);
  return form;
}

Result<BoundResident> MakeForTheSession(Session& session, ResidentKeyType type) {
  const ResidentTemplate wanted{.id = Uuid::Random(),
                                .type = type,
                                .label = "kms key agreement test",
                                .in_token = false,
                                .agrees = true};
  const Session::KeyPair pair =
      KMS_TRY(GenerateResidentObjects(session, wanted, ExtraAttributes::kNone));
  BoundResident key{.handle = pair.private_key, .record = {}};
  key.record.type = type;
  key.record.public_key =
      KMS_TRY(ReadResidentPublicKey(session, type, pair.private_key, pair.public_key));
  return key;
}

}  // namespace

Result<SecretBytes> AgreeResident(const ResidentUse& use, ByteView peer_public_key) {
  const ResidentKeyRecord& record = use.key.record;
  const auto algorithm = AsymmetricAlgorithmOf(record.type);
  if (!algorithm.has_value() || !IsEcdsa(*algorithm)) return DoesNotAgree(record.type);
  const auto peer = AsymmetricKey::FromPublicKey(*algorithm, peer_public_key);
  if (!peer.has_value()) {
    return InvalidArgument("the public key of the peer is no point of the key's curve");
  }
  const bool may_derive = KMS_TRY(use.session.ReadFlag(use.key.handle, CKA_DERIVE));
  if (!may_derive) return MadeWithoutAgreement();
  const PointForm form = KMS_TRY(FindForm(use));
  const bool right = KMS_TRY(AnswersRightly(use.session, use.key, form));
  SecretBytes secret = KMS_TRY(DeriveOnce(use.session, use.key, *peer, form));
  const SecretBytes again = KMS_TRY(DeriveOnce(use.session, use.key, *peer, form));
  if (right && secret == again) return secret;
  // The next call proves the key anew.
  use.connection.residents().Forget(record.id);
  return WrongAnswer();
}

Status ProveAgreement(CK_SLOT_ID slot, Session& call, const BoundResident& key) {
  KMS_TRY(TryForms(slot, call, key));
  return Ok();
}

Status TryAgreement(CK_SLOT_ID slot, Session& call, ResidentKeyType type) {
  // Its objects end with it.
  std::optional<Session> session;
  const Rv opened = Session::OpenBeside(call, slot, session);
  if (!opened.ok()) return call.Fail(opened);
  const auto key = MakeForTheSession(*session, type);
  if (key.has_value()) return ProveAgreement(slot, call, *key);
  const std::optional<Rv>& failure = session->failure();
  if (failure.has_value() && !IsRefusal(*failure)) return call.Fail(*failure);
  return key.error();
}

Result<bool> MakesAgreeingKeys(Connection& connection, Session& call, ResidentKeyType type) {
  if (connection.residents().MakesAgreeing(type)) return true;
  const Status tried = TryAgreement(connection.facts().slot, call, type);
  if (!tried.has_value()) {
    if (call.failure().has_value()) return tried.error();
    return false;
  }
  connection.residents().KeepMakesAgreeing(type);
  return true;
}

}  // namespace kms::pkcs11
