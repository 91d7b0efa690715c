// SPDX-License-Identifier: Apache-2.0
// Which attributes a token honours, and what it gives to keys whose maker says too little.
#include <algorithm>
#include <array>
#include <optional>

#include "pkcs11/attributes.h"
#include "pkcs11/qualification_bench.h"

namespace kms::pkcs11 {
namespace {

constexpr CK_ULONG kAesKeyBytes = 32;
constexpr std::size_t kLongLabelBytes = 64;
constexpr std::string_view kOnlyHolder =
    "whoever else holds the PIN can take every key out; give it to this service alone";

std::string FlagText(std::string_view name, bool value) {
  return std::string(name) + "=" + (value ? "1" : "0");
}

// A session's AES key with nothing said but what must be.
Result<CK_OBJECT_HANDLE> MakeMinimalKey(Session& session) {
  AttributeList minimal;
  minimal.Number(CKA_CLASS, CKO_SECRET_KEY)
      .Number(CKA_KEY_TYPE, CKK_AES)
      .Number(CKA_VALUE_LEN, kAesKeyBytes)
      .Flag(CKA_TOKEN, false);
  return session.GenerateKey(CKM_AES_KEY_GEN, minimal.span());
}

// An AES key of the session that wraps or may be wrapped.
Result<CK_OBJECT_HANDLE> MakeWrappingKey(Session& session, bool wraps,
                                         ExtraAttributes extras = ExtraAttributes::kNone,
                                         CK_MECHANISM_TYPE allowed = CKM_AES_GCM) {
  AttributeList list;
  list.Number(CKA_CLASS, CKO_SECRET_KEY)
      .Number(CKA_KEY_TYPE, CKK_AES)
      .Number(CKA_VALUE_LEN, kAesKeyBytes)
      .Flag(CKA_TOKEN, false)
      .Flag(CKA_PRIVATE, true)
      .Flag(CKA_SENSITIVE, true)
      .Flag(CKA_EXTRACTABLE, false)
      .Flag(CKA_WRAP, wraps)
      .Flag(CKA_ENCRYPT, !wraps);
  if (extras != ExtraAttributes::kNone) {
    list.Flag(CKA_MODIFIABLE, false)
        .Data(CKA_ALLOWED_MECHANISMS,
              {reinterpret_cast<const std::uint8_t*>(&allowed), sizeof(allowed)});
  }
  return session.GenerateKey(CKM_AES_KEY_GEN, list.span());
}

CK_RV SetFlag(QualificationBench& bench, Session& session, CK_OBJECT_HANDLE key,
              CK_ATTRIBUTE_TYPE type, bool value) {
  AttributeList change;
  change.Flag(type, value);
  return bench.calls().C_SetAttributeValue(session.handle(), key, change.span().data(), 1);
}

// A change that a token must refuse to a key.
struct ForbiddenChange {
  CK_ATTRIBUTE_TYPE type;
  bool value;
  std::string_view name;
};
constexpr ForbiddenChange kForbidden[] = {
    {CKA_SENSITIVE, false, "CKA_SENSITIVE to 0"},
    {CKA_EXTRACTABLE, true, "CKA_EXTRACTABLE to 1"},
};

CK_ATTRIBUTE_TYPE SecretPartOf(const QualificationBench::TestKey& key) {
  return UsesRsa(key.profile.mechanism) ? CKA_PRIVATE_EXPONENT : CKA_VALUE;
}

Status TellForbiddenChange(QualificationBench& bench, const ForbiddenChange& change) {
  Session session = KMS_TRY(bench.Open());
  const auto key = KMS_TRY(bench.MakeKey(session, /*in_token=*/false));
  const std::string name(change.name);
  const CK_RV rv = SetFlag(bench, session, key.key.handle, change.type, change.value);
  const bool now = KMS_TRY(session.ReadFlag(key.key.handle, change.type));
  if (now == change.value) {
    const Bytes secret = KMS_TRY(session.ReadAttribute(key.key.handle, SecretPartOf(key)));
    if (secret.empty()) {
      bench.Warn(name,
                 "the token changes what it says of a key, though the value stays unreadable; "
                 "this service refuses a key that was changed so");
    } else {
      bench.Bad(name, "the token lets a key become readable");
    }
    return Ok();
  }
  bench.Good(name, rv == CKR_OK ? "ignored" : "refused: " + RvName(rv));
  Session copier = KMS_TRY(bench.Open());
  AttributeList changes;
  changes.Flag(CKA_TOKEN, false).Flag(change.type, change.value);
  const auto copy = copier.CopyObject(key.key.handle, changes.span());
  if (!copy.has_value()) return Ok();
  const bool copied = KMS_TRY(copier.ReadFlag(*copy, change.type));
  if (copied != change.value) return Ok();
  if (change.type == CKA_SENSITIVE) {
    bench.Bad(name, "a copy of a key is readable (C_CopyObject)");
  } else {
    bench.Warn(name, "a copy of a key is extractable (C_CopyObject): " + std::string(kOnlyHolder));
  }
  return Ok();
}

Status TellUnreadable(QualificationBench& bench) {
  Session session = KMS_TRY(bench.Open());
  const auto key = KMS_TRY(bench.MakeKey(session, /*in_token=*/false));
  const Bytes value = KMS_TRY(session.ReadAttribute(key.key.handle, SecretPartOf(key)));
  if (!value.empty()) {
    bench.Bad("value", "the value of a sensitive key can be read");
    return Ok();
  }
  bench.Good("value", "the value of a sensitive key cannot be read");
  return Ok();
}

Status TellUnextractable(QualificationBench& bench) {
  Session session = KMS_TRY(bench.Open());
  const auto wrapping = MakeWrappingKey(session, /*wraps=*/true);
  const auto wrapped = wrapping.has_value() ? MakeWrappingKey(session, /*wraps=*/false) : wrapping;
  if (!wrapped.has_value()) {
    bench.Note("unextractable keys", "not tested: the token makes no AES session keys");
    return Ok();
  }
  CK_MECHANISM mechanism{kMechanismAesKw, nullptr, 0};
  Session wrapper = KMS_TRY(bench.Open());
  const auto blob = wrapper.Wrap(mechanism, *wrapping, *wrapped, kAesKeyBytes);
  if (blob.has_value()) {
    bench.Warn("unextractable keys",
               "the token wraps keys that are not extractable: " + std::string(kOnlyHolder));
    return Ok();
  }
  bench.Note("unextractable keys", "not wrapped: " + ToldError(blob.error()));
  return Ok();
}

Status TellModifiable(QualificationBench& bench, Session& session, CK_OBJECT_HANDLE key) {
  const bool modifiable = KMS_TRY(session.ReadFlag(key, CKA_MODIFIABLE));
  const CK_RV rv = SetFlag(bench, session, key, CKA_WRAP, true);
  const bool wraps = KMS_TRY(session.ReadFlag(key, CKA_WRAP));
  bench.Learn("attributes.modifiable", wraps ? "ignored" : "honoured");
  bench.Note("CKA_MODIFIABLE=0", wraps        ? "accepted and ignored"
                                 : modifiable ? "not kept, though the change was refused"
                                              : "honoured: " + RvName(rv));
  return Ok();
}

Status EncryptsByCbc(QualificationBench& bench, CK_OBJECT_HANDLE key) {
  std::array<std::uint8_t, 16> iv{};
  CK_MECHANISM cbc{CKM_AES_CBC, iv.data(), iv.size()};
  Session session = KMS_TRY(bench.Open());
  KMS_TRY(session.Encrypt(cbc, key, iv));
  return Ok();
}

Status TellAllowedMechanisms(QualificationBench& bench) {
  Session session = KMS_TRY(bench.Open());
  // A key for GCM alone, used with CBC.
  const auto key = MakeWrappingKey(session, /*wraps=*/false,
                                   ExtraAttributes::kUnmodifiableAndOneMechanism, CKM_AES_GCM);
  if (!key.has_value()) {
    bench.Learn("attributes.modifiable", "refused");
    bench.Learn("attributes.allowed_mechanisms", "refused");
    bench.Note("CKA_MODIFIABLE=0 and CKA_ALLOWED_MECHANISMS",
               "not accepted for AES session keys: " + ToldError(key.error()));
    return Ok();
  }
  KMS_TRY(TellModifiable(bench, session, *key));
  const auto control = MakeWrappingKey(session, /*wraps=*/false);
  if (!control.has_value() || !EncryptsByCbc(bench, *control).has_value()) {
    bench.Learn("attributes.allowed_mechanisms", "not tested");
    bench.Note("CKA_ALLOWED_MECHANISMS", "accepted; not tested, for want of a second mechanism");
    return Ok();
  }
  const Status used = EncryptsByCbc(bench, *key);
  bench.Learn("attributes.allowed_mechanisms", used.has_value() ? "ignored" : "honoured");
  bench.Note("CKA_ALLOWED_MECHANISMS",
             used.has_value() ? "accepted and ignored" : "honoured: " + ToldError(used.error()));
  return Ok();
}

}  // namespace

Status QualifyDefaults(QualificationBench& bench) {
  Session session = KMS_TRY(bench.Open());
  const auto key = MakeMinimalKey(session);
  if (!key.has_value()) {
    bench.Note("minimal template", "no AES session key by it: " + ToldError(key.error()));
    return Ok();
  }
  const bool is_private = KMS_TRY(session.ReadFlag(*key, CKA_PRIVATE));
  const bool sensitive = KMS_TRY(session.ReadFlag(*key, CKA_SENSITIVE));
  const bool extractable = KMS_TRY(session.ReadFlag(*key, CKA_EXTRACTABLE));
  bench.Note("minimal template", FlagText("CKA_PRIVATE", is_private) + " " +
                                     FlagText("CKA_SENSITIVE", sensitive) + " " +
                                     FlagText("CKA_EXTRACTABLE", extractable) +
                                     "; this service says every attribute");
  return Ok();
}

Status QualifySecrecy(QualificationBench& bench) {
  KMS_TRY(TellUnreadable(bench));
  for (const ForbiddenChange& change : kForbidden) KMS_TRY(TellForbiddenChange(bench, change));
  return TellUnextractable(bench);
}

Status QualifyPolicies(QualificationBench& bench) { return TellAllowedMechanisms(bench); }

// Two objects of one CKA_ID: the service refuses to choose, where the token shows both.
Status QualifyNames(QualificationBench& bench) {
  Session session = KMS_TRY(bench.Open());
  const auto first = KMS_TRY(bench.MakeKey(session, /*in_token=*/true));
  Session second_maker = KMS_TRY(bench.Open());
  const auto second = GenerateMasterKeyObject(second_maker,
                                              {.id = first.id,
                                               .label = std::string(kQualificationLabel),
                                               .mechanism = first.profile.mechanism},
                                              bench.TestExtras());
  Session finder = KMS_TRY(bench.Open());
  const auto found = FindMasterKeyObject(finder, first.id);
  const bool ambiguous = !found.has_value() && found.error().code == ErrorCode::kFailedPrecondition;
  const std::string outcome = !second.has_value() ? "refused: " + ToldError(second.error())
                              : ambiguous         ? "makes two objects; the service refuses both"
                                                  : "leaves one object to be found";
  bench.Note("the same CKA_ID twice", outcome);
  bench.Learn("attributes.same_id", !second.has_value() ? "refused"
                                    : ambiguous         ? "two objects"
                                                        : "one object");
  Session labeller = KMS_TRY(bench.Open());
  AttributeList change;
  const std::string label(kLongLabelBytes, 'x');
  change.Data(CKA_LABEL, AsBytes(std::string(kQualificationLabel) + label));
  const CK_RV rv = bench.calls().C_SetAttributeValue(labeller.handle(), first.key.handle,
                                                     change.span().data(), 1);
  bench.Note("a label of 72 bytes", rv == CKR_OK ? "accepted" : "refused: " + RvName(rv));
  Session destroyer = KMS_TRY(bench.Open());
  AttributeList both;
  both.Flag(CKA_TOKEN, true).Data(CKA_ID, first.id.View());
  const auto objects = KMS_TRY(destroyer.Find(both.span()));
  for (const CK_OBJECT_HANDLE object : objects) KMS_TRY(destroyer.DestroyObject(object));
  return Ok();
}

}  // namespace kms::pkcs11
