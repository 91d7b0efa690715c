// SPDX-License-Identifier: Apache-2.0
// What a resident key may do follows from its type, in one table. Both halves of a pair are kept in
// the token: of an EC key the private half alone does not tell the public one.
#include "pkcs11/resident_object.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>

#include "kms/crypto/der.h"
#include "pkcs11/attributes.h"
#include "pkcs11/oaep.h"

namespace kms::pkcs11 {
namespace {

constexpr std::size_t kAesKeyBytes = 32;
constexpr std::uint8_t kRsaExponent[] = {0x01, 0x00, 0x01};

// DER of the curves' names.
constexpr std::uint8_t kP256[] = {0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07};
constexpr std::uint8_t kP384[] = {0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x22};
constexpr std::uint8_t kP521[] = {0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x23};
constexpr std::uint8_t kEcPublicKey[] = {0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01};

struct Row {
  ResidentKeyType type;
  CK_KEY_TYPE key_type;
  CK_ULONG bits;  // of an RSA modulus
  ByteView curve;
};
constexpr Row kRows[] = {
    {ResidentKeyType::kAes256Gcm, CKK_AES, 0, {}},
    {ResidentKeyType::kRsa2048, CKK_RSA, 2048, {}},
    {ResidentKeyType::kRsa3072, CKK_RSA, 3072, {}},
    {ResidentKeyType::kRsa4096, CKK_RSA, 4096, {}},
    {ResidentKeyType::kEcdsaP256, CKK_EC, 0, kP256},
    {ResidentKeyType::kEcdsaP384, CKK_EC, 0, kP384},
    {ResidentKeyType::kEcdsaP521, CKK_EC, 0, kP521},
};
const Row& RowOf(ResidentKeyType type) { return *std::ranges::find(kRows, type, &Row::type); }

struct UsageRow {
  CK_KEY_TYPE key_type;
  CK_ATTRIBUTE_TYPE attribute;
  bool value;
  std::string_view name;
};
constexpr UsageRow kUsage[] = {
    {CKK_AES, CKA_ENCRYPT, true, "CKA_ENCRYPT"}, {CKK_AES, CKA_DECRYPT, true, "CKA_DECRYPT"},
    {CKK_AES, CKA_WRAP, false, "CKA_WRAP"},      {CKK_AES, CKA_UNWRAP, false, "CKA_UNWRAP"},
    {CKK_AES, CKA_SIGN, false, "CKA_SIGN"},      {CKK_AES, CKA_VERIFY, false, "CKA_VERIFY"},
    {CKK_AES, CKA_DERIVE, false, "CKA_DERIVE"},  {CKK_RSA, CKA_SIGN, true, "CKA_SIGN"},
    {CKK_RSA, CKA_DECRYPT, true, "CKA_DECRYPT"}, {CKK_RSA, CKA_UNWRAP, false, "CKA_UNWRAP"},
    {CKK_RSA, CKA_DERIVE, false, "CKA_DERIVE"},  {CKK_EC, CKA_SIGN, true, "CKA_SIGN"},
    {CKK_EC, CKA_DECRYPT, false, "CKA_DECRYPT"}, {CKK_EC, CKA_UNWRAP, false, "CKA_UNWRAP"},
};

Error Refused(const std::string& wrong) {
  return FailedPrecondition("the key in the HSM has refused attributes (wrong:" + wrong +
                            "); it is not used");
}

Result<CK_ULONG> ReadNumber(Session& session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) {
  const Bytes value = KMS_TRY(session.ReadAttribute(object, type, sizeof(CK_ULONG)));
  CK_ULONG number = kUnavailableInformation;
  if (value.size() == sizeof(number)) std::memcpy(&number, value.data(), sizeof(number));
  return number;
}

// Some modules show numbers with leading zeros.
Bytes WithoutLeadingZeros(const Bytes& number) {
  return {std::ranges::find_if(number, [](std::uint8_t byte) { return byte != 0; }), number.end()};
}

// ---- templates ---------------------------------------------------------------------------------

void AddIdentity(AttributeList& list, const ResidentTemplate& key) {
  list.Flag(CKA_TOKEN, key.in_token).Data(CKA_ID, key.id.View());
  list.Data(CKA_LABEL, AsBytes(key.label));
}

AttributeList SecretTemplate(const ResidentTemplate& key, ExtraAttributes extras) {
  const Row& row = RowOf(key.type);
  AttributeList list;
  list.Number(CKA_CLASS, row.key_type == CKK_AES ? CKO_SECRET_KEY : CKO_PRIVATE_KEY);
  list.Number(CKA_KEY_TYPE, row.key_type);
  if (row.key_type == CKK_AES) list.Number(CKA_VALUE_LEN, kAesKeyBytes);
  AddIdentity(list, key);
  list.Flag(CKA_PRIVATE, true).Flag(CKA_SENSITIVE, true).Flag(CKA_EXTRACTABLE, false);
  for (const UsageRow& usage : kUsage) {
    if (usage.key_type == row.key_type) list.Flag(usage.attribute, usage.value);
  }
  if (row.key_type == CKK_EC) list.Flag(CKA_DERIVE, key.agrees);
  // What cannot be modified cannot be copied either.
  if (extras != ExtraAttributes::kNone && key.in_token) list.Flag(CKA_MODIFIABLE, false);
  return list;
}

AttributeList PublicTemplate(const ResidentTemplate& key) {
  const Row& row = RowOf(key.type);
  AttributeList list;
  list.Number(CKA_CLASS, CKO_PUBLIC_KEY).Number(CKA_KEY_TYPE, row.key_type);
  AddIdentity(list, key);
  list.Flag(CKA_PRIVATE, false).Flag(CKA_VERIFY, true);
  if (row.key_type == CKK_EC) {
    list.Data(CKA_EC_PARAMS, row.curve);
    return list;
  }
  list.Flag(CKA_ENCRYPT, true).Flag(CKA_WRAP, false);
  list.Number(CKA_MODULUS_BITS, row.bits).Data(CKA_PUBLIC_EXPONENT, kRsaExponent);
  return list;
}

Status Append(Session& session, AttributeList& wanted, std::vector<CK_OBJECT_HANDLE>& found) {
  const auto some = KMS_TRY(session.Find(wanted.span()));
  found.insert(found.end(), some.begin(), some.end());
  return Ok();
}

Result<ResidentObjects> FindObjects(Session& session, CK_ATTRIBUTE_TYPE type, ByteView value) {
  ResidentObjects objects;
  for (const CK_OBJECT_CLASS object_class :
       std::array{CKO_SECRET_KEY, CKO_PRIVATE_KEY, CKO_PUBLIC_KEY}) {
    AttributeList wanted;
    wanted.Number(CKA_CLASS, object_class).Flag(CKA_TOKEN, true).Data(type, value);
    KMS_TRY(Append(session, wanted,
                   object_class == CKO_PUBLIC_KEY ? objects.publics : objects.secrets));
  }
  return objects;
}

// ---- public keys -------------------------------------------------------------------------------

Error NoPublicKey() {
  return FailedPrecondition(
      "the HSM token does not tell the public half of the key; store its "
      "public key object beside it, with the same CKA_ID");
}

// PKCS #11 wants the point in an OCTET STRING; some modules give it bare.
Result<Bytes> PointOf(const Bytes& value, std::size_t field_bytes) {
  if (value.size() == 1 + 2 * field_bytes && value.front() == 0x04) return value;
  DerReader reader(value);
  const auto point = reader.TakeLast(DerTag::kOctetString);
  if (!point.has_value()) return Corrupted("the HSM gives an EC point that is none");
  return CopyOf(*point);
}

// SubjectPublicKeyInfo (RFC 5480).
Bytes EncodeEcPublicKey(ByteView curve, ByteView point) {
  const std::size_t algorithm = sizeof(kEcPublicKey) + curve.size();
  const std::size_t bits = 1 + point.size();
  const std::size_t content = DerElementBytes(algorithm) + DerElementBytes(bits);
  Bytes out(DerElementBytes(content));
  DerWriter writer(out);
  writer.Head(DerTag::kSequence, content);
  writer.Head(DerTag::kSequence, algorithm);
  writer.Raw(kEcPublicKey);
  writer.Raw(curve);
  writer.Head(DerTag::kBitString, bits);
  writer.Raw(Bytes{0});
  writer.Raw(point);
  return out;
}

Result<Bytes> ReadEcPublicKey(Session& session, ResidentKeyType type,
                              const std::array<CK_OBJECT_HANDLE, 2>& halves) {
  const std::size_t field_bytes = EcdsaFieldBytes(*AsymmetricAlgorithmOf(type));
  for (const CK_OBJECT_HANDLE half : halves) {
    if (half == CK_INVALID_HANDLE) continue;
    const Bytes value = KMS_TRY(session.ReadAttribute(half, CKA_EC_POINT));
    if (value.empty()) continue;
    const Bytes point = KMS_TRY(PointOf(value, field_bytes));
    return EncodeEcPublicKey(RowOf(type).curve, point);
  }
  return NoPublicKey();
}

Result<Bytes> ReadRsaPublicKey(Session& session, const std::array<CK_OBJECT_HANDLE, 2>& halves) {
  for (const CK_OBJECT_HANDLE half : halves) {
    if (half == CK_INVALID_HANDLE) continue;
    const Bytes modulus = KMS_TRY(session.ReadAttribute(half, CKA_MODULUS));
    if (modulus.empty()) continue;
    Bytes exponent = KMS_TRY(session.ReadAttribute(half, CKA_PUBLIC_EXPONENT));
    // Not every private key tells it; a wrong guess does not pass the known-answer test.
    if (exponent.empty()) exponent = CopyOf(kRsaExponent);
    return EncodeRsaPublicKey(modulus, exponent);
  }
  return NoPublicKey();
}

}  // namespace

Result<ResidentObjects> FindResidentObjects(Session& session, ByteView id) {
  return FindObjects(session, CKA_ID, id);
}

Result<ResidentObjects> FindLabelledObjects(Session& session, std::string_view label) {
  return FindObjects(session, CKA_LABEL, AsBytes(label));
}

Result<Session::KeyPair> GenerateResidentObjects(Session& session, const ResidentTemplate& key,
                                                 ExtraAttributes extras) {
  AttributeList secret = SecretTemplate(key, extras);
  if (key.type == ResidentKeyType::kAes256Gcm) {
    Session::KeyPair made;
    made.private_key = KMS_TRY(session.GenerateKey(CKM_AES_KEY_GEN, secret.span()));
    return made;
  }
  AttributeList public_half = PublicTemplate(key);
  const bool rsa = RowOf(key.type).key_type == CKK_RSA;
  return session.GenerateKeyPair(rsa ? CKM_RSA_PKCS_KEY_PAIR_GEN : CKM_EC_KEY_PAIR_GEN,
                                 public_half.span(), secret.span());
}

Status CopyResidentPair(Session& session, const Session::KeyPair& pair, ExtraAttributes extras) {
  AttributeList of_public;
  of_public.Flag(CKA_TOKEN, true);
  // The public half first: a pair that a crash halves is found to be none.
  KMS_TRY(session.CopyObject(pair.public_key, of_public.span()));
  AttributeList of_private;
  of_private.Flag(CKA_TOKEN, true);
  if (extras != ExtraAttributes::kNone) of_private.Flag(CKA_MODIFIABLE, false);
  KMS_TRY(session.CopyObject(pair.private_key, of_private.span()));
  return Ok();
}

Result<ResidentKeyType> ReadResidentType(Session& session, CK_OBJECT_HANDLE key) {
  const CK_ULONG key_type = KMS_TRY(ReadNumber(session, key, CKA_KEY_TYPE));
  CK_ULONG size = 0;
  Bytes curve;
  if (key_type == CKK_AES) size = KMS_TRY(ReadNumber(session, key, CKA_VALUE_LEN));
  if (key_type == CKK_RSA) {
    const Bytes modulus = KMS_TRY(session.ReadAttribute(key, CKA_MODULUS));
    size = WithoutLeadingZeros(modulus).size() * 8;
  }
  if (key_type == CKK_EC) curve = KMS_TRY(session.ReadAttribute(key, CKA_EC_PARAMS));
  for (const Row& row : kRows) {
    const bool fits = row.key_type == CKK_AES
                          ? size == kAesKeyBytes
                          : row.bits == size && std::ranges::equal(row.curve, curve);
    if (row.key_type == key_type && fits) return row.type;
  }
  return FailedPrecondition(
      "the key in the HSM is none that this service works with: AES of 256 "
      "bits, RSA of 2048, 3072 or 4096, EC on P-256, P-384 or P-521");
}

Status CheckOwnAttributes(Session& session, CK_OBJECT_HANDLE key, ResidentKeyType type,
                          const KeyDemands& demands) {
  KMS_TRY(CheckSecrecyAttributes(session, key, demands.local));
  std::string wrong;
  for (const UsageRow& row : kUsage) {
    if (row.key_type != RowOf(type).key_type) continue;
    const bool value = KMS_TRY(session.ReadFlag(key, row.attribute));
    if (value != row.value) wrong += " " + std::string(row.name);
  }
  if (demands.unmodifiable) {
    const bool modifiable = KMS_TRY(session.ReadFlag(key, CKA_MODIFIABLE));
    if (modifiable) wrong += " CKA_MODIFIABLE";
  }
  if (!wrong.empty()) return Refused(wrong);
  return Ok();
}

Status CheckExternalAttributes(Session& session, CK_OBJECT_HANDLE key, ResidentKeyType type) {
  constexpr struct {
    CK_ATTRIBUTE_TYPE type;
    bool value;
    std::string_view name;
  } kSecrecy[] = {{CKA_PRIVATE, true, "CKA_PRIVATE"},
                  {CKA_SENSITIVE, true, "CKA_SENSITIVE"},
                  {CKA_EXTRACTABLE, false, "CKA_EXTRACTABLE"},
                  {CKA_UNWRAP, false, "CKA_UNWRAP"},
                  {CKA_WRAP, false, "CKA_WRAP"}};
  std::string wrong;
  for (const auto& row : kSecrecy) {
    const bool value = KMS_TRY(session.ReadFlag(key, row.type));
    if (value != row.value) wrong += " " + std::string(row.name);
  }
  const bool encrypts = KMS_TRY(session.ReadFlag(key, CKA_ENCRYPT));
  const bool decrypts = KMS_TRY(session.ReadFlag(key, CKA_DECRYPT));
  const bool signs = KMS_TRY(session.ReadFlag(key, CKA_SIGN));
  const bool derives = KMS_TRY(session.ReadFlag(key, CKA_DERIVE));
  const bool useful = type == ResidentKeyType::kAes256Gcm ? encrypts && decrypts
                      : RowOf(type).key_type == CKK_EC    ? signs || derives
                                                          : signs || decrypts;
  if (!useful) wrong += " CKA_SIGN, CKA_DERIVE, CKA_ENCRYPT or CKA_DECRYPT";
  if (!wrong.empty()) return Refused(wrong);
  return Ok();
}

Status RefuseOwnLabel(std::string_view label) {
  if (!label.starts_with("kms/") && !label.starts_with("kms ")) return Ok();
  return FailedPrecondition("the key in the HSM belongs to this service; it is not lent to others");
}

Result<Bytes> ReadResidentPublicKey(Session& session, ResidentKeyType type, CK_OBJECT_HANDLE secret,
                                    CK_OBJECT_HANDLE public_key) {
  const auto algorithm = AsymmetricAlgorithmOf(type);
  if (!algorithm.has_value()) return Bytes();
  const std::array halves{public_key, secret};
  const Bytes spki = KMS_TRY(IsEcdsa(*algorithm) ? ReadEcPublicKey(session, type, halves)
                                                 : ReadRsaPublicKey(session, halves));
  const auto key = AsymmetricKey::FromPublicKey(*algorithm, spki);
  if (!key.has_value()) {
    return Corrupted("the HSM gives a public key that is none", key.error().public_message);
  }
  return key->PublicKey();
}

Status DestroyResidentObjects(Session& session, ByteView id, std::string_view label) {
  const ResidentObjects objects = KMS_TRY(FindResidentObjects(session, id));
  if (objects.secrets.empty()) KMS_TRY(RequireLogin(session));
  std::vector<CK_OBJECT_HANDLE> doomed = objects.secrets;
  doomed.insert(doomed.end(), objects.publics.begin(), objects.publics.end());
  for (const CK_OBJECT_HANDLE object : doomed) {
    const Bytes found = KMS_TRY(session.ReadAttribute(object, CKA_LABEL));
    if (AsText(found).starts_with(label) && !RefuseOwnLabel(AsText(found)).has_value()) continue;
    return FailedPrecondition("the key in the HSM is \"" + std::string(AsText(found)) +
                              "\", and one of \"" + std::string(label) +
                              "\" was to be destroyed; nothing was destroyed");
  }
  for (const CK_OBJECT_HANDLE object : doomed) KMS_TRY(session.DestroyObject(object));
  return Ok();
}

}  // namespace kms::pkcs11
