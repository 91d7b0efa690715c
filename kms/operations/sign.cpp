// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/sign.h"

#include "kms/base/base64url.h"
#include "kms/crypto/signature.h"
#include "kms/keys/ciphertext.h"
#include "kms/operations/resident_keys.h"
#include "kms/operations/signing_key.h"

namespace kms {

namespace {

Result<KeyVersionNumber> ChooseVersion(const KeyPolicy& policy, std::int64_t requested) {
  if (requested == 0) {
    return policy.latest_version;
  }
  if (requested < 0) {
    return InvalidArgument("requested version for signing is negative");
  }
  if (requested > std::int64_t{policy.latest_version}) {
    return InvalidArgument("requested version for signing is higher than the latest key version");
  }
  if (requested < std::int64_t{policy.min_encryption_version}) {
    return InvalidArgument(
        "requested version for signing is less than the minimum encryption key version");
  }
  return static_cast<KeyVersionNumber>(requested);
}

Status CheckPrivatePart(const Key& key, KeyVersionNumber version) {
  const AsymmetricKey* pair = key.FindAsymmetric(version);
  if (pair != nullptr && !pair->has_private() && !key.policy().is_resident()) {
    return InvalidArgument("requested version for signing does not contain a private part");
  }
  return Ok();
}

std::string Marshaled(KeyVersionNumber version, SignatureMarshaling marshaling, ByteView payload) {
  std::string text;
  const bool url = marshaling == SignatureMarshaling::kJws;
  AppendCiphertext(version, url ? ByteView() : payload, text);
  if (url) {
    AppendBase64Url(payload, text);
  }
  return text;
}

ResidentSignatureScheme SchemeOf(const AsymmetricKey& pair, const SignatureOptions& options) {
  if (IsEcdsa(pair.algorithm())) {
    return ResidentSignatureScheme::kEcdsa;
  }
  return options.rsa == RsaSignatureScheme::kPss ? ResidentSignatureScheme::kRsaPss
                                                 : ResidentSignatureScheme::kRsaPkcs1v15;
}

Result<Bytes> SignInHsm(const Key& key, const KeyVersion& version, const AsymmetricKey& pair,
                        const SignatureOptions& options, ByteView input) {
  if (key.residence() == nullptr) {
    return Unavailable("the key lives in an HSM, and none is connected");
  }
  ResidentSignRequest request{.scheme = SchemeOf(pair, options), .hash = options.hash};
  request.digest = KMS_TRY(DigestToSign(pair, options, input));
  if (request.scheme == ResidentSignatureScheme::kRsaPss) {
    request.salt_bytes = static_cast<std::uint32_t>(PssSaltBytes(pair, options));
  }
  Bytes signature = KMS_TRY(key.residence()->Sign(*version.resident, request));
  return MarshalSignature(pair, options, std::move(signature));
}

Result<Bytes> SignWherever(const Key& key, KeyVersionNumber version, const AsymmetricKey& pair,
                           const SignatureOptions& options, ByteView input) {
  return key.policy().is_resident()
             ? SignInHsm(key, *key.FindVersion(version), pair, options, input)
             : CreateSignature(pair, options, input);
}

}  // namespace

Result<SignOutcome> Sign(const Key& key, const SignInput& input) {
  const KeyVersionNumber version = KMS_TRY(ChooseVersion(key.policy(), input.key_version));
  KMS_TRY(CheckPrivatePart(key, version));
  const AsymmetricKey pair = KMS_TRY(ChooseSigningKey(key, version, input.context));
  const SignatureOptions options = KMS_TRY(OptionsFor(key, input.request));
  const Bytes signature = KMS_TRY(SignWherever(key, version, pair, options, input.input));
  SignOutcome outcome{.signature = Marshaled(version, options.marshaling, signature),
                      .key_version = version,
                      .public_key = {}};
  if (key.policy().derived) {
    outcome.public_key = KMS_TRY(pair.Ed25519PublicKey());
  }
  return outcome;
}

}  // namespace kms
