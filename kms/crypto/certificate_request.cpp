// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/certificate_request.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include <optional>

#include "kms/base/bytes.h"
#include "kms/crypto/pem_text.h"
#include "kms/crypto/x509_handles.h"

namespace kms {

namespace {

using internal::CertificateRequest;

Error SigningFailed(std::string detail) {
  ERR_clear_error();
  return Internal("certificate request: " + std::move(detail));
}

Result<CertificateRequest> ParseTemplate(std::string_view pem) {
  if (pem.size() > kMaxRequestTemplateBytes) {
    return InvalidArgument("could not parse the CSR: longer than " +
                           std::to_string(kMaxRequestTemplateBytes) + " bytes");
  }
  const std::optional<internal::PemBlock> block = internal::DecodePem(pem);
  if (!block.has_value()) {
    return InvalidArgument("could not decode PEM CSR");
  }
  const std::uint8_t* at = block->content.data();
  const std::uint8_t* end = at + block->content.size();
  CertificateRequest request(d2i_X509_REQ(nullptr, &at, static_cast<long>(block->content.size())));
  ERR_clear_error();
  if (request == nullptr || at != end) {
    return InvalidArgument("could not parse the CSR: asn1: structure error");
  }
  return request;
}

bool CopyWhatIsAsked(const X509_REQ* from, X509_REQ* to) {
  if (X509_REQ_set_subject_name(to, X509_REQ_get_subject_name(from)) != 1) {
    return false;
  }
  for (int index = 0; index < X509_REQ_get_attr_count(from); ++index) {
    if (X509_REQ_add1_attr(to, X509_REQ_get_attr(from, index)) != 1) {
      return false;
    }
  }
  return true;
}

// A hash as strong as the curve; Ed25519 has its own.
const EVP_MD* HashFor(AsymmetricAlgorithm algorithm) {
  switch (algorithm) {
    case AsymmetricAlgorithm::kEcdsaP384: return EVP_sha384();
    case AsymmetricAlgorithm::kEcdsaP521: return EVP_sha512();
    case AsymmetricAlgorithm::kEd25519: return nullptr;
    case AsymmetricAlgorithm::kEcdsaP256:
    case AsymmetricAlgorithm::kRsa2048:
    case AsymmetricAlgorithm::kRsa3072:
    case AsymmetricAlgorithm::kRsa4096: break;
  }
  return EVP_sha256();
}

Result<std::string> WritePem(X509_REQ* request) {
  const int size = i2d_X509_REQ(request, nullptr);
  if (size <= 0) {
    return SigningFailed("not encodable");
  }
  Bytes der(static_cast<std::size_t>(size));
  std::uint8_t* at = der.data();
  if (i2d_X509_REQ(request, &at) != size) {
    return SigningFailed("not encodable");
  }
  return internal::EncodePem("CERTIFICATE REQUEST", der, internal::PemEnding::kNewline);
}

}  // namespace

Result<std::string> SignCertificateRequest(const AsymmetricKey& key,
                                           std::string_view template_pem) {
  if (!key.has_private()) {
    return InvalidArgument(
        "could not create the csr: private key not imported for key version selected");
  }
  const CertificateRequest request(X509_REQ_new());
  if (request == nullptr || X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) != 1) {
    return SigningFailed("no memory");
  }
  if (!template_pem.empty()) {
    const CertificateRequest asked = KMS_TRY(ParseTemplate(template_pem));
    if (!CopyWhatIsAsked(asked.get(), request.get())) {
      return SigningFailed("the template was not taken");
    }
  }
  if (X509_REQ_set_pubkey(request.get(), key.native()) != 1 ||
      X509_REQ_sign(request.get(), key.native(), HashFor(key.algorithm())) <= 0) {
    return SigningFailed("not signed");
  }
  return WritePem(request.get());
}

}  // namespace kms
