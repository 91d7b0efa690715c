// SPDX-License-Identifier: Apache-2.0
// Master-key objects. Modules differ in what they default to, so nothing is left to defaults.
#include "pkcs11/master_key.h"

#include <algorithm>
#include <array>
#include <optional>

#include "pkcs11/oaep.h"

namespace kms::pkcs11 {
namespace {

constexpr CK_ULONG kAesKeyBytes = 32;
constexpr CK_ULONG kRsaKeyBits = 3072;
constexpr std::uint8_t kRsaExponent[] = {0x01, 0x00, 0x01};

void AddExtras(AttributeList& list, WrapMechanism mechanism, ExtraAttributes extras) {
  if (extras != ExtraAttributes::kUnmodifiableAndOneMechanism) return;
  const CK_MECHANISM_TYPE only = RowOf(mechanism).type;
  list.Flag(CKA_MODIFIABLE, false)
      .Data(CKA_ALLOWED_MECHANISMS,
            {reinterpret_cast<const std::uint8_t*>(&only), sizeof(only)});
}

void AddIdentity(AttributeList& list, const MasterKeyTemplate& key) {
  list.Flag(CKA_TOKEN, key.in_token).Data(CKA_ID, key.id.View()).Data(CKA_LABEL,
                                                                      AsBytes(key.label));
}

void AddSecrecy(AttributeList& list) {
  list.Flag(CKA_PRIVATE, true).Flag(CKA_SENSITIVE, true).Flag(CKA_EXTRACTABLE, false);
}

AttributeList AesTemplate(const MasterKeyTemplate& key, ExtraAttributes extras) {
  const bool encrypts = RowOf(key.mechanism).usage == KeyUsage::kEncryptDecrypt;
  AttributeList list;
  list.Number(CKA_CLASS, CKO_SECRET_KEY).Number(CKA_KEY_TYPE, CKK_AES);
  list.Number(CKA_VALUE_LEN, kAesKeyBytes);
  AddIdentity(list, key);
  AddSecrecy(list);
  list.Flag(CKA_ENCRYPT, encrypts)
      .Flag(CKA_DECRYPT, encrypts)
      .Flag(CKA_WRAP, !encrypts)
      .Flag(CKA_UNWRAP, !encrypts)
      .Flag(CKA_SIGN, false)
      .Flag(CKA_VERIFY, false)
      .Flag(CKA_DERIVE, false);
  AddExtras(list, key.mechanism, extras);
  return list;
}

AttributeList RsaPublicTemplate(const MasterKeyTemplate& key, ExtraAttributes extras) {
  AttributeList list;
  list.Number(CKA_CLASS, CKO_PUBLIC_KEY).Number(CKA_KEY_TYPE, CKK_RSA);
  AddIdentity(list, key);
  list.Flag(CKA_PRIVATE, false)
      .Number(CKA_MODULUS_BITS, kRsaKeyBits)
      .Data(CKA_PUBLIC_EXPONENT, kRsaExponent)
      .Flag(CKA_ENCRYPT, true);
  if (extras == ExtraAttributes::kFewest) return list;
  list.Flag(CKA_VERIFY, false).Flag(CKA_WRAP, false);
  return list;
}

AttributeList RsaPrivateTemplate(const MasterKeyTemplate& key, ExtraAttributes extras) {
  AttributeList list;
  list.Number(CKA_CLASS, CKO_PRIVATE_KEY).Number(CKA_KEY_TYPE, CKK_RSA);
  AddIdentity(list, key);
  AddSecrecy(list);
  list.Flag(CKA_DECRYPT, true);
  if (extras == ExtraAttributes::kFewest) return list;
  list.Flag(CKA_SIGN, false).Flag(CKA_UNWRAP, false).Flag(CKA_DERIVE, false);
  AddExtras(list, key.mechanism, extras);
  return list;
}

// Objects with the id that hold a secret: public halves do not count.
Result<std::vector<CK_OBJECT_HANDLE>> FindSecretObjects(Session& session, const Uuid& id) {
  std::vector<CK_OBJECT_HANDLE> found;
  for (const CK_OBJECT_CLASS object_class : std::array{CKO_SECRET_KEY, CKO_PRIVATE_KEY}) {
    AttributeList wanted;
    wanted.Number(CKA_CLASS, object_class).Flag(CKA_TOKEN, true).Data(CKA_ID, id.View());
    const auto some = KMS_TRY(session.Find(wanted.span()));
    found.insert(found.end(), some.begin(), some.end());
  }
  return found;
}

struct DemandRow {
  CK_ATTRIBUTE_TYPE type;
  bool value;
  std::string_view name;
};
constexpr DemandRow kDemanded[] = {
    {CKA_TOKEN, true, "CKA_TOKEN"},
    {CKA_PRIVATE, true, "CKA_PRIVATE"},
    {CKA_SENSITIVE, true, "CKA_SENSITIVE"},
    {CKA_EXTRACTABLE, false, "CKA_EXTRACTABLE"},
    {CKA_NEVER_EXTRACTABLE, true, "CKA_NEVER_EXTRACTABLE"},
    {CKA_LOCAL, true, "CKA_LOCAL"},
};

Result<Bytes> EncodePublicKey(Session& session, CK_OBJECT_HANDLE key) {
  const Bytes modulus = KMS_TRY(session.ReadAttribute(key, CKA_MODULUS));
  const Bytes exponent = KMS_TRY(session.ReadAttribute(key, CKA_PUBLIC_EXPONENT));
  return EncodeRsaPublicKey(modulus, exponent);
}

Result<bool> IsOfKeyType(Session& session, CK_OBJECT_HANDLE key, CK_KEY_TYPE type) {
  const Bytes value = KMS_TRY(session.ReadAttribute(key, CKA_KEY_TYPE, sizeof(CK_KEY_TYPE)));
  return std::ranges::equal(
      value, ByteView(reinterpret_cast<const std::uint8_t*>(&type), sizeof(type)));
}

// Import keys, to which anybody may encrypt, are RSA keys of another size (C15).
Result<bool> HasMasterKeySize(Session& session, CK_OBJECT_HANDLE rsa_key) {
  const Bytes modulus = KMS_TRY(session.ReadAttribute(rsa_key, CKA_MODULUS));
  const auto first = std::ranges::find_if(modulus, [](std::uint8_t byte) { return byte != 0; });
  return static_cast<CK_ULONG>(modulus.end() - first) * 8 == kRsaKeyBits;
}

Error NoMasterKey() {
  return FailedPrecondition("the object with the master key's id is no master key; check that the "
                            "token is the right one");
}

Status CheckMasterKeyKind(Session& session, CK_OBJECT_HANDLE key, WrapMechanism mechanism) {
  const bool rsa = KMS_TRY(IsRsaKey(session, key));
  if (rsa != UsesRsa(mechanism)) return NoMasterKey();
  const bool right_size = rsa ? KMS_TRY(HasMasterKeySize(session, key)) : true;
  return right_size ? Ok() : Status(NoMasterKey());
}

// Either half of an RSA pair, or an AES key.
Status CheckMasterKeyToDestroy(Session& session, CK_OBJECT_HANDLE key, std::string_view label) {
  KMS_TRY(CheckLabelToDestroy(session, key, label, "master key"));
  const bool rsa = KMS_TRY(IsRsaKey(session, key));
  const bool right = rsa ? KMS_TRY(HasMasterKeySize(session, key))
                         : KMS_TRY(IsOfKeyType(session, key, CKK_AES));
  return right ? Ok() : Status(NoMasterKey());
}

Error RefusedAttributes(const std::string& names) {
  return FailedPrecondition("the HSM key has refused attributes (wrong:" + names +
                            "); make a new one with this service and re-wrap");
}

}  // namespace

Result<GeneratedKey> GenerateMasterKeyObject(Session& session, const MasterKeyTemplate& key,
                                             ExtraAttributes extras) {
  if (!UsesRsa(key.mechanism)) {
    AttributeList attributes = AesTemplate(key, extras);
    GeneratedKey generated;
    generated.handle = KMS_TRY(session.GenerateKey(CKM_AES_KEY_GEN, attributes.span()));
    return generated;
  }
  AttributeList public_attributes = RsaPublicTemplate(key, extras);
  AttributeList private_attributes = RsaPrivateTemplate(key, extras);
  const Session::KeyPair pair = KMS_TRY(session.GenerateKeyPair(
      CKM_RSA_PKCS_KEY_PAIR_GEN, public_attributes.span(), private_attributes.span()));
  GeneratedKey generated;
  generated.handle = pair.private_key;
  generated.public_handle = pair.public_key;
  generated.public_key = KMS_TRY(EncodePublicKey(session, pair.public_key));
  return generated;
}

Result<CK_OBJECT_HANDLE> FindMasterKeyObject(Session& session, const Uuid& id) {
  const auto found = KMS_TRY(FindSecretObjects(session, id));
  if (found.empty()) {
    KMS_TRY(RequireLogin(session));
    return NotFound("the HSM token has no master key " + id.ToString());
  }
  if (found.size() == 1) return found.front();
  std::string names;
  for (const CK_OBJECT_HANDLE object : found) {
    const Bytes label = KMS_TRY(session.ReadAttribute(object, CKA_LABEL));
    names += (names.empty() ? "\"" : ", \"") + std::string(AsText(label)) + "\"";
  }
  return FailedPrecondition("the HSM token has " + std::to_string(found.size()) +
                            " objects for master key " + id.ToString() + " (" + names +
                            "); none is used until all but the right one are removed");
}

Result<KeyUsage> ReadKeyUsage(Session& session, CK_OBJECT_HANDLE key) {
  const bool encrypts = KMS_TRY(session.ReadFlag(key, CKA_ENCRYPT));
  const bool decrypts = KMS_TRY(session.ReadFlag(key, CKA_DECRYPT));
  const bool wraps = KMS_TRY(session.ReadFlag(key, CKA_WRAP));
  const bool unwraps = KMS_TRY(session.ReadFlag(key, CKA_UNWRAP));
  if ((encrypts || decrypts) == (wraps || unwraps)) {
    return FailedPrecondition(
        "the master key may both encrypt and wrap, or neither; make one for a single use");
  }
  return decrypts ? KeyUsage::kEncryptDecrypt : KeyUsage::kWrapUnwrap;
}

Status CheckSecrecyAttributes(Session& session, CK_OBJECT_HANDLE key, bool demand_local) {
  std::string wrong;
  for (const DemandRow& row : kDemanded) {
    if (row.type == CKA_LOCAL && !demand_local) continue;
    const bool value = KMS_TRY(session.ReadFlag(key, row.type));
    if (value != row.value) wrong += " " + std::string(row.name);
  }
  if (!wrong.empty()) return RefusedAttributes(wrong);
  return Ok();
}

Status CheckMasterKeyAttributes(Session& session, CK_OBJECT_HANDLE key,
                                const KeyDemands& demands) {
  KMS_TRY(CheckSecrecyAttributes(session, key, demands.local));
  KMS_TRY(CheckMasterKeyKind(session, key, demands.mechanism));
  if (demands.unmodifiable) {
    const bool modifiable = KMS_TRY(session.ReadFlag(key, CKA_MODIFIABLE));
    if (modifiable) return RefusedAttributes(" CKA_MODIFIABLE");
  }
  const KeyUsage usage = KMS_TRY(ReadKeyUsage(session, key));
  if (usage != RowOf(demands.mechanism).usage) {
    return FailedPrecondition("the master key does not allow what its record says it is used for; "
                              "check that the token is the right one");
  }
  return Ok();
}

Status RequireLogin(Session& session) {
  const bool logged_in = KMS_TRY(session.LoggedIn());
  if (logged_in) return Ok();
  return session.Fail({CKR_USER_NOT_LOGGED_IN, "C_GetSessionInfo"});
}

Result<bool> IsRsaKey(Session& session, CK_OBJECT_HANDLE key) {
  return IsOfKeyType(session, key, CKK_RSA);
}

Result<Bytes> ReadRsaPublicKey(Session& session, const Uuid& id) {
  AttributeList wanted;
  wanted.Number(CKA_CLASS, CKO_PUBLIC_KEY).Flag(CKA_TOKEN, true).Data(CKA_ID, id.View());
  const auto found = KMS_TRY(session.Find(wanted.span()));
  if (found.size() != 1) {
    return FailedPrecondition("the HSM token lacks the public half of master key " +
                              id.ToString() + "; restore the token from a backup");
  }
  return EncodePublicKey(session, found.front());
}

Status CheckLabelToDestroy(Session& session, CK_OBJECT_HANDLE object, std::string_view label,
                           std::string_view what) {
  const Bytes found = KMS_TRY(session.ReadAttribute(object, CKA_LABEL));
  if (AsText(found) == label) return Ok();
  return FailedPrecondition(
      "the key in the HSM is \"" + std::string(AsText(found)) + "\", and " + std::string(what) +
      " \"" + std::string(label) +
      "\" was to be destroyed; nothing was destroyed: the record in the store that names this key "
      "is wrong, restore the store from a backup");
}

Status DestroyMasterKeyObjects(Session& session, const Uuid& id, std::string_view label) {
  // The private half before the public one: what an interruption leaves opens nothing.
  std::vector<CK_OBJECT_HANDLE> found = KMS_TRY(FindSecretObjects(session, id));
  AttributeList public_half;
  public_half.Number(CKA_CLASS, CKO_PUBLIC_KEY).Flag(CKA_TOKEN, true).Data(CKA_ID, id.View());
  const auto publics = KMS_TRY(session.Find(public_half.span()));
  found.insert(found.end(), publics.begin(), publics.end());
  if (found.empty()) return RequireLogin(session);
  for (const CK_OBJECT_HANDLE object : found) {
    KMS_TRY(CheckMasterKeyToDestroy(session, object, label));
  }
  for (const CK_OBJECT_HANDLE object : found) KMS_TRY(session.DestroyObject(object));
  return Ok();
}

Status OpenSentinel(Session& session, CK_OBJECT_HANDLE key, const MasterKeyRecord& record) {
  const WrappingKey wrapping{
      .handle = key, .profile = ProfileOf(record), .public_key = record.public_key};
  const SecretBytes opened = KMS_TRY(
      UnwrapUnder(session, wrapping, record.sentinel, SentinelContext(record.id)));
  if (!EqualInConstantTime(opened.View(), SentinelValue(record.id))) {
    return Corrupted("the master key in the HSM is not the recorded one; restore the token from a "
                     "backup");
  }
  return Ok();
}

Result<WrappedKey> WrapSentinel(Session& session, const WrappingKey& key, const Uuid& id) {
  const SecretBytes value = KMS_TRY(SecretBytes::CopyOf(SentinelValue(id)));
  return WrapUnder(session, key, value, SentinelContext(id));
}

WrapProfile ProfileOf(const MasterKeyRecord& record) {
  return {.mechanism = record.mechanism,
          .gcm_layout = record.gcm_layout,
          .unwrap_needs_value_length = record.unwrap_needs_value_length};
}

}  // namespace kms::pkcs11
