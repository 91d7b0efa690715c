// SPDX-License-Identifier: Apache-2.0
// Numbers are big-endian. The check of a data object is the first 8 bytes of SHA-256 over
// "kms epoch v1", the id and the number; CKA_ID of a key is the first 16 of SHA-256 over
// "kms epoch key v1" and the id, so that it is nobody's master key. Labels are "kms/epoch/" and 16
// hexadecimal digits.
#include "pkcs11/epoch_object.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kms/base/digest.h"
#include "pkcs11/attributes.h"
#include "pkcs11/master_key.h"

namespace kms::pkcs11 {
namespace {

constexpr std::string_view kLabelPrefix = "kms/epoch/";
constexpr std::size_t kDigits = 16;
constexpr std::size_t kNumberBytes = 8;
constexpr std::size_t kCheckBytes = 8;
constexpr CK_ULONG kAesKeyBytes = 32;
constexpr std::uint8_t kPrime256v1[] = {0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07};

struct EpochObject {
  CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
  EpochForm form = EpochForm::kData;
};

std::string ApplicationOf(const Uuid& id) { return "kms epoch " + id.ToString(); }

Bytes KeyIdOf(const Uuid& id) {
  const Sha256Digest digest = Sha256({AsBytes("kms epoch key v1"), id.View()});
  return CopyOf(ByteView(digest).first(Uuid::kBytes));
}

Bytes EncodeNumber(std::uint64_t value) {
  Bytes number(kNumberBytes);
  for (std::size_t index = kNumberBytes; index-- > 0; value >>= 8U) {
    number[index] = static_cast<std::uint8_t>(value);
  }
  return number;
}

std::string LabelOf(std::uint64_t value) {
  return std::string(kLabelPrefix) + HexEncode(EncodeNumber(value));
}

Bytes ValueOf(const Uuid& id, std::uint64_t value) {
  Bytes encoded = EncodeNumber(value);
  const Sha256Digest check = Sha256({AsBytes("kms epoch v1"), id.View(), encoded});
  encoded.insert(encoded.end(), check.begin(), check.begin() + kCheckBytes);
  return encoded;
}

Error Damaged() {
  return Corrupted(
      "an epoch object in the HSM token is damaged: restore the token from a backup, or "
      "remove the object and start with --accept-rollback");
}

Result<std::uint64_t> ReadValue(Session& session, const EpochObject& object, const Uuid& id) {
  std::uint64_t value = 0;
  if (object.form == EpochForm::kData) {
    const Bytes encoded = KMS_TRY(session.ReadAttribute(object.handle, CKA_VALUE, 64));
    for (const std::uint8_t byte :
         ByteView(encoded).first(std::min(encoded.size(), kNumberBytes))) {
      value = value << 8U | byte;
    }
    return encoded == ValueOf(id, value) ? Result<std::uint64_t>(value) : Damaged();
  }
  const Bytes label = KMS_TRY(session.ReadAttribute(object.handle, CKA_LABEL, 256));
  const std::string_view text = AsText(label);
  if (text.size() != kLabelPrefix.size() + kDigits) return Damaged();
  std::from_chars(text.data() + kLabelPrefix.size(), text.data() + text.size(), value, 16);
  return text == LabelOf(value) ? Result<std::uint64_t>(value) : Damaged();
}

AttributeList SearchFor(EpochForm form, const Uuid& id) {
  AttributeList wanted;
  wanted.Flag(CKA_TOKEN, true);
  switch (form) {
    case EpochForm::kData:
      wanted.Number(CKA_CLASS, CKO_DATA).Data(CKA_APPLICATION, AsBytes(ApplicationOf(id)));
      break;
    case EpochForm::kSecretKey:
      wanted.Number(CKA_CLASS, CKO_SECRET_KEY).Data(CKA_ID, KeyIdOf(id));
      break;
    case EpochForm::kKeyPair:
      wanted.Number(CKA_CLASS, CKO_PRIVATE_KEY).Data(CKA_ID, KeyIdOf(id));
      break;
  }
  return wanted;
}

Result<std::vector<EpochObject>> FindObjects(Session& session, const Uuid& id) {
  std::vector<EpochObject> objects;
  for (const EpochForm form : {EpochForm::kData, EpochForm::kSecretKey, EpochForm::kKeyPair}) {
    AttributeList wanted = SearchFor(form, id);
    const auto found = KMS_TRY(session.Find(wanted.span()));
    for (const CK_OBJECT_HANDLE handle : found) objects.push_back({.handle = handle, .form = form});
  }
  return objects;
}

void AddSecrecy(AttributeList& list) {
  list.Flag(CKA_PRIVATE, true).Flag(CKA_SENSITIVE, true).Flag(CKA_EXTRACTABLE, false);
}

Status MakeData(Session& session, const Uuid& id, std::uint64_t value) {
  AttributeList list;
  list.Number(CKA_CLASS, CKO_DATA).Flag(CKA_TOKEN, true).Flag(CKA_PRIVATE, true);
  list.Data(CKA_LABEL, AsBytes(LabelOf(value)));
  list.Data(CKA_APPLICATION, AsBytes(ApplicationOf(id)));
  list.Data(CKA_VALUE, ValueOf(id, value));
  KMS_TRY(session.CreateObject(list.span()));
  return Ok();
}

Status MakeSecretKey(Session& session, const Uuid& id, std::uint64_t value) {
  AttributeList list;
  list.Number(CKA_CLASS, CKO_SECRET_KEY).Number(CKA_KEY_TYPE, CKK_AES);
  list.Number(CKA_VALUE_LEN, kAesKeyBytes).Flag(CKA_TOKEN, true);
  list.Data(CKA_ID, KeyIdOf(id)).Data(CKA_LABEL, AsBytes(LabelOf(value)));
  AddSecrecy(list);
  for (const CK_ATTRIBUTE_TYPE usage : std::array{CKA_ENCRYPT, CKA_DECRYPT, CKA_WRAP, CKA_UNWRAP,
                                                  CKA_SIGN, CKA_VERIFY, CKA_DERIVE}) {
    list.Flag(usage, false);
  }
  KMS_TRY(session.GenerateKey(CKM_AES_KEY_GEN, list.span()));
  return Ok();
}

// The public half ends with the session.
Status MakeKeyPair(Session& session, const Uuid& id, std::uint64_t value) {
  AttributeList open;
  open.Number(CKA_CLASS, CKO_PUBLIC_KEY).Number(CKA_KEY_TYPE, CKK_EC);
  open.Data(CKA_EC_PARAMS, kPrime256v1).Flag(CKA_TOKEN, false).Flag(CKA_PRIVATE, false);
  AttributeList hidden;
  hidden.Number(CKA_CLASS, CKO_PRIVATE_KEY).Number(CKA_KEY_TYPE, CKK_EC).Flag(CKA_TOKEN, true);
  hidden.Data(CKA_ID, KeyIdOf(id)).Data(CKA_LABEL, AsBytes(LabelOf(value)));
  AddSecrecy(hidden);
  for (const CK_ATTRIBUTE_TYPE usage : std::array{CKA_SIGN, CKA_DECRYPT, CKA_UNWRAP, CKA_DERIVE}) {
    hidden.Flag(usage, false);
  }
  KMS_TRY(session.GenerateKeyPair(CKM_EC_KEY_PAIR_GEN, open.span(), hidden.span()));
  return Ok();
}

}  // namespace

Result<EpochObjects> ReadEpochObjects(Session& session, const Uuid& id) {
  const auto objects = KMS_TRY(FindObjects(session, id));
  if (objects.empty()) KMS_TRY(RequireLogin(session));
  EpochObjects read;
  for (const EpochObject& object : objects) {
    const std::uint64_t value = KMS_TRY(ReadValue(session, object, id));
    if (!read.value.has_value() || value > *read.value) {
      read = {.value = value, .form = object.form};
    }
  }
  return read;
}

Status MakeEpochObject(Session& session, const Uuid& id, std::uint64_t value, EpochForm form) {
  switch (form) {
    case EpochForm::kData: return MakeData(session, id, value);
    case EpochForm::kSecretKey: return MakeSecretKey(session, id, value);
    case EpochForm::kKeyPair: return MakeKeyPair(session, id, value);
  }
  return Internal("unknown form of an epoch");
}

Status DestroyEpochObjects(Session& session, const Uuid& id,
                           std::optional<std::uint64_t> keep_from) {
  const auto objects = KMS_TRY(FindObjects(session, id));
  if (objects.empty()) return RequireLogin(session);
  for (const EpochObject& object : objects) {
    if (keep_from.has_value()) {
      const std::uint64_t value = KMS_TRY(ReadValue(session, object, id));
      if (value >= *keep_from) continue;
    }
    KMS_TRY(session.DestroyObject(object.handle));
  }
  return Ok();
}

}  // namespace kms::pkcs11
