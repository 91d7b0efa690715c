// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/key_import.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>

#include "kms/crypto/big_number.h"
#include "kms/crypto/curve_soundness.h"
#include "kms/crypto/encoded_key.h"
#include "kms/crypto/pem_text.h"
#include "kms/crypto/rsa_soundness.h"

namespace kms {

namespace {

using internal::BigNumber;
using internal::EcNumbers;
using internal::Ed25519Numbers;
using internal::EncodedKey;
using internal::RsaNumbers;

constexpr std::string_view kPrivateKeyContext =
    "error importing key: error parsing asymmetric key: ";
constexpr std::string_view kPublicKeyContext = "error importing key: error parsing public key: ";

struct AlgorithmNames {
  std::string_view key_type;  // as on the wire
  std::string_view curve;
  const char* group;  // what OpenSSL calls it
};

// In the order of the enumeration.
constexpr std::array<AlgorithmNames, 7> kNames = {{
    {"ecdsa-p256", "P-256", "prime256v1"},
    {"ecdsa-p384", "P-384", "secp384r1"},
    {"ecdsa-p521", "P-521", "secp521r1"},
    {"ed25519", "", ""},
    {"rsa-2048", "", ""},
    {"rsa-3072", "", ""},
    {"rsa-4096", "", ""},
}};

const AlgorithmNames& NamesOf(AsymmetricAlgorithm algorithm) {
  return kNames[static_cast<std::size_t>(algorithm)];
}

// Puts `context` before a reason; other errors are not the caller's and stay as they are.
Error InContext(std::string_view context, Error error) {
  if (error.code == ErrorCode::kInvalidArgument) {
    error.public_message.insert(0, context);
  }
  return error;
}

// ---- is it a key of this type? ----------------------------------------------------------------

Error WrongType(AsymmetricAlgorithm algorithm, std::string_view got) {
  return InvalidArgument("error importing key: invalid key type: expected " +
                         std::string(NamesOf(algorithm).key_type) + ", got " + std::string(got));
}

Status CheckType(AsymmetricAlgorithm algorithm, const RsaNumbers& key) {
  if (!IsRsa(algorithm)) {
    return WrongType(algorithm, "an RSA key");
  }
  const std::size_t expected_bytes = RsaBits(algorithm) / 8;
  if (key.n.size() != expected_bytes) {
    return InvalidArgument("error importing key: invalid key size: expected " +
                           std::to_string(expected_bytes) + " bytes, got " +
                           std::to_string(key.n.size()) + " bytes");
  }
  return Ok();
}

Status CheckType(AsymmetricAlgorithm algorithm, const EcNumbers& key) {
  if (!IsEcdsa(algorithm)) {
    return WrongType(algorithm, "an EC key");
  }
  if (key.curve != algorithm) {
    return InvalidArgument("error importing key: invalid curve: expected " +
                           std::string(NamesOf(algorithm).curve) + ", got " + key.curve_name);
  }
  return Ok();
}

Status CheckType(AsymmetricAlgorithm algorithm, const Ed25519Numbers& /*key*/) {
  return algorithm == AsymmetricAlgorithm::kEd25519 ? Ok() : WrongType(algorithm, "an Ed25519 key");
}

// ---- from numbers to a key --------------------------------------------------------------------

using NativeKey = std::shared_ptr<EVP_PKEY>;

NativeKey Own(EVP_PKEY* key) { return {key, &EVP_PKEY_free}; }

struct BuilderDeleter {
  void operator()(OSSL_PARAM_BLD* builder) const { OSSL_PARAM_BLD_free(builder); }
};
struct ParametersDeleter {
  void operator()(OSSL_PARAM* parameters) const { OSSL_PARAM_free(parameters); }
};
struct KeyContextDeleter {
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};
using Builder = std::unique_ptr<OSSL_PARAM_BLD, BuilderDeleter>;

Error BuildFailed() {
  ERR_clear_error();
  return Internal("a sound key was not taken");
}

// The numbers stay with the builder's owner until here: it refers to them.
Result<NativeKey> FromParameters(const char* type, OSSL_PARAM_BLD* builder, bool has_private) {
  const std::unique_ptr<OSSL_PARAM, ParametersDeleter> parameters(OSSL_PARAM_BLD_to_param(builder));
  const std::unique_ptr<EVP_PKEY_CTX, KeyContextDeleter> context(
      EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (parameters == nullptr || context == nullptr || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, has_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY,
                        parameters.get()) != 1) {
    return BuildFailed();
  }
  return Own(key);
}

Result<NativeKey> Build(AsymmetricAlgorithm algorithm, const RsaNumbers& key) {
  KMS_TRY(internal::CheckRsaSoundness(key, RsaBits(algorithm)));
  struct Row {
    const char* name;
    ByteView value;
    bool is_private;
  };
  const std::array<Row, 8> rows = {{{OSSL_PKEY_PARAM_RSA_N, key.n, false},
                                    {OSSL_PKEY_PARAM_RSA_E, key.e, false},
                                    {OSSL_PKEY_PARAM_RSA_D, key.d, true},
                                    {OSSL_PKEY_PARAM_RSA_FACTOR1, key.p, true},
                                    {OSSL_PKEY_PARAM_RSA_FACTOR2, key.q, true},
                                    {OSSL_PKEY_PARAM_RSA_EXPONENT1, key.d_mod_p, true},
                                    {OSSL_PKEY_PARAM_RSA_EXPONENT2, key.d_mod_q, true},
                                    {OSSL_PKEY_PARAM_RSA_COEFFICIENT1, key.q_inverse, true}}};
  std::array<BigNumber, rows.size()> numbers;
  const Builder builder(OSSL_PARAM_BLD_new());
  for (std::size_t index = 0; index < rows.size(); ++index) {
    const Row& row = rows[index];
    if (row.is_private && !key.has_private) {
      continue;
    }
    numbers[index] = row.is_private ? KMS_TRY(internal::SecretBigNumber(row.value))
                                    : KMS_TRY(internal::PublicBigNumber(row.value));
    if (builder == nullptr ||
        OSSL_PARAM_BLD_push_BN(builder.get(), row.name, numbers[index].get()) != 1) {
      return BuildFailed();
    }
  }
  return FromParameters("RSA", builder.get(), key.has_private);
}

Result<NativeKey> Build(AsymmetricAlgorithm algorithm, const EcNumbers& key) {
  const internal::SoundEcKey sound = KMS_TRY(internal::CheckEcSoundness(algorithm, key));
  const bool has_private = !sound.scalar.empty();
  const Builder builder(OSSL_PARAM_BLD_new());
  if (builder == nullptr ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME,
                                      NamesOf(algorithm).group, 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, sound.point.data(),
                                       sound.point.size()) != 1) {
    return BuildFailed();
  }
  BigNumber scalar;
  if (has_private) {
    scalar = KMS_TRY(internal::SecretBigNumber(sound.scalar.View()));
    if (OSSL_PARAM_BLD_push_BN_pad(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, scalar.get(),
                                   sound.scalar.size()) != 1) {
      return BuildFailed();
    }
  }
  return FromParameters("EC", builder.get(), has_private);
}

Result<NativeKey> Build(AsymmetricAlgorithm /*algorithm*/, const Ed25519Numbers& key) {
  const internal::SoundEd25519Key sound = KMS_TRY(internal::CheckEd25519Soundness(key));
  NativeKey native =
      Own(sound.seed.empty()
              ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, sound.public_key.data(),
                                            sound.public_key.size())
              : EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, sound.seed.View().data(),
                                             sound.seed.size()));
  if (native == nullptr) {
    return BuildFailed();
  }
  return native;
}

Result<AsymmetricKey> Import(AsymmetricAlgorithm algorithm, Result<EncodedKey> encoded,
                             std::string_view context, bool has_private) {
  if (!encoded.has_value()) {
    return InContext(context, std::move(encoded).error());
  }
  KMS_TRY(std::visit([algorithm](const auto& key) { return CheckType(algorithm, key); }, *encoded));
  Result<NativeKey> native =
      std::visit([algorithm](const auto& key) { return Build(algorithm, key); }, *encoded);
  if (!native.has_value()) {
    return InContext(context, std::move(native).error());
  }
  return AsymmetricKey::Adopt(algorithm, *std::move(native), has_private);
}

}  // namespace

std::string_view KeyTypeName(AsymmetricAlgorithm algorithm) { return NamesOf(algorithm).key_type; }

Result<AsymmetricKey> ImportPrivateKey(AsymmetricAlgorithm algorithm, ByteView der) {
  return Import(algorithm, internal::ReadPrivateKeyInfo(der), kPrivateKeyContext,
                /*has_private=*/true);
}

Result<AsymmetricKey> ImportPublicKeyDer(AsymmetricAlgorithm algorithm, ByteView spki) {
  return Import(algorithm, internal::ReadPublicKeyInfo(spki), kPublicKeyContext,
                /*has_private=*/false);
}

Result<AsymmetricKey> ImportPublicKey(AsymmetricAlgorithm algorithm, std::string_view pem) {
  const std::optional<internal::PemBlock> block = internal::DecodePem(pem);
  if (!block.has_value()) {
    return InvalidArgument(std::string(kPublicKeyContext).append("not in PEM format"));
  }
  return ImportPublicKeyDer(algorithm, block->content);
}

Result<SecretBytes> ImportSymmetricKey(std::string_view type_name, KeyLengths lengths,
                                       ByteView material) {
  if (material.size() < lengths.min_bytes || material.size() > lengths.max_bytes) {
    return InvalidArgument("error importing key: invalid key size " +
                           std::to_string(material.size()) + " bytes for key type " +
                           std::string(type_name));
  }
  std::uint8_t seen = 0;
  for (const std::uint8_t byte : material) {
    seen |= byte;
  }
  if (seen == 0) {
    return InvalidArgument("error importing key: the key is all zeros");
  }
  return SecretBytes::CopyOf(material);
}

}  // namespace kms
