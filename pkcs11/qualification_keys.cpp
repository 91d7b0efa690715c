// SPDX-License-Identifier: Apache-2.0
// The key that signs audit checkpoints, and the kinds of keys that can live in the token for good.
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <memory>

#include "kms/base/random.h"
#include "pkcs11/attributes.h"
#include "pkcs11/gcm_mechanism.h"
#include "pkcs11/libp11_tenant.h"
#include "pkcs11/qualification_bench.h"

namespace kms::pkcs11 {
namespace {

constexpr std::uint8_t kPrime256v1[] = {0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07};
constexpr std::uint8_t kSecp384r1[] = {0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x22};
constexpr std::uint8_t kSecp521r1[] = {0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x23};
constexpr std::uint8_t kRsaExponent[] = {0x01, 0x00, 0x01};
constexpr std::size_t kDigestBytes = 32;

struct Curve {
  std::string_view type;
  ByteView parameters;
};
const std::array kCurves = {Curve{"ecdsa-p256", kPrime256v1}, Curve{"ecdsa-p384", kSecp384r1},
                            Curve{"ecdsa-p521", kSecp521r1}};
constexpr std::array<CK_ULONG, 3> kRsaSizes = {2048, 3072, 4096};

void AddIdentity(AttributeList& list, CK_OBJECT_CLASS object_class, bool in_token, const Uuid& id) {
  list.Number(CKA_CLASS, object_class)
      .Flag(CKA_TOKEN, in_token)
      .Data(CKA_ID, id.View())
      .Data(CKA_LABEL, AsBytes(kQualificationLabel));
}

AttributeList PrivateTemplate(CK_KEY_TYPE type, bool in_token, const Uuid& id) {
  AttributeList list;
  AddIdentity(list, CKO_PRIVATE_KEY, in_token, id);
  list.Number(CKA_KEY_TYPE, type)
      .Flag(CKA_PRIVATE, true)
      .Flag(CKA_SENSITIVE, true)
      .Flag(CKA_EXTRACTABLE, false)
      .Flag(CKA_SIGN, true);
  return list;
}

Result<Session::KeyPair> MakePairOnCurve(Session& keeper, ByteView curve, bool in_token,
                                         const Uuid& id) {
  AttributeList public_list;
  AddIdentity(public_list, CKO_PUBLIC_KEY, in_token, id);
  public_list.Number(CKA_KEY_TYPE, CKK_EC)
      .Data(CKA_EC_PARAMS, curve)
      .Flag(CKA_PRIVATE, false)
      .Flag(CKA_VERIFY, true);
  AttributeList private_list = PrivateTemplate(CKK_EC, in_token, id);
  return keeper.GenerateKeyPair(CKM_EC_KEY_PAIR_GEN, public_list.span(), private_list.span());
}

Result<Session::KeyPair> MakeRsaPair(Session& keeper, CK_ULONG bits, bool in_token,
                                     const Uuid& id) {
  AttributeList public_list;
  AddIdentity(public_list, CKO_PUBLIC_KEY, in_token, id);
  public_list.Number(CKA_KEY_TYPE, CKK_RSA)
      .Flag(CKA_PRIVATE, false)
      .Number(CKA_MODULUS_BITS, bits)
      .Data(CKA_PUBLIC_EXPONENT, kRsaExponent)
      .Flag(CKA_VERIFY, true);
  AttributeList private_list = PrivateTemplate(CKK_RSA, in_token, id);
  return keeper.GenerateKeyPair(CKM_RSA_PKCS_KEY_PAIR_GEN, public_list.span(), private_list.span());
}

Status VerifyInToken(QualificationBench& bench, Session& session, CK_OBJECT_HANDLE public_key,
                     CK_MECHANISM& mechanism, ByteView digest, Bytes& signature) {
  const auto& calls = bench.calls();
  CK_RV rv = calls.C_VerifyInit(session.handle(), &mechanism, public_key);
  if (rv != CKR_OK) return Rv{rv, "C_VerifyInit"}.ToError();
  rv = calls.C_Verify(session.handle(), CkIn(digest), digest.size(), signature.data(),
                      signature.size());
  if (rv != CKR_OK) return Rv{rv, "C_Verify"}.ToError();
  return Ok();
}

// ---- audit key

struct EvpContextDeleter {
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};

// Through libp11 and EVP, as the service signs. Takes the module down with it.
Status SignThroughLibp11(QualificationBench& bench, const Uuid& id, ByteView digest) {
  bench.Disconnect();
  const Rv initialized = bench.Initialize();
  if (!initialized.ok()) return initialized.ToError();
  const auto tenant =
      KMS_TRY(Libp11Tenant::Attach(bench.module().path(), bench.task().token.module_init));
  KMS_TRY(bench.FindToken());
  KMS_TRY(tenant->Settle(bench.slot()));
  const Rv login = bench.Login(bench.pin());
  if (!login.ok()) return login.ToError();
  const EvpKey key = KMS_TRY(tenant->FindPrivateKey(id.View()));
  const std::unique_ptr<EVP_PKEY_CTX, EvpContextDeleter> context(
      EVP_PKEY_CTX_new(key.get(), nullptr));
  std::array<std::uint8_t, 256> signature{};
  std::size_t size = signature.size();
  if (context == nullptr || EVP_PKEY_sign_init(context.get()) != 1 ||
      EVP_PKEY_sign(context.get(), signature.data(), &size, digest.data(), digest.size()) != 1) {
    return Unavailable("libp11 lists the key but does not sign with it");
  }
  return Ok();
}

Status TrySigning(QualificationBench& bench, const Uuid& id, ByteView digest) {
  Session session = KMS_TRY(bench.Open());
  const auto pair = KMS_TRY(MakePairOnCurve(session, kPrime256v1, /*in_token=*/true, id));
  Bytes signature;
  const Rv rv = SignOnce(session, pair.private_key, digest, signature);
  if (!rv.ok()) return rv.ToError();
  CK_MECHANISM mechanism{CKM_ECDSA, nullptr, 0};
  Session verifier = KMS_TRY(bench.Open());
  return VerifyInToken(bench, verifier, pair.public_key, mechanism, digest, signature);
}

// ---- resident keys

using KeyMaker = std::function<Result<Session::KeyPair>(Session&, bool in_token, const Uuid& id)>;

// Makes the pair where the token can, signs with it, and takes it away again.
Status TryPair(QualificationBench& bench, const KeyMaker& make, CK_MECHANISM_TYPE signs) {
  const Uuid id = Uuid::Random();
  Session session = KMS_TRY(bench.Open());
  const auto pair = KMS_TRY(make(session, bench.TokenKeysOnly(), id));
  const std::array<std::uint8_t, kDigestBytes> digest{1, 2, 3};
  CK_MECHANISM mechanism{signs, nullptr, 0};
  Bytes signature = KMS_TRY(session.Sign(mechanism, pair.private_key, digest));
  Session verifier = KMS_TRY(bench.Open());
  return VerifyInToken(bench, verifier, pair.public_key, mechanism, digest, signature);
}

Status TryAesGcm(QualificationBench& bench) {
  Session session = KMS_TRY(bench.Open());
  const auto key = KMS_TRY(GenerateMasterKeyObject(session,
                                                   {.id = Uuid::Random(),
                                                    .label = std::string(kQualificationLabel),
                                                    .mechanism = WrapMechanism::kGcmEncrypt,
                                                    .in_token = bench.TokenKeysOnly()},
                                                   ExtraAttributes::kNone));
  std::array<std::uint8_t, 12> nonce{};
  FillRandom(nonce);
  GcmMechanism mechanism(GcmParameterLayout::kWithIvBits, nonce, AsBytes("aad"));
  KMS_TRY(session.Encrypt(mechanism.get(), key.handle, AsBytes("plaintext")));
  return Ok();
}

}  // namespace

Result<Session::KeyPair> MakeEcPair(Session& keeper, bool in_token, const Uuid& id) {
  return MakePairOnCurve(keeper, kPrime256v1, in_token, id);
}

Rv SignOnce(Session& session, CK_OBJECT_HANDLE key, ByteView digest, Bytes& signature) {
  CK_MECHANISM mechanism{CKM_ECDSA, nullptr, 0};
  auto made = session.Sign(mechanism, key, digest);
  if (!made.has_value()) return session.failure().value_or(Rv{CKR_GENERAL_ERROR, "C_Sign"});
  signature = std::move(*made);
  return {};
}

Status QualifySigning(QualificationBench& bench) {
  const Uuid id = Uuid::Random();
  Bytes digest(kDigestBytes);
  FillRandom(digest);
  const Status signs = TrySigning(bench, id, digest);
  if (!signs.has_value()) {
    IgnoreError(bench.RemoveTestObjects(), "the last step reports what stays");
    bench.Learn("signing", "no");
    bench.Warn("audit key",
               "the token makes no ECDSA P-256 key that signs; audit checkpoints must "
               "be signed by another token: " +
                   ToldError(signs.error()));
    return Ok();
  }
  const Status through = SignThroughLibp11(bench, id, digest);
  KMS_TRY(bench.Reconnect());
  IgnoreError(bench.RemoveTestObjects(), "the last step reports what stays");
  bench.Learn("signing", through.has_value() ? "yes" : "no");
  if (!through.has_value()) {
    bench.Warn("audit key",
               "ECDSA P-256 signs, but not through libp11; audit checkpoints must be "
               "signed by another token: " +
                   ToldError(through.error()));
    return Ok();
  }
  bench.Good("audit key", "ECDSA P-256 made in the token, signs, verifies; through libp11 too");
  return Ok();
}

Status QualifyResidentKeys(QualificationBench& bench) {
  std::string possible;
  const auto tell = [&](const std::string& type, const Status& tried) {
    if (tried.has_value()) {
      possible += (possible.empty() ? "" : " ") + type;
      bench.Good(type, "made in the token, works there");
    } else {
      bench.Note(type, "not possible: " + ToldError(tried.error()));
    }
  };
  for (const CK_ULONG bits : kRsaSizes) {
    const KeyMaker make = [bits](Session& session, bool in_token, const Uuid& id) {
      return MakeRsaPair(session, bits, in_token, id);
    };
    tell("rsa-" + std::to_string(bits), TryPair(bench, make, CKM_RSA_PKCS));
  }
  for (const Curve& curve : kCurves) {
    const KeyMaker make = [&curve](Session& session, bool in_token, const Uuid& id) {
      return MakePairOnCurve(session, curve.parameters, in_token, id);
    };
    tell(std::string(curve.type), TryPair(bench, make, CKM_ECDSA));
  }
  tell("aes256-gcm96", TryAesGcm(bench));
  bench.Learn("resident_keys", possible);
  IgnoreError(bench.RemoveTestObjects(), "the last step reports what stays");
  return Ok();
}

}  // namespace kms::pkcs11
