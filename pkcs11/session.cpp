// SPDX-License-Identifier: Apache-2.0
// Typed Cryptoki calls; whatever length a module reports is checked before it is believed.
#include "pkcs11/session.h"

#include <array>
#include <utility>

namespace kms::pkcs11 {
namespace {

constexpr std::size_t kOutputSlack = 64;     // tag, IV and padding of every mechanism we use
constexpr std::size_t kLargestModulus = 1024;  // RSA-8192

}  // namespace

Rv Session::Open(const Module& module, CK_SLOT_ID slot, std::optional<Session>& session) {
  CK_SESSION_HANDLE handle = CK_INVALID_HANDLE;
  const Rv rv = module.OpenSession(slot, handle);
  if (rv.ok()) session = Session(module, handle);
  return rv;
}

Result<Session> Session::Open(const Module& module, CK_SLOT_ID slot) {
  std::optional<Session> session;
  const Rv rv = Open(module, slot, session);
  if (!rv.ok()) return rv.ToError();
  return std::move(*session);
}

Rv Session::OpenBeside(Session& caller, CK_SLOT_ID slot, std::optional<Session>& session) {
  Rv rv = Open(caller.module(), slot, session);
  if (rv.kind() == RvKind::kBusy) {
    session = caller.Share();
    rv.value = CKR_OK;
  }
  return rv;
}

Result<Session> Session::OpenBeside(Session& caller, CK_SLOT_ID slot) {
  std::optional<Session> session;
  const Rv rv = OpenBeside(caller, slot, session);
  if (!rv.ok()) return rv.ToError();
  return std::move(*session);
}

Session Session::Share() {
  spent_ = true;
  return {*module_, handle_, /*owned=*/false};
}

Session::Session(Session&& other) noexcept
    : module_(other.module_),
      handle_(std::exchange(other.handle_, CK_INVALID_HANDLE)),
      owned_(other.owned_),
      spent_(other.spent_),
      failure_(other.failure_) {}

Session& Session::operator=(Session&& other) noexcept {
  if (this != &other) {
    Close();
    module_ = other.module_;
    handle_ = std::exchange(other.handle_, CK_INVALID_HANDLE);
    owned_ = other.owned_;
    spent_ = other.spent_;
    failure_ = other.failure_;
  }
  return *this;
}

Session::~Session() { Close(); }

void Session::Close() {
  if (owned_ && handle_ != CK_INVALID_HANDLE) module_->CloseSession(handle_);
  handle_ = CK_INVALID_HANDLE;
}

Error Session::Fail(Rv rv) {
  if (!failure_.has_value()) failure_ = rv;
  return rv.ToError();
}

Status Session::Check(CK_RV rv, std::string_view function) {
  if (rv == CKR_OK) return Ok();
  return Fail({rv, function});
}

Rv Session::Login(CK_USER_TYPE user, const SecretBytes& pin) {
  const CK_RV rv = module_->functions().C_Login(handle_, user, CkIn(pin.View()), pin.size());
  return {rv == CKR_USER_ALREADY_LOGGED_IN ? CKR_OK : rv, "C_Login"};
}

Result<bool> Session::LoggedIn() {
  CK_SESSION_INFO info{};
  KMS_TRY(Check(module_->functions().C_GetSessionInfo(handle_, &info), "C_GetSessionInfo"));
  return info.state == CKS_RW_USER_FUNCTIONS || info.state == CKS_RO_USER_FUNCTIONS;
}

Result<CK_OBJECT_HANDLE> Session::GenerateKey(CK_MECHANISM_TYPE mechanism,
                                              std::span<CK_ATTRIBUTE> attributes) {
  CK_MECHANISM generate{mechanism, nullptr, 0};
  CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
  KMS_TRY(Check(module_->functions().C_GenerateKey(handle_, &generate, attributes.data(),
                                                   attributes.size(), &key),
                "C_GenerateKey"));
  return key;
}

Result<Session::KeyPair> Session::GenerateKeyPair(CK_MECHANISM_TYPE mechanism,
                                                  std::span<CK_ATTRIBUTE> public_attributes,
                                                  std::span<CK_ATTRIBUTE> private_attributes) {
  CK_MECHANISM generate{mechanism, nullptr, 0};
  KeyPair pair;
  KMS_TRY(Check(module_->functions().C_GenerateKeyPair(
                    handle_, &generate, public_attributes.data(), public_attributes.size(),
                    private_attributes.data(), private_attributes.size(), &pair.public_key,
                    &pair.private_key),
                "C_GenerateKeyPair"));
  return pair;
}

Result<CK_OBJECT_HANDLE> Session::CreateObject(std::span<CK_ATTRIBUTE> attributes) {
  CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
  KMS_TRY(Check(module_->functions().C_CreateObject(handle_, attributes.data(), attributes.size(),
                                                    &object),
                "C_CreateObject"));
  return object;
}

Result<CK_OBJECT_HANDLE> Session::CopyObject(CK_OBJECT_HANDLE object,
                                             std::span<CK_ATTRIBUTE> attributes) {
  CK_OBJECT_HANDLE copy = CK_INVALID_HANDLE;
  KMS_TRY(Check(module_->functions().C_CopyObject(handle_, object, attributes.data(),
                                                  attributes.size(), &copy),
                "C_CopyObject"));
  return copy;
}

Status Session::DestroyObject(CK_OBJECT_HANDLE object) {
  return Check(module_->functions().C_DestroyObject(handle_, object), "C_DestroyObject");
}

Result<std::vector<CK_OBJECT_HANDLE>> Session::Find(std::span<CK_ATTRIBUTE> attributes) {
  const CK_FUNCTION_LIST& calls = module_->functions();
  KMS_TRY(Check(calls.C_FindObjectsInit(handle_, attributes.data(), attributes.size()),
                "C_FindObjectsInit"));
  // Modules may return fewer than they have; only an empty answer ends the search.
  std::vector<CK_OBJECT_HANDLE> found;
  std::array<CK_OBJECT_HANDLE, 16> batch{};
  CK_ULONG count = 0;
  do {
    const std::size_t room = batch.size() - found.size();
    KMS_TRY(Check(calls.C_FindObjects(handle_, batch.data(), room, &count), "C_FindObjects"));
    if (count > room) return Fail({CKR_DEVICE_ERROR, "C_FindObjects: impossible count"});
    found.insert(found.end(), batch.begin(), batch.begin() + static_cast<std::ptrdiff_t>(count));
  } while (count > 0 && found.size() < batch.size());
  KMS_TRY(Check(calls.C_FindObjectsFinal(handle_), "C_FindObjectsFinal"));
  return found;
}

Result<Bytes> Session::ReadAttribute(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                                     std::size_t limit) {
  Bytes value(limit);
  CK_ATTRIBUTE attribute{type, value.data(), value.size()};
  const CK_RV rv = module_->functions().C_GetAttributeValue(handle_, object, &attribute, 1);
  if (rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_SENSITIVE) return Bytes();
  KMS_TRY(Check(rv, "C_GetAttributeValue"));
  if (attribute.ulValueLen == kUnavailableInformation) return Bytes();
  if (attribute.ulValueLen > value.size()) {
    return Fail({CKR_DEVICE_ERROR, "C_GetAttributeValue: impossible length"});
  }
  value.resize(attribute.ulValueLen);
  return value;
}

Result<bool> Session::ReadFlag(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) {
  const Bytes value = KMS_TRY(ReadAttribute(object, type, sizeof(CK_ULONG)));
  return value.size() == sizeof(CK_BBOOL) && value.front() != CK_FALSE;
}

Result<SecretBytes> Session::ReadKeyValue(CK_OBJECT_HANDLE key, std::size_t limit) {
  SecretBytes buffer = KMS_TRY(SecretBytes::OfSize(limit));
  CK_ATTRIBUTE attribute{CKA_VALUE, buffer.MutableView().data(), buffer.size()};
  KMS_TRY(Check(module_->functions().C_GetAttributeValue(handle_, key, &attribute, 1),
                "C_GetAttributeValue"));
  if (attribute.ulValueLen > buffer.size()) {
    return Fail({CKR_DEVICE_ERROR, "C_GetAttributeValue: impossible length"});
  }
  return SecretBytes::CopyOf(buffer.View().first(attribute.ulValueLen));
}

Result<Bytes> Session::Encrypt(CK_MECHANISM& mechanism, CK_OBJECT_HANDLE key, ByteView plaintext) {
  const CK_FUNCTION_LIST& calls = module_->functions();
  KMS_TRY(Check(calls.C_EncryptInit(handle_, &mechanism, key), "C_EncryptInit"));
  Bytes out(plaintext.size() + kOutputSlack);
  CK_ULONG size = out.size();
  KMS_TRY(Check(calls.C_Encrypt(handle_, CkIn(plaintext), plaintext.size(), out.data(), &size),
                "C_Encrypt"));
  if (size > out.size()) return Fail({CKR_DEVICE_ERROR, "C_Encrypt: impossible length"});
  out.resize(size);
  return out;
}

Result<SecretBytes> Session::Decrypt(CK_MECHANISM& mechanism, CK_OBJECT_HANDLE key,
                                     ByteView ciphertext) {
  const CK_FUNCTION_LIST& calls = module_->functions();
  SecretBytes out = KMS_TRY(SecretBytes::OfSize(ciphertext.size() + kOutputSlack));
  KMS_TRY(Check(calls.C_DecryptInit(handle_, &mechanism, key), "C_DecryptInit"));
  CK_ULONG size = out.size();
  KMS_TRY(Check(calls.C_Decrypt(handle_, CkIn(ciphertext), ciphertext.size(),
                                out.MutableView().data(), &size),
                "C_Decrypt"));
  if (size > out.size()) return Fail({CKR_DEVICE_ERROR, "C_Decrypt: impossible length"});
  return SecretBytes::CopyOf(out.View().first(size));
}

Result<Bytes> Session::Sign(CK_MECHANISM& mechanism, CK_OBJECT_HANDLE key, ByteView data) {
  const CK_FUNCTION_LIST& calls = module_->functions();
  KMS_TRY(Check(calls.C_SignInit(handle_, &mechanism, key), "C_SignInit"));
  Bytes out(kLargestModulus);
  CK_ULONG size = out.size();
  KMS_TRY(Check(calls.C_Sign(handle_, CkIn(data), data.size(), out.data(), &size), "C_Sign"));
  if (size > out.size()) return Fail({CKR_DEVICE_ERROR, "C_Sign: impossible length"});
  out.resize(size);
  return out;
}

Result<Bytes> Session::Wrap(CK_MECHANISM& mechanism, CK_OBJECT_HANDLE wrapping,
                            CK_OBJECT_HANDLE key, std::size_t key_bytes) {
  Bytes out(key_bytes + kLargestModulus);
  CK_ULONG size = out.size();
  KMS_TRY(Check(module_->functions().C_WrapKey(handle_, &mechanism, wrapping, key, out.data(),
                                               &size),
                "C_WrapKey"));
  if (size > out.size()) return Fail({CKR_DEVICE_ERROR, "C_WrapKey: impossible length"});
  out.resize(size);
  return out;
}

Result<CK_OBJECT_HANDLE> Session::Unwrap(CK_MECHANISM& mechanism, CK_OBJECT_HANDLE unwrapping,
                                         ByteView wrapped, std::span<CK_ATTRIBUTE> attributes) {
  CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
  KMS_TRY(Check(module_->functions().C_UnwrapKey(handle_, &mechanism, unwrapping, CkIn(wrapped),
                                                 wrapped.size(), attributes.data(),
                                                 attributes.size(), &key),
                "C_UnwrapKey"));
  return key;
}

Result<CK_OBJECT_HANDLE> Session::Derive(CK_MECHANISM& mechanism, CK_OBJECT_HANDLE base,
                                         std::span<CK_ATTRIBUTE> attributes) {
  CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
  KMS_TRY(Check(module_->functions().C_DeriveKey(handle_, &mechanism, base, attributes.data(),
                                                 attributes.size(), &key),
                "C_DeriveKey"));
  return key;
}

Result<SecretBytes> Session::Random(std::size_t size) {
  SecretBytes out = KMS_TRY(SecretBytes::OfSize(size));
  KMS_TRY(Check(module_->functions().C_GenerateRandom(handle_, out.MutableView().data(), size),
                "C_GenerateRandom"));
  return out;
}

}  // namespace kms::pkcs11
