// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/create_csr.h"

#include <utility>

#include "kms/crypto/certificate_request.h"
#include "kms/operations/certifiable_key.h"
#include "kms/operations/resident_keys.h"

namespace kms {

namespace {

Error CouldNotCreate(Error error) {
  if (error.code == ErrorCode::kInvalidArgument) {
    error.public_message = "could not create the csr: " + error.public_message;
  }
  return error;
}

Result<std::string> SignInHsm(const Key& key, const KeyVersion& version,
                              std::string_view template_pem) {
  if (key.residence() == nullptr) {
    return Unavailable("the key lives in an HSM, and none is connected");
  }
  const AsymmetricKey& pair = *key.FindAsymmetric(version.number);
  const auto scheme = IsRsa(pair.algorithm()) ? ResidentSignatureScheme::kRsaPkcs1v15
                                              : ResidentSignatureScheme::kEcdsa;
  const DigestSigner sign = [&](HashAlgorithm hash, ByteView digest) -> Result<Bytes> {
    const ResidentSignRequest request{.scheme = scheme, .hash = hash, .digest = CopyOf(digest)};
    Result<Bytes> signature = key.residence()->Sign(*version.resident, request);
    if (!signature.has_value()) {
      return CouldNotCreate(std::move(signature).error());
    }
    return signature;
  };
  return SignCertificateRequestElsewhere(pair, template_pem, sign);
}

Result<std::string> SignWherever(const Key& key, const KeyVersion& version,
                                 std::string_view template_pem) {
  return version.resident.has_value()
             ? SignInHsm(key, version, template_pem)
             : SignCertificateRequest(*key.FindAsymmetric(version.number), template_pem);
}

}  // namespace

Result<CreateCsrOutcome> CreateCsr(const Key* key, const KeyName& name,
                                   const CreateCsrRequest& request) {
  KMS_TRY(CheckCertifiable(key, name));
  const Result<const KeyVersion*> version = FindVersionOrLatest(*key, request.version);
  if (!version) {
    return CouldNotCreate(version.error());
  }
  std::string csr = KMS_TRY(SignWherever(*key, **version, request.template_pem));
  return CreateCsrOutcome{.csr = std::move(csr), .version = (*version)->number};
}

}  // namespace kms
