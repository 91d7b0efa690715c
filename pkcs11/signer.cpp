// SPDX-License-Identifier: Apache-2.0
// The signing key's object by Cryptoki, its use by EVP.
#include "pkcs11/signer.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <chrono>
#include <optional>

#include "kms/base/digest.h"
#include "kms/base/ids.h"
#include "kms/crypto/ecdsa_encoding.h"
#include "pkcs11/attributes.h"
#include "pkcs11/master_key.h"
#include "pkcs11/resident_object.h"

namespace kms::pkcs11 {
namespace {

constexpr std::string_view kLabel = "kms audit signing key";
constexpr std::chrono::seconds kSessionWait{5};
constexpr std::uint8_t kPrime256v1[] = {0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07};

struct DigestContextDeleter {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using DigestContext = std::unique_ptr<EVP_MD_CTX, DigestContextDeleter>;

Error SignFailed(std::string what) {
  ERR_clear_error();
  return Unavailable("the HSM failed to sign; retry later", std::move(what));
}

Status MakeKey(Session& session, ByteView id, ExtraAttributes extras) {
  AttributeList public_attributes;
  public_attributes.Number(CKA_CLASS, CKO_PUBLIC_KEY)
      .Number(CKA_KEY_TYPE, CKK_EC)
      .Data(CKA_EC_PARAMS, kPrime256v1)
      .Flag(CKA_TOKEN, true)
      .Flag(CKA_PRIVATE, false)
      .Flag(CKA_VERIFY, true)
      .Data(CKA_ID, id)
      .Data(CKA_LABEL, AsBytes(kLabel));
  AttributeList private_attributes;
  private_attributes.Number(CKA_CLASS, CKO_PRIVATE_KEY)
      .Number(CKA_KEY_TYPE, CKK_EC)
      .Flag(CKA_TOKEN, true)
      .Flag(CKA_PRIVATE, true)
      .Flag(CKA_SENSITIVE, true)
      .Flag(CKA_EXTRACTABLE, false)
      .Flag(CKA_SIGN, true)
      .Data(CKA_ID, id)
      .Data(CKA_LABEL, AsBytes(kLabel));
  if (extras != ExtraAttributes::kFewest) {
    private_attributes.Flag(CKA_DECRYPT, false).Flag(CKA_UNWRAP, false).Flag(CKA_DERIVE, false);
  }
  KMS_TRY(session.GenerateKeyPair(CKM_EC_KEY_PAIR_GEN, public_attributes.span(),
                                  private_attributes.span()));
  return Ok();
}

Result<Bytes> SignByEvp(EVP_PKEY* key, ByteView message, SharedMutex& objects) {
  ScopedSharedLock shared(objects);
  const DigestContext context(EVP_MD_CTX_new());
  std::size_t size = 0;
  if (context == nullptr ||
      EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, message.data(), message.size()) != 1) {
    return SignFailed("EVP_DigestSignInit");
  }
  Bytes signature(size);
  if (EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) != 1) {
    return SignFailed("EVP_DigestSign");
  }
  signature.resize(size);
  return signature;
}

Result<CK_OBJECT_HANDLE> FindHalf(Session& session, CK_OBJECT_CLASS object_class, ByteView id) {
  AttributeList wanted;
  wanted.Number(CKA_CLASS, object_class).Flag(CKA_TOKEN, true).Data(CKA_ID, id);
  const auto found = KMS_TRY(session.Find(wanted.span()));
  if (found.size() == 1) return found.front();
  KMS_TRY(RequireLogin(session));
  return NotFound("the HSM token does not list the signing key");
}

// The session first, then the lock, as every other call.
Result<Bytes> SignBySession(SessionPool& pool, const Bytes& id, ByteView message,
                            SharedMutex& objects) {
  std::optional<Rv> failure;
  auto lease = KMS_TRY(pool.Acquire(std::chrono::steady_clock::now() + kSessionWait, failure));
  ScopedSharedLock shared(objects);
  Session& session = lease.session();
  const CK_OBJECT_HANDLE key = KMS_TRY(FindHalf(session, CKO_PRIVATE_KEY, id));
  CK_MECHANISM mechanism{CKM_ECDSA, nullptr, 0};
  const Bytes raw = KMS_TRY(session.Sign(mechanism, key, Sha256(message)));
  auto der = internal::EcdsaJwsToDer(AsymmetricAlgorithm::kEcdsaP256, raw);
  if (!der.has_value()) return SignFailed("C_Sign: impossible length");
  return std::move(*der);
}

}  // namespace

Result<SigningKeyObject> EnsureSigningKey(Session& session, bool demand_local) {
  AttributeList wanted;
  wanted.Number(CKA_CLASS, CKO_PRIVATE_KEY).Flag(CKA_TOKEN, true).Data(CKA_LABEL, AsBytes(kLabel));
  auto found = KMS_TRY(session.Find(wanted.span()));
  SigningKeyObject object;
  if (found.empty()) {
    KMS_TRY(RequireLogin(session));
    const Status made = MakeKey(session, Uuid::Random().View(), ExtraAttributes::kNone);
    // A TPM insists on its own usages.
    if (!made.has_value()) {
      KMS_TRY(MakeKey(session, Uuid::Random().View(), ExtraAttributes::kFewest));
    }
    object.made = true;
    found = KMS_TRY(session.Find(wanted.span()));
  }
  if (found.size() != 1) {
    return FailedPrecondition(
        "the HSM token has several audit signing keys, or loses them; keep "
        "one object labelled \"kms audit signing key\"");
  }
  KMS_TRY(CheckSecrecyAttributes(session, found.front(), demand_local));
  object.id = KMS_TRY(session.ReadAttribute(found.front(), CKA_ID));
  return object;
}

Result<std::unique_ptr<Signer>> Signer::Make(SignFunction sign, Bytes public_key) {
  const std::uint8_t* in = public_key.data();
  EvpKey verifying_key(d2i_PUBKEY(nullptr, &in, static_cast<long>(public_key.size())));
  if (verifying_key == nullptr) return SignFailed("d2i_PUBKEY");
  return std::unique_ptr<Signer>(
      new Signer(std::move(sign), std::move(verifying_key), std::move(public_key)));
}

Result<std::unique_ptr<Signer>> Signer::Open(Libp11Tenant& tenant, ByteView id) {
  // Shared, because a std::function is copied.
  const std::shared_ptr<EVP_PKEY> private_key = KMS_TRY(tenant.FindPrivateKey(id));
  std::uint8_t* encoded = nullptr;
  const int size = i2d_PUBKEY(private_key.get(), &encoded);
  if (size <= 0) return SignFailed("i2d_PUBKEY");
  Bytes public_key(encoded, encoded + size);
  OPENSSL_free(encoded);
  return Make(
      [private_key](ByteView message, SharedMutex& objects) {
        return SignByEvp(private_key.get(), message, objects);
      },
      std::move(public_key));
}

Result<std::unique_ptr<Signer>> Signer::OpenWithoutLibp11(SessionPool& pool, Session& session,
                                                          ByteView id) {
  const CK_OBJECT_HANDLE private_key = KMS_TRY(FindHalf(session, CKO_PRIVATE_KEY, id));
  const CK_OBJECT_HANDLE public_half = KMS_TRY(FindHalf(session, CKO_PUBLIC_KEY, id));
  Bytes public_key = KMS_TRY(
      ReadResidentPublicKey(session, ResidentKeyType::kEcdsaP256, private_key, public_half));
  return Make(
      [&pool, kept = CopyOf(id)](ByteView message, SharedMutex& objects) {
        return SignBySession(pool, kept, message, objects);
      },
      std::move(public_key));
}

Result<Bytes> Signer::Sign(ByteView message, SharedMutex& objects) {
  Bytes signature = KMS_TRY(sign_(message, objects));
  const DigestContext check(EVP_MD_CTX_new());
  if (check == nullptr ||
      EVP_DigestVerifyInit(check.get(), nullptr, EVP_sha256(), nullptr, verifying_key_.get()) !=
          1 ||
      EVP_DigestVerify(check.get(), signature.data(), signature.size(), message.data(),
                       message.size()) != 1) {
    return SignFailed("the HSM's signature does not verify");
  }
  return signature;
}

}  // namespace kms::pkcs11
