// SPDX-License-Identifier: Apache-2.0
// The key that signs audit checkpoints, and the kinds of keys that can live in the token for good.
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <memory>

#include "kms/base/random.h"
#include "kms/crypto/ecdsa_encoding.h"
#include "pkcs11/attributes.h"
#include "pkcs11/gcm_mechanism.h"
#include "pkcs11/libp11_tenant.h"
#include "pkcs11/qualification_bench.h"
#include "pkcs11/resident_object.h"
#include "pkcs11/resident_use.h"

namespace kms::pkcs11 {
namespace {

constexpr std::uint8_t kPrime256v1[] = {0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07};
constexpr std::uint8_t kSecp384r1[] = {0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x22};
constexpr std::uint8_t kSecp521r1[] = {0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x23};
constexpr std::uint8_t kRsaExponent[] = {0x01, 0x00, 0x01};
constexpr std::size_t kDigestBytes = 32;

struct Curve {
  std::string_view name;
  ResidentKeyType type;
  ByteView parameters;
};
const std::array kCurves = {Curve{"ecdsa-p256", ResidentKeyType::kEcdsaP256, kPrime256v1},
                            Curve{"ecdsa-p384", ResidentKeyType::kEcdsaP384, kSecp384r1},
                            Curve{"ecdsa-p521", ResidentKeyType::kEcdsaP521, kSecp521r1}};
struct RsaSize {
  CK_ULONG bits;
  ResidentKeyType type;
};
constexpr std::array kRsaSizes = {RsaSize{2048, ResidentKeyType::kRsa2048},
                                  RsaSize{3072, ResidentKeyType::kRsa3072},
                                  RsaSize{4096, ResidentKeyType::kRsa4096}};

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

struct EvpKeyDeleter {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct EvpContextDeleter {
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};

bool IsRsa(ResidentKeyType type) {
  return type == ResidentKeyType::kRsa2048 || type == ResidentKeyType::kRsa3072 ||
         type == ResidentKeyType::kRsa4096;
}

// As OpenSSL wants it: tokens give ECDSA signatures as r | s.
Result<Bytes> EncodedAs(ResidentKeyType type, ByteView signature) {
  if (IsRsa(type)) return CopyOf(signature);
  const auto algorithm = type == ResidentKeyType::kEcdsaP256   ? AsymmetricAlgorithm::kEcdsaP256
                         : type == ResidentKeyType::kEcdsaP384 ? AsymmetricAlgorithm::kEcdsaP384
                                                               : AsymmetricAlgorithm::kEcdsaP521;
  auto der = internal::EcdsaJwsToDer(algorithm, signature);
  if (!der.has_value()) return Corrupted("its signatures have an impossible length");
  return std::move(*der);
}

// In software, with the public key that the token tells: not every token verifies.
Status Verify(Session& session, const Session::KeyPair& pair, ResidentKeyType type, ByteView digest,
              ByteView signature) {
  const Bytes public_key =
      KMS_TRY(ReadResidentPublicKey(session, type, pair.private_key, pair.public_key));
  const Bytes encoded = KMS_TRY(EncodedAs(type, signature));
  const std::uint8_t* in = public_key.data();
  const std::unique_ptr<EVP_PKEY, EvpKeyDeleter> key(
      d2i_PUBKEY(nullptr, &in, static_cast<long>(public_key.size())));
  const std::unique_ptr<EVP_PKEY_CTX, EvpContextDeleter> context(
      key == nullptr ? nullptr : EVP_PKEY_CTX_new(key.get(), nullptr));
  const bool good = context != nullptr && EVP_PKEY_verify_init(context.get()) == 1 &&
                    EVP_PKEY_verify(context.get(), encoded.data(), encoded.size(), digest.data(),
                                    digest.size()) == 1;
  ERR_clear_error();
  if (good) return Ok();
  return Corrupted("its signatures do not verify");
}

// ---- audit key

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
  return Verify(session, pair, ResidentKeyType::kEcdsaP256, digest, signature);
}

// ---- resident keys

using KeyMaker = std::function<Result<Session::KeyPair>(Session&, bool in_token, const Uuid& id)>;

Status TryPairAt(QualificationBench& bench, const KeyMaker& make, ResidentKeyType type,
                 bool in_token) {
  Session session = KMS_TRY(bench.Open());
  const auto pair = KMS_TRY(make(session, in_token, Uuid::Random()));
  const std::array<std::uint8_t, kDigestBytes> digest{1, 2, 3};
  CK_MECHANISM mechanism{IsRsa(type) ? CKM_RSA_PKCS : CKM_ECDSA, nullptr, 0};
  const Bytes signature = KMS_TRY(session.Sign(mechanism, pair.private_key, digest));
  return Verify(session, pair, type, digest, signature);
}

// Makes the pair, of a session where the token has such, and signs with it.
Status TryPair(QualificationBench& bench, const KeyMaker& make, ResidentKeyType type) {
  const Status tried = TryPairAt(bench, make, type, /*in_token=*/false);
  return tried.has_value() ? tried : TryPairAt(bench, make, type, /*in_token=*/true);
}

// Which EC keys agree on secrets with others (ECDH), as `derive-key` asks of them.
void QualifyKeyAgreement(QualificationBench& bench) {
  std::string agreeing;
  std::string refusal;
  for (const Curve& curve : kCurves) {
    auto session = bench.Open();
    const Status tried = session.has_value() ? TryAgreement(bench.slot(), *session, curve.type)
                                             : Status(session.error());
    if (tried.has_value()) {
      agreeing += (agreeing.empty() ? "" : " ") + std::string(curve.name);
    } else {
      refusal = ToldError(tried.error());
    }
  }
  bench.Learn("key_agreement", agreeing);
  if (agreeing.empty()) {
    bench.Note("key agreement", "not possible: " + refusal);
  } else {
    bench.Good("key agreement", "ECDH with keys of " + agreeing);
  }
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
    bench.Learn("signing", "no");
    bench.Warn("audit key",
               "the token makes no ECDSA P-256 key that signs; audit checkpoints must "
               "be signed by another token: " +
                   ToldError(signs.error()));
    return Ok();
  }
  const Status through = SignThroughLibp11(bench, id, digest);
  KMS_TRY(bench.Reconnect());
  // A library that gives libp11 a connection of its own, without our login: signed without it then.
  const bool unseen = !through.has_value() && through.error().code == ErrorCode::kNotFound;
  bench.Learn("signing", through.has_value() || unseen ? "yes" : "no");
  if (unseen) {
    bench.Note("audit key",
               "ECDSA P-256 made in the token, signs, verifies; not seen by libp11, so "
               "signed without it");
    return Ok();
  }
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
  for (const RsaSize& size : kRsaSizes) {
    const KeyMaker make = [&size](Session& session, bool in_token, const Uuid& id) {
      return MakeRsaPair(session, size.bits, in_token, id);
    };
    tell("rsa-" + std::to_string(size.bits), TryPair(bench, make, size.type));
  }
  for (const Curve& curve : kCurves) {
    const KeyMaker make = [&curve](Session& session, bool in_token, const Uuid& id) {
      return MakePairOnCurve(session, curve.parameters, in_token, id);
    };
    tell(std::string(curve.name), TryPair(bench, make, curve.type));
  }
  tell("aes256-gcm96", TryAesGcm(bench));
  bench.Learn("resident_keys", possible);
  QualifyKeyAgreement(bench);
  return Ok();
}

}  // namespace kms::pkcs11
