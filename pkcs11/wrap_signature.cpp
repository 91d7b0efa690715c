// SPDX-License-Identifier: Apache-2.0
#include "pkcs11/wrap_signature.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "kms/base/digest.h"
#include "kms/base/ids.h"
#include "kms/crypto/asymmetric_key.h"
#include "kms/crypto/ecdsa_encoding.h"
#include "kms/crypto/signature.h"
#include "pkcs11/attributes.h"
#include "pkcs11/master_key.h"
#include "pkcs11/mechanism.h"
#include "pkcs11/resident_object.h"

namespace kms::pkcs11 {
namespace {

constexpr CK_ULONG kRsaKeyBits = 3072;
constexpr std::uint8_t kRsaExponent[] = {0x01, 0x00, 0x01};
constexpr std::uint8_t kPrime256v1[] = {0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07};
// DigestInfo of SHA-256 (RFC 8017, 9.2, note 1), before the digest.
constexpr std::uint8_t kSha256Info[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                        0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};

Error NotSigned() {
  return Corrupted(
      "the wrapped key bears no signature of the HSM token, so that anybody can have made it; have "
      "another HSM of the environment wrap the key again, or restore the store from a backup");
}

AttributeList PublicTemplate(bool is_rsa, ByteView id) {
  AttributeList list;
  list.Number(CKA_CLASS, CKO_PUBLIC_KEY).Number(CKA_KEY_TYPE, is_rsa ? CKK_RSA : CKK_EC);
  list.Flag(CKA_TOKEN, true).Flag(CKA_PRIVATE, false).Flag(CKA_VERIFY, true);
  list.Data(CKA_ID, id).Data(CKA_LABEL, AsBytes(kWrapKeyLabel));
  if (is_rsa) {
    list.Number(CKA_MODULUS_BITS, kRsaKeyBits).Data(CKA_PUBLIC_EXPONENT, kRsaExponent);
  } else {
    list.Data(CKA_EC_PARAMS, kPrime256v1);
  }
  return list;
}

AttributeList PrivateTemplate(bool is_rsa, ByteView id, ExtraAttributes extras) {
  AttributeList list;
  list.Number(CKA_CLASS, CKO_PRIVATE_KEY).Number(CKA_KEY_TYPE, is_rsa ? CKK_RSA : CKK_EC);
  list.Flag(CKA_TOKEN, true).Flag(CKA_PRIVATE, true).Flag(CKA_SENSITIVE, true);
  list.Flag(CKA_EXTRACTABLE, false).Flag(CKA_SIGN, true);
  list.Data(CKA_ID, id).Data(CKA_LABEL, AsBytes(kWrapKeyLabel));
  if (extras == ExtraAttributes::kFewest) return list;
  list.Flag(CKA_DECRYPT, false).Flag(CKA_UNWRAP, false).Flag(CKA_DERIVE, false);
  return list;
}

struct Kind {
  bool is_rsa;
  ExtraAttributes extras;
};
constexpr Kind kKinds[] = {{false, ExtraAttributes::kNone},
                           {false, ExtraAttributes::kFewest},
                           {true, ExtraAttributes::kNone},
                           {true, ExtraAttributes::kFewest}};

// In sessions of their own: some modules leave one unusable after a refusal.
Status MakeWrapKey(Session& caller, CK_SLOT_ID slot) {
  const Uuid id = Uuid::Random();
  Status made = Internal("no kind of wrap signing key");
  for (const Kind& kind : kKinds) {
    Session session = KMS_TRY(Session::OpenBeside(caller, slot));
    AttributeList public_half = PublicTemplate(kind.is_rsa, id.View());
    AttributeList private_half = PrivateTemplate(kind.is_rsa, id.View(), kind.extras);
    const auto pair =
        session.GenerateKeyPair(kind.is_rsa ? CKM_RSA_PKCS_KEY_PAIR_GEN : CKM_EC_KEY_PAIR_GEN,
                                public_half.span(), private_half.span());
    if (pair.has_value()) return Ok();
    made = pair.error();
  }
  return made;
}

Result<std::vector<CK_OBJECT_HANDLE>> FindHalves(Session& session, CK_OBJECT_CLASS object_class,
                                                 CK_ATTRIBUTE_TYPE by, ByteView value) {
  AttributeList wanted;
  wanted.Number(CKA_CLASS, object_class).Flag(CKA_TOKEN, true).Data(by, value);
  return session.Find(wanted.span());
}

Result<Bytes> SignInToken(Session& session, const WrapKey& key, ByteView statement) {
  const Sha256Digest digest = Sha256(statement);
  CK_MECHANISM mechanism{key.is_rsa ? CKM_RSA_PKCS : CKM_ECDSA, nullptr, 0};
  if (key.is_rsa) {
    Bytes info(std::begin(kSha256Info), std::end(kSha256Info));
    info.insert(info.end(), digest.begin(), digest.end());
    return session.Sign(mechanism, key.handle, info);
  }
  const Bytes raw = KMS_TRY(session.Sign(mechanism, key.handle, digest));
  auto der = internal::EcdsaJwsToDer(AsymmetricAlgorithm::kEcdsaP256, raw);
  if (der.has_value()) return *std::move(der);
  return session.Fail({CKR_DEVICE_ERROR, "C_Sign: impossible length"});
}

bool Verifies(const WrapKey& key, ByteView statement, ByteView signature) {
  const auto algorithm =
      key.is_rsa ? AsymmetricAlgorithm::kRsa3072 : AsymmetricAlgorithm::kEcdsaP256;
  const auto public_key = AsymmetricKey::FromPublicKey(algorithm, key.public_key);
  if (!public_key.has_value()) return false;
  const SignatureOptions options{.rsa = RsaSignatureScheme::kPkcs1v15};
  return VerifySignature(*public_key, options, statement, signature).value_or(false);
}

Result<WrapKey> ReadWrapKey(Session& session, CK_OBJECT_HANDLE handle, bool demand_local) {
  KMS_TRY(CheckSecrecyAttributes(session, handle, demand_local));
  WrapKey key{.handle = handle, .id = {}, .is_rsa = false, .public_key = {}};
  key.is_rsa = KMS_TRY(IsRsaKey(session, handle));
  key.id = KMS_TRY(session.ReadAttribute(handle, CKA_ID));
  const auto publics = KMS_TRY(FindHalves(session, CKO_PUBLIC_KEY, CKA_ID, key.id));
  if (publics.size() != 1) {
    return FailedPrecondition("the HSM token has not one public half of its \"" +
                              std::string(kWrapKeyLabel) + "\"; restore the token from a backup");
  }
  const auto type = key.is_rsa ? ResidentKeyType::kRsa3072 : ResidentKeyType::kEcdsaP256;
  key.public_key = KMS_TRY(ReadResidentPublicKey(session, type, handle, publics.front()));
  return key;
}

// A key that makes no good signature is found here and not with the first wrap.
Status TryWrapKey(Session& session, const WrapKey& key) {
  WrappedKey nothing;
  return SignWrap(session, key, nothing, AsBytes("test of the wrap signing key"));
}

}  // namespace

Result<std::vector<WrapKey>> FindWrapKeys(Session& session, bool demand_local) {
  const auto found =
      KMS_TRY(FindHalves(session, CKO_PRIVATE_KEY, CKA_LABEL, AsBytes(kWrapKeyLabel)));
  if (found.empty()) KMS_TRY(RequireLogin(session));
  std::vector<WrapKey> keys;
  for (const CK_OBJECT_HANDLE handle : found) {
    keys.push_back(KMS_TRY(ReadWrapKey(session, handle, demand_local)));
  }
  std::ranges::sort(keys, {}, &WrapKey::id);
  return keys;
}

Status EnsureWrapKey(Session& session, CK_SLOT_ID slot, bool demand_local, bool& made) {
  std::vector<WrapKey> keys = KMS_TRY(FindWrapKeys(session, demand_local));
  if (keys.empty()) {
    KMS_TRY(MakeWrapKey(session, slot));
    made = true;
    keys = KMS_TRY(FindWrapKeys(session, demand_local));
  }
  if (keys.empty()) {
    return FailedPrecondition("the HSM token loses the key that its wraps are signed with");
  }
  Session trial = KMS_TRY(Session::OpenBeside(session, slot));
  return TryWrapKey(trial, keys.front());
}

Status SignWrap(Session& session, const WrapKey& key, WrappedKey& wrapped, ByteView context) {
  const Bytes statement = WrapStatement(wrapped, context);
  Bytes signature = KMS_TRY(SignInToken(session, key, statement));
  if (!Verifies(key, statement, signature)) {
    return session.Fail({CKR_DEVICE_ERROR, "C_Sign: the signature does not verify"});
  }
  wrapped.signature = std::move(signature);
  return Ok();
}

Status CheckWrapSignature(std::span<const WrapKey> keys, const WrappedKey& wrapped,
                          ByteView context) {
  if (wrapped.signature.empty()) return NotSigned();
  const Bytes statement = WrapStatement(wrapped, context);
  const bool good = std::ranges::any_of(
      keys, [&](const WrapKey& key) { return Verifies(key, statement, wrapped.signature); });
  return good ? Ok() : Status(WrapDoesNotOpen("signature of the token"));
}

}  // namespace kms::pkcs11
