// SPDX-License-Identifier: Apache-2.0
// Wrapping and unwrapping by mechanism. Where a mechanism has no AAD, what is wrapped is
// key | zeros to a multiple of 8 (KW alone) | SHA-256(context), and the digest is compared.
#include "pkcs11/mechanism.h"

#include <algorithm>
#include <array>

#include "kms/base/digest.h"
#include "kms/base/random.h"
#include "pkcs11/attributes.h"
#include "pkcs11/gcm_mechanism.h"
#include "pkcs11/oaep.h"

namespace kms::pkcs11 {
namespace {

constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kLargestNonce = 16;
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kKwBlock = 8;
constexpr std::size_t kRsaBlobBytes = 384;  // the modulus of an RSA-3072 master key

constexpr MechanismRow kTable[] = {
    {WrapMechanism::kGcmEncrypt, CKM_AES_GCM, KeyUsage::kEncryptDecrypt, false},
    {WrapMechanism::kKwpEncrypt, kMechanismAesKwp, KeyUsage::kEncryptDecrypt, true},
    {WrapMechanism::kKwEncrypt, kMechanismAesKw, KeyUsage::kEncryptDecrypt, true},
    {WrapMechanism::kKwpWrap, kMechanismAesKwp, KeyUsage::kWrapUnwrap, true},
    {WrapMechanism::kKwWrap, kMechanismAesKw, KeyUsage::kWrapUnwrap, true},
    {WrapMechanism::kOaepSha256, CKM_RSA_PKCS_OAEP, KeyUsage::kEncryptDecrypt, false},
    {WrapMechanism::kOaepSha256Raw, CKM_RSA_X_509, KeyUsage::kEncryptDecrypt, false},
};

// ---- AES-GCM -----------------------------------------------------------------------------------

Result<WrappedKey> WrapByGcm(Session& session, const WrappingKey& master, const SecretBytes& key,
                             ByteView context) {
  std::array<std::uint8_t, kLargestNonce> room{};  // some modules write a longer nonce than ours
  const MutableByteView nonce = MutableByteView(room).first(kNonceBytes);
  FillRandom(nonce);
  const Bytes ours = CopyOf(nonce);
  GcmMechanism mechanism(master.profile.gcm_layout, nonce, context);
  Bytes out = KMS_TRY(session.Encrypt(mechanism.get(), master.handle, key.View()));

  const std::size_t sealed = key.size() + kTagBytes;
  const std::size_t extra = out.size() - std::min(out.size(), sealed);
  if (out.size() < sealed || (extra != 0 && (extra < kNonceBytes || extra > kLargestNonce))) {
    return session.Fail({CKR_DEVICE_ERROR, "C_Encrypt: impossible length"});
  }
  WrappedKey wrapped;
  wrapped.nonce_origin = NonceOrigin::kCaller;
  wrapped.nonce = ours;
  wrapped.tag_bytes = kTagBytes;
  if (extra != 0) {
    wrapped.nonce_origin = NonceOrigin::kAppended;
    wrapped.nonce = CopyOf(ByteView(out).subspan(sealed));
    out.resize(sealed);
  } else if (!std::ranges::equal(nonce, ours)) {
    wrapped.nonce_origin = NonceOrigin::kReplaced;
    wrapped.nonce = CopyOf(nonce);
  }
  wrapped.blob = std::move(out);
  return wrapped;
}

Result<SecretBytes> UnwrapByGcm(Session& session, const WrappingKey& master,
                                const WrappedKey& wrapped, ByteView context) {
  // A zero-length nonce means a constant one to some modules.
  if (wrapped.nonce.size() < kNonceBytes || wrapped.nonce.size() > kLargestNonce ||
      wrapped.tag_bytes != kTagBytes ||
      wrapped.blob.size() != std::size_t{wrapped.key_bytes} + kTagBytes) {
    return WrapDoesNotOpen("GCM lengths");
  }
  Bytes nonce = wrapped.nonce;
  GcmMechanism mechanism(master.profile.gcm_layout, nonce, context);
  return session.Decrypt(mechanism.get(), master.handle, wrapped.blob);
}

// ---- mechanisms without AAD --------------------------------------------------------------------

std::size_t PaddedSize(WrapMechanism mechanism, std::size_t key_bytes) {
  const bool pads = mechanism == WrapMechanism::kKwEncrypt || mechanism == WrapMechanism::kKwWrap;
  return pads ? (key_bytes + kKwBlock - 1) / kKwBlock * kKwBlock : key_bytes;
}

Result<SecretBytes> BindContext(WrapMechanism mechanism, const SecretBytes& key,
                                ByteView context) {
  const std::size_t padded = PaddedSize(mechanism, key.size());
  SecretBytes bound = KMS_TRY(SecretBytes::OfSize(padded + kSha256Bytes));
  const Sha256Digest digest = Sha256(context);
  std::ranges::copy(key.View(), bound.MutableView().begin());
  std::ranges::copy(digest, bound.MutableView().subspan(padded).begin());
  return bound;
}

Result<SecretBytes> CheckContext(const SecretBytes& bound, const WrappedKey& wrapped,
                                 ByteView context) {
  const std::size_t padded = PaddedSize(wrapped.mechanism, wrapped.key_bytes);
  if (bound.size() != padded + kSha256Bytes) return WrapDoesNotOpen("length of what was wrapped");
  const ByteView padding =
      bound.View().subspan(wrapped.key_bytes, padded - wrapped.key_bytes);
  const Bytes zeros(padding.size(), 0);
  if (!EqualInConstantTime(padding, zeros) ||
      !EqualInConstantTime(bound.View().subspan(padded), Sha256(context))) {
    return WrapDoesNotOpen("digest of the context");
  }
  return SecretBytes::CopyOf(bound.View().first(wrapped.key_bytes));
}

// The length that a mechanism makes of `size` bytes: 8 more, KWP after padding to a multiple of 8.
std::size_t KeyWrapSize(std::size_t size) {
  return (size + kKwBlock - 1) / kKwBlock * kKwBlock + kKwBlock;
}

Result<Bytes> WrapByObject(Session& session, CK_MECHANISM& mechanism, CK_OBJECT_HANDLE master,
                           const SecretBytes& bound) {
  AttributeList attributes;
  attributes.Number(CKA_CLASS, CKO_SECRET_KEY)
      .Number(CKA_KEY_TYPE, CKK_GENERIC_SECRET)
      .Flag(CKA_TOKEN, false)
      .Flag(CKA_PRIVATE, true)
      .Flag(CKA_SENSITIVE, false)
      .Flag(CKA_EXTRACTABLE, true);
  // The value stays in locked memory: the list would copy it.
  std::vector<CK_ATTRIBUTE> all(attributes.span().begin(), attributes.span().end());
  all.push_back({CKA_VALUE, CkIn(bound.View()), bound.size()});
  const CK_OBJECT_HANDLE object = KMS_TRY(session.CreateObject(all));
  auto blob = session.Wrap(mechanism, master, object, bound.size());
  KMS_TRY(session.DestroyObject(object));
  return blob;
}

Result<SecretBytes> UnwrapByObject(Session& session, CK_MECHANISM& mechanism,
                                   const WrappingKey& master, ByteView blob,
                                   std::size_t bound_bytes) {
  AttributeList attributes;
  attributes.Number(CKA_CLASS, CKO_SECRET_KEY)
      .Number(CKA_KEY_TYPE, CKK_GENERIC_SECRET)
      .Flag(CKA_TOKEN, false)
      .Flag(CKA_PRIVATE, true)
      .Flag(CKA_SENSITIVE, false)
      .Flag(CKA_EXTRACTABLE, true);
  if (master.profile.unwrap_needs_value_length) attributes.Number(CKA_VALUE_LEN, bound_bytes);
  const CK_OBJECT_HANDLE object =
      KMS_TRY(session.Unwrap(mechanism, master.handle, blob, attributes.span()));
  auto value = session.ReadKeyValue(object, bound_bytes + kKwBlock);
  KMS_TRY(session.DestroyObject(object));
  return value;
}

CK_RSA_PKCS_OAEP_PARAMS OaepParameters() {
  return {CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, nullptr, 0};
}

// For tokens that know OAEP with SHA-1 alone: the raw operation gives the padded message.
Result<SecretBytes> UnwrapByRawRsa(Session& session, CK_OBJECT_HANDLE master, ByteView blob) {
  CK_MECHANISM mechanism{CKM_RSA_X_509, nullptr, 0};
  const SecretBytes padded = KMS_TRY(session.Decrypt(mechanism, master, blob));
  if (padded.size() != blob.size()) {
    return session.Fail({CKR_DEVICE_ERROR, "C_Decrypt: impossible length"});
  }
  auto bound = KMS_TRY(RemoveOaep(HashAlgorithm::kSha2_256, padded));
  if (!bound.has_value()) return WrapDoesNotOpen("OAEP padding");
  return std::move(*bound);
}

Result<Bytes> WrapBound(Session& session, const WrappingKey& master, const SecretBytes& bound) {
  const MechanismRow& row = RowOf(master.profile.mechanism);
  if (UsesRsa(row.mechanism)) {
    return EncryptOaep(master.public_key, HashAlgorithm::kSha2_256, bound.View());
  }
  CK_MECHANISM mechanism{row.type, nullptr, 0};
  Bytes blob = KMS_TRY(row.usage == KeyUsage::kWrapUnwrap
                           ? WrapByObject(session, mechanism, master.handle, bound)
                           : session.Encrypt(mechanism, master.handle, bound.View()));
  if (blob.size() != KeyWrapSize(bound.size())) {
    return session.Fail({CKR_DEVICE_ERROR, "key wrap: impossible length"});
  }
  return blob;
}

Result<SecretBytes> UnwrapBound(Session& session, const WrappingKey& master,
                                const WrappedKey& wrapped) {
  const MechanismRow& row = RowOf(wrapped.mechanism);
  if (UsesRsa(row.mechanism) && wrapped.blob.size() != kRsaBlobBytes) {
    return WrapDoesNotOpen("RSA lengths");
  }
  if (row.mechanism == WrapMechanism::kOaepSha256) {
    CK_RSA_PKCS_OAEP_PARAMS parameters = OaepParameters();
    CK_MECHANISM mechanism{row.type, &parameters, sizeof(parameters)};
    return session.Decrypt(mechanism, master.handle, wrapped.blob);
  }
  if (row.mechanism == WrapMechanism::kOaepSha256Raw) {
    return UnwrapByRawRsa(session, master.handle, wrapped.blob);
  }
  const std::size_t bound_bytes =
      PaddedSize(wrapped.mechanism, wrapped.key_bytes) + kSha256Bytes;
  if (wrapped.blob.size() != KeyWrapSize(bound_bytes)) return WrapDoesNotOpen("key wrap lengths");
  CK_MECHANISM mechanism{row.type, nullptr, 0};
  if (row.usage == KeyUsage::kWrapUnwrap) {
    return UnwrapByObject(session, mechanism, master, wrapped.blob, bound_bytes);
  }
  return session.Decrypt(mechanism, master.handle, wrapped.blob);
}

}  // namespace

Error WrapDoesNotOpen(std::string detail) {
  return Corrupted("the wrapped key is damaged or of another context; restore it from a backup",
                   std::move(detail));
}

std::span<const MechanismRow> MechanismTable() { return kTable; }

bool UsesRsa(WrapMechanism mechanism) {
  return mechanism == WrapMechanism::kOaepSha256 || mechanism == WrapMechanism::kOaepSha256Raw;
}

const MechanismRow& RowOf(WrapMechanism mechanism) {
  return *std::ranges::find(kTable, mechanism, &MechanismRow::mechanism);
}

Result<WrappedKey> WrapUnder(Session& session, const WrappingKey& master, const SecretBytes& key,
                             ByteView context) {
  if (key.empty() || key.size() > kLargestWrappedKey) {
    return InvalidArgument("a key to wrap has 1 to 64 bytes");
  }
  WrappedKey wrapped;
  if (master.profile.mechanism == WrapMechanism::kGcmEncrypt) {
    wrapped = KMS_TRY(WrapByGcm(session, master, key, context));
  } else {
    const SecretBytes bound = KMS_TRY(BindContext(master.profile.mechanism, key, context));
    wrapped.blob = KMS_TRY(WrapBound(session, master, bound));
  }
  wrapped.mechanism = master.profile.mechanism;
  wrapped.key_bytes = static_cast<std::uint16_t>(key.size());
  return wrapped;
}

Result<SecretBytes> UnwrapUnder(Session& session, const WrappingKey& master,
                                const WrappedKey& wrapped, ByteView context) {
  if (wrapped.mechanism != master.profile.mechanism) {
    return WrapDoesNotOpen("recorded mechanism differs from the master key's");
  }
  if (wrapped.key_bytes == 0 || wrapped.key_bytes > kLargestWrappedKey) {
    return WrapDoesNotOpen("recorded key length");
  }
  if (wrapped.mechanism != WrapMechanism::kGcmEncrypt) {
    const SecretBytes bound = KMS_TRY(UnwrapBound(session, master, wrapped));
    return CheckContext(bound, wrapped, context);
  }
  SecretBytes key = KMS_TRY(UnwrapByGcm(session, master, wrapped, context));
  if (key.size() != wrapped.key_bytes) {
    return session.Fail({CKR_DEVICE_ERROR, "C_Decrypt: impossible length"});
  }
  return key;
}

}  // namespace kms::pkcs11
