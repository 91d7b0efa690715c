// SPDX-License-Identifier: Apache-2.0
// Import keys are told from master keys by their size: an RSA master key has 3072 bits.
#include "pkcs11/import_key.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "kms/base/random.h"
#include "pkcs11/oaep.h"

namespace kms::pkcs11 {
namespace {

constexpr std::uint8_t kExponent[] = {0x01, 0x00, 0x01};
constexpr std::size_t kTestSecretBytes = 32;

struct HashRow {
  HashAlgorithm hash;
  CK_MECHANISM_TYPE mechanism;
  CK_RSA_PKCS_MGF_TYPE mask;
};
constexpr HashRow kHashRows[] = {
    {HashAlgorithm::kSha1, CKM_SHA_1, CKG_MGF1_SHA1},
    {HashAlgorithm::kSha2_224, CKM_SHA224, CKG_MGF1_SHA224},
    {HashAlgorithm::kSha2_256, CKM_SHA256, CKG_MGF1_SHA256},
    {HashAlgorithm::kSha2_384, CKM_SHA384, CKG_MGF1_SHA384},
    {HashAlgorithm::kSha2_512, CKM_SHA512, CKG_MGF1_SHA512},
};
static_assert(std::size(kHashRows) == kImportHashes.size());

struct UsageRow {
  CK_ATTRIBUTE_TYPE type;
  bool value;
  std::string_view name;
};
constexpr UsageRow kUsage[] = {
    {CKA_DECRYPT, true, "CKA_DECRYPT"}, {CKA_SIGN, false, "CKA_SIGN"},
    {CKA_UNWRAP, false, "CKA_UNWRAP"},  {CKA_SIGN_RECOVER, false, "CKA_SIGN_RECOVER"},
    {CKA_DERIVE, false, "CKA_DERIVE"},
};

constexpr CK_MECHANISM_TYPE kAllowedMechanisms[] = {CKM_RSA_PKCS_OAEP, CKM_RSA_X_509};

Error Refused(const std::string& why) {
  return FailedPrecondition("the object with the import key's id is refused (" + why +
                            "); remove it from the HSM token");
}

AttributeList PublicTemplate() {
  AttributeList list;
  list.Number(CKA_CLASS, CKO_PUBLIC_KEY).Number(CKA_KEY_TYPE, CKK_RSA);
  list.Flag(CKA_TOKEN, false).Flag(CKA_PRIVATE, false);
  list.Number(CKA_MODULUS_BITS, kImportKeyBits).Data(CKA_PUBLIC_EXPONENT, kExponent);
  list.Flag(CKA_ENCRYPT, true).Flag(CKA_VERIFY, false).Flag(CKA_WRAP, false);
  return list;
}

AttributeList PrivateTemplate(const ImportKeyTemplate& key, ExtraAttributes extras) {
  AttributeList list;
  list.Number(CKA_CLASS, CKO_PRIVATE_KEY).Number(CKA_KEY_TYPE, CKK_RSA);
  list.Flag(CKA_TOKEN, key.in_token).Data(CKA_ID, key.id.View());
  list.Data(CKA_LABEL, AsBytes(key.label));
  list.Flag(CKA_PRIVATE, true).Flag(CKA_SENSITIVE, true).Flag(CKA_EXTRACTABLE, false);
  for (const UsageRow& row : kUsage) list.Flag(row.type, row.value);
  if (extras == ExtraAttributes::kNone) return list;
  list.Data(CKA_ALLOWED_MECHANISMS, {reinterpret_cast<const std::uint8_t*>(kAllowedMechanisms),
                                     sizeof(kAllowedMechanisms)});
  // What cannot be modified cannot be copied either.
  if (key.in_token) list.Flag(CKA_MODIFIABLE, false);
  return list;
}

// Objects with the id that hold a secret, of any kind.
Result<std::vector<CK_OBJECT_HANDLE>> FindObjects(Session& session, const Uuid& id) {
  std::vector<CK_OBJECT_HANDLE> found;
  for (const CK_OBJECT_CLASS object_class : std::array{CKO_SECRET_KEY, CKO_PRIVATE_KEY}) {
    AttributeList wanted;
    wanted.Number(CKA_CLASS, object_class).Flag(CKA_TOKEN, true).Data(CKA_ID, id.View());
    const auto some = KMS_TRY(session.Find(wanted.span()));
    found.insert(found.end(), some.begin(), some.end());
  }
  return found;
}

// Some modules show the modulus with leading zeros.
Bytes WithoutLeadingZeros(const Bytes& number) {
  return {std::ranges::find_if(number, [](std::uint8_t byte) { return byte != 0; }), number.end()};
}

Result<SecretBytes> OpenInToken(Session& session, const ImportKeyObject& key, HashAlgorithm hash,
                                ByteView ciphertext) {
  const auto* const row = std::ranges::find(kHashRows, hash, &HashRow::hash);
  CK_RSA_PKCS_OAEP_PARAMS parameters{row->mechanism, row->mask, CKZ_DATA_SPECIFIED, nullptr, 0};
  CK_MECHANISM mechanism{CKM_RSA_PKCS_OAEP, &parameters, sizeof(parameters)};
  return session.Decrypt(mechanism, key.handle, ciphertext);
}

Result<std::optional<SecretBytes>> OpenInWorker(Session& session, const ImportKeyObject& key,
                                                HashAlgorithm hash, ByteView ciphertext) {
  // RFC 8017, 5.1.2: a ciphertext representative is less than the modulus. Neither is secret.
  if (!std::ranges::lexicographical_compare(ciphertext, key.modulus)) {
    return std::optional<SecretBytes>();
  }
  CK_MECHANISM mechanism{CKM_RSA_X_509, nullptr, 0};
  const SecretBytes encoded = KMS_TRY(session.Decrypt(mechanism, key.handle, ciphertext));
  if (encoded.size() != key.modulus.size()) {
    return session.Fail({CKR_DEVICE_ERROR, "C_Decrypt: impossible length"});
  }
  return RemoveOaep(hash, encoded);
}

Result<ImportKeyObject> ReadImportKey(Session& session, CK_OBJECT_HANDLE object) {
  ImportKeyObject key{.handle = object, .modulus = {}, .public_key = {}};
  const bool rsa = KMS_TRY(IsRsaKey(session, key.handle));
  if (!rsa) return Refused("it is no RSA key");
  key.modulus = WithoutLeadingZeros(KMS_TRY(session.ReadAttribute(key.handle, CKA_MODULUS)));
  if (key.modulus.size() != kImportCiphertextBytes) return Refused("it has not 4096 bits");
  Bytes exponent = KMS_TRY(session.ReadAttribute(key.handle, CKA_PUBLIC_EXPONENT));
  // Not every private key tells it; a wrong guess would not pass the known-answer test.
  if (exponent.empty()) exponent = CopyOf(kExponent);
  key.public_key = KMS_TRY(EncodeRsaPublicKey(key.modulus, exponent));
  return key;
}

}  // namespace

Result<std::optional<ImportKeyObject>> FindImportKey(Session& session, const Uuid& id) {
  const auto found = KMS_TRY(FindObjects(session, id));
  if (found.empty()) return std::optional<ImportKeyObject>();
  if (found.size() > 1) return Refused(std::to_string(found.size()) + " objects bear it");
  return std::optional(KMS_TRY(ReadImportKey(session, found.front())));
}

Status CheckImportKeyAttributes(Session& session, CK_OBJECT_HANDLE key,
                                const KeyDemands& demands) {
  KMS_TRY(CheckSecrecyAttributes(session, key, demands.local));
  std::string wrong;
  for (const UsageRow& row : kUsage) {
    const bool value = KMS_TRY(session.ReadFlag(key, row.type));
    if (value != row.value) wrong += " " + std::string(row.name);
  }
  if (demands.unmodifiable) {
    const bool modifiable = KMS_TRY(session.ReadFlag(key, CKA_MODIFIABLE));
    if (modifiable) wrong += " CKA_MODIFIABLE";
  }
  if (!wrong.empty()) return Refused("wrong:" + wrong);
  return Ok();
}

Status DestroyImportKeyObjects(Session& session, const Uuid& id, std::string_view label) {
  const auto found = KMS_TRY(FindObjects(session, id));
  if (found.empty()) return RequireLogin(session);
  for (const CK_OBJECT_HANDLE object : found) {
    KMS_TRY(ReadImportKey(session, object));
    KMS_TRY(CheckLabelToDestroy(session, object, label, "import key"));
  }
  for (const CK_OBJECT_HANDLE object : found) KMS_TRY(session.DestroyObject(object));
  return Ok();
}

Result<CK_OBJECT_HANDLE> GenerateImportKeyPair(Session& session, const ImportKeyTemplate& key,
                                               ExtraAttributes extras) {
  AttributeList public_attributes = PublicTemplate();
  AttributeList private_attributes = PrivateTemplate(key, extras);
  const Session::KeyPair pair = KMS_TRY(session.GenerateKeyPair(
      CKM_RSA_PKCS_KEY_PAIR_GEN, public_attributes.span(), private_attributes.span()));
  return pair.private_key;
}

Result<CK_OBJECT_HANDLE> CopyIntoToken(Session& session, CK_OBJECT_HANDLE key,
                                       ExtraAttributes extras) {
  AttributeList changes;
  changes.Flag(CKA_TOKEN, true);
  if (extras != ExtraAttributes::kNone) changes.Flag(CKA_MODIFIABLE, false);
  return session.CopyObject(key, changes.span());
}

Result<std::optional<SecretBytes>> OpenImport(Session& session, const ImportKeyObject& key,
                                              const ImportCiphertext& ciphertext) {
  if (ciphertext.bytes.size() != key.modulus.size() ||
      ciphertext.place == OaepPlace::kNowhere) {
    return std::optional<SecretBytes>();
  }
  if (ciphertext.place == OaepPlace::kWorker) {
    return OpenInWorker(session, key, ciphertext.hash, ciphertext.bytes);
  }
  return std::optional(
      KMS_TRY(OpenInToken(session, key, ciphertext.hash, ciphertext.bytes)));
}

Result<bool> OpensItsOwnImports(Session& session, const ImportKeyObject& key, HashAlgorithm hash,
                                OaepPlace place) {
  SecretBytes secret = KMS_TRY(SecretBytes::OfSize(kTestSecretBytes));
  FillRandom(secret.MutableView());
  const Bytes ciphertext = KMS_TRY(EncryptOaep(key.public_key, hash, secret.View()));
  const auto opened =
      KMS_TRY(OpenImport(session, key, {.hash = hash, .place = place, .bytes = ciphertext}));
  return opened.has_value() && *opened == secret;
}

}  // namespace kms::pkcs11
