// SPDX-License-Identifier: Apache-2.0
// RSA keys are of sizes that AsymmetricKey does not have, so they are OpenSSL's objects here.
#include "kms/crypto/verification_key.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <string>
#include <utility>
#include <variant>

#include "kms/crypto/big_number.h"
#include "kms/crypto/curve_soundness.h"
#include "kms/crypto/der.h"
#include "kms/crypto/encoded_key.h"
#include "kms/crypto/pem_text.h"
#include "kms/crypto/rsa_soundness.h"
#include "kms/crypto/signature.h"
#include "kms/crypto/x509_handles.h"

namespace kms {

namespace {

using internal::BigNumber;
using internal::EcNumbers;
using internal::Ed25519Numbers;
using internal::RsaNumbers;

struct BuilderDeleter {
  void operator()(OSSL_PARAM_BLD* builder) const { OSSL_PARAM_BLD_free(builder); }
};
struct ParametersDeleter {
  void operator()(OSSL_PARAM* parameters) const { OSSL_PARAM_free(parameters); }
};
struct KeyContextDeleter {
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};
struct DigestContextDeleter {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

using NativeKey = std::shared_ptr<EVP_PKEY>;

NativeKey Own(EVP_PKEY* key) { return {key, &EVP_PKEY_free}; }

Error OpenSslFailed(const char* step) {
  ERR_clear_error();
  return Internal(std::string("verification failed: ") + step);
}

ByteView WithoutLeadingZeros(ByteView number) {
  while (!number.empty() && number.front() == 0) {
    number = number.subspan(1);
  }
  return number;
}

// `number` has no leading zeros.
std::size_t BitsOf(ByteView number) {
  std::size_t bits = number.size() * 8;
  for (unsigned top = number.empty() ? 0x80U : number[0]; (top & 0x80U) == 0; top <<= 1U) {
    --bits;
  }
  return bits;
}

// ---- RSA ---------------------------------------------------------------------------------------

Result<NativeKey> BuildRsa(ByteView modulus, ByteView exponent) {
  const BigNumber n = KMS_TRY(internal::PublicBigNumber(modulus));
  const BigNumber e = KMS_TRY(internal::PublicBigNumber(exponent));
  const std::unique_ptr<OSSL_PARAM_BLD, BuilderDeleter> builder(OSSL_PARAM_BLD_new());
  if (builder == nullptr ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1) {
    return OpenSslFailed("numbers");
  }
  const std::unique_ptr<OSSL_PARAM, ParametersDeleter> parameters(
      OSSL_PARAM_BLD_to_param(builder.get()));
  const std::unique_ptr<EVP_PKEY_CTX, KeyContextDeleter> context(
      EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* key = nullptr;
  if (parameters == nullptr || context == nullptr || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1) {
    return OpenSslFailed("key");
  }
  return Own(key);
}

bool SetPadding(EVP_PKEY_CTX* context, VerificationScheme scheme) {
  if (scheme == VerificationScheme::kRsaPkcs1v15) {
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
  }
  return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
}

Result<bool> VerifyRsa(EVP_PKEY* key, VerificationScheme scheme, HashAlgorithm hash,
                       ByteView message, ByteView signature) {
  // One signature, one encoding: as long as the modulus.
  if (signature.size() != static_cast<std::size_t>(EVP_PKEY_get_size(key))) {
    return false;
  }
  const std::unique_ptr<EVP_MD_CTX, DigestContextDeleter> context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* options = nullptr;  // owned by `context`
  if (context == nullptr ||
      EVP_DigestVerifyInit_ex(context.get(), &options, TraitsOf(hash).provider_name, nullptr,
                              nullptr, key, nullptr) != 1 ||
      !SetPadding(options, scheme)) {
    return OpenSslFailed("RSA");
  }
  const bool good = EVP_DigestVerify(context.get(), signature.data(), signature.size(),
                                     message.data(), message.size()) == 1;
  ERR_clear_error();
  return good;
}

// ---- EC, Ed25519 -------------------------------------------------------------------------------

Result<AsymmetricKey> SoundKey(AsymmetricAlgorithm algorithm, const EcNumbers& numbers) {
  const internal::SoundEcKey sound = KMS_TRY(internal::CheckEcSoundness(algorithm, numbers));
  const std::unique_ptr<OSSL_PARAM_BLD, BuilderDeleter> builder(OSSL_PARAM_BLD_new());
  const char* const group = algorithm == AsymmetricAlgorithm::kEcdsaP256   ? "P-256"
                            : algorithm == AsymmetricAlgorithm::kEcdsaP384 ? "P-384"
                                                                           : "P-521";
  if (builder == nullptr ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, group, 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, sound.point.data(),
                                       sound.point.size()) != 1) {
    return OpenSslFailed("point");
  }
  const std::unique_ptr<OSSL_PARAM, ParametersDeleter> parameters(
      OSSL_PARAM_BLD_to_param(builder.get()));
  const std::unique_ptr<EVP_PKEY_CTX, KeyContextDeleter> context(
      EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  EVP_PKEY* key = nullptr;
  if (parameters == nullptr || context == nullptr || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1) {
    return OpenSslFailed("key");
  }
  return AsymmetricKey::Adopt(algorithm, Own(key), /*has_private=*/false);
}

Result<AsymmetricKey> SoundKey(const Ed25519Numbers& numbers) {
  const internal::SoundEd25519Key sound = KMS_TRY(internal::CheckEd25519Soundness(numbers));
  NativeKey key = Own(EVP_PKEY_new_raw_public_key(
      EVP_PKEY_ED25519, nullptr, sound.public_key.data(), sound.public_key.size()));
  if (key == nullptr) {
    return OpenSslFailed("Ed25519");
  }
  return AsymmetricKey::Adopt(AsymmetricAlgorithm::kEd25519, std::move(key), false);
}

// SubjectPublicKeyInfo of the certificate.
Result<Bytes> KeyOfCertificate(ByteView der) {
  const unsigned char* cursor = der.data();
  const internal::Certificate certificate(
      d2i_X509(nullptr, &cursor, static_cast<long>(der.size())));
  if (certificate == nullptr || cursor != der.data() + der.size()) {
    ERR_clear_error();
    return InvalidArgument("it is no certificate");
  }
  unsigned char* out = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate.get()), &out);
  if (size <= 0) {
    return OpenSslFailed("certificate");
  }
  Bytes spki(out, out + size);
  OPENSSL_free(out);
  return spki;
}

}  // namespace

Result<VerificationKey> VerificationKey::FromRsa(ByteView modulus, ByteView exponent) {
  const ByteView n = WithoutLeadingZeros(modulus);
  const ByteView e = WithoutLeadingZeros(exponent);
  // Before anything is computed with it.
  if (n.size() > kMaxVerificationRsaBits / 8 || BitsOf(n) < kMinVerificationRsaBits) {
    return InvalidArgument("RSA keys must have 2048 to 8192 bits");
  }
  KMS_TRY(internal::CheckRsaSoundness(RsaNumbers{.n = n, .e = e}, BitsOf(n)));
  return VerificationKey(KMS_TRY(BuildRsa(n, e)));
}

Result<VerificationKey> VerificationKey::FromEc(AsymmetricAlgorithm curve, ByteView x, ByteView y) {
  const std::size_t field = EcdsaFieldBytes(curve);
  if (!IsEcdsa(curve) || x.size() != field || y.size() != field) {
    return InvalidArgument("EC coordinates must be as long as the curve's field");
  }
  Bytes point = {0x04};  // SEC 1, 2.3.3
  point.insert(point.end(), x.begin(), x.end());
  point.insert(point.end(), y.begin(), y.end());
  return VerificationKey(
      KMS_TRY(SoundKey(curve, EcNumbers{.curve = curve, .point = ByteView(point)})));
}

Result<VerificationKey> VerificationKey::FromEd25519(ByteView public_key) {
  return VerificationKey(KMS_TRY(SoundKey(Ed25519Numbers{.public_key = public_key})));
}

Result<VerificationKey> VerificationKey::FromSpki(ByteView der) {
  const internal::EncodedKey encoded = KMS_TRY(internal::ReadPublicKeyInfo(der));
  if (const auto* rsa = std::get_if<RsaNumbers>(&encoded)) {
    return FromRsa(rsa->n, rsa->e);
  }
  if (const auto* ec = std::get_if<EcNumbers>(&encoded)) {
    if (!ec->curve) {
      return InvalidArgument("EC keys must be on P-256, P-384 or P-521");
    }
    return VerificationKey(KMS_TRY(SoundKey(*ec->curve, *ec)));
  }
  return VerificationKey(KMS_TRY(SoundKey(std::get<Ed25519Numbers>(encoded))));
}

Result<VerificationKey> VerificationKey::FromPem(std::string_view pem) {
  const std::optional<internal::PemBlock> block = internal::DecodePem(pem);
  if (!block) {
    return InvalidArgument("it is not in PEM format");
  }
  if (block->label == "PUBLIC KEY") {
    return FromSpki(block->content);
  }
  if (block->label == "CERTIFICATE") {
    const Bytes spki = KMS_TRY(KeyOfCertificate(block->content));
    return FromSpki(spki);
  }
  if (block->label != "RSA PUBLIC KEY") {
    return InvalidArgument("it is no public key and no certificate");
  }
  DerReader outer(block->content);  // RFC 8017, A.1.1
  DerReader fields(KMS_TRY(outer.TakeLast(DerTag::kSequence)));
  const ByteView n = KMS_TRY(fields.TakeUnsigned());
  const ByteView e = KMS_TRY(fields.TakeUnsigned());
  KMS_TRY(fields.Finish());
  return FromRsa(n, e);
}

Result<bool> VerificationKey::Verify(VerificationScheme scheme, HashAlgorithm hash,
                                     ByteView message, ByteView signature) const {
  switch (scheme) {
    case VerificationScheme::kRsaPkcs1v15:
    case VerificationScheme::kRsaPss:
      return is_rsa() ? VerifyRsa(rsa_.get(), scheme, hash, message, signature)
                      : Result<bool>(false);
    case VerificationScheme::kEcdsa:
      return !is_rsa() && IsEcdsa(other_->algorithm())
                 ? VerifySignature(*other_, {.hash = hash, .marshaling = SignatureMarshaling::kJws},
                                   message, signature)
                 : Result<bool>(false);
    case VerificationScheme::kEd25519: break;
  }
  constexpr std::size_t kEd25519SignatureBytes = 64;
  const bool fits = !is_rsa() && other_->algorithm() == AsymmetricAlgorithm::kEd25519 &&
                    signature.size() == kEd25519SignatureBytes;
  return fits ? VerifySignature(*other_, {}, message, signature) : Result<bool>(false);
}

}  // namespace kms
