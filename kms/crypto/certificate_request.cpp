// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/certificate_request.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include <memory>
#include <optional>

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

// All but the signature.
Result<CertificateRequest> MakeRequest(const AsymmetricKey& key, std::string_view template_pem) {
  CertificateRequest request(X509_REQ_new());
  if (request == nullptr || X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) != 1) {
    return SigningFailed("no memory");
  }
  if (!template_pem.empty()) {
    const CertificateRequest asked = KMS_TRY(ParseTemplate(template_pem));
    if (!CopyWhatIsAsked(asked.get(), request.get())) {
      return SigningFailed("the template was not taken");
    }
  }
  if (X509_REQ_set_pubkey(request.get(), key.native()) != 1) {
    return SigningFailed("the key was not taken");
  }
  return request;
}

// ---- signatures made elsewhere -----------------------------------------------------------------

struct SignatureForm {
  HashAlgorithm hash;
  int algorithm;   // NID of the AlgorithmIdentifier
  int parameters;  // RFC 5758, 3.2: none for ECDSA; RFC 4055, 5: NULL for RSA
};

Result<SignatureForm> FormFor(AsymmetricAlgorithm algorithm) {
  switch (algorithm) {
    case AsymmetricAlgorithm::kEcdsaP256:
      return SignatureForm{HashAlgorithm::kSha2_256, NID_ecdsa_with_SHA256, V_ASN1_UNDEF};
    case AsymmetricAlgorithm::kEcdsaP384:
      return SignatureForm{HashAlgorithm::kSha2_384, NID_ecdsa_with_SHA384, V_ASN1_UNDEF};
    case AsymmetricAlgorithm::kEcdsaP521:
      return SignatureForm{HashAlgorithm::kSha2_512, NID_ecdsa_with_SHA512, V_ASN1_UNDEF};
    case AsymmetricAlgorithm::kRsa2048:
    case AsymmetricAlgorithm::kRsa3072:
    case AsymmetricAlgorithm::kRsa4096:
      return SignatureForm{HashAlgorithm::kSha2_256, NID_sha256WithRSAEncryption, V_ASN1_NULL};
    case AsymmetricAlgorithm::kEd25519: break;  // signs no digests
  }
  return InvalidArgument("could not create the csr: keys of this type sign no digests");
}

Result<Bytes> ToBeSigned(X509_REQ* request) {
  const int size = i2d_re_X509_REQ_tbs(request, nullptr);
  Bytes der(static_cast<std::size_t>(size > 0 ? size : 0));
  std::uint8_t* at = der.data();
  if (size <= 0 || i2d_re_X509_REQ_tbs(request, &at) != size) {
    return SigningFailed("not encodable");
  }
  return der;
}

struct AlgorithmDeleter {
  void operator()(X509_ALGOR* algorithm) const { X509_ALGOR_free(algorithm); }
};
struct BitStringDeleter {
  void operator()(ASN1_BIT_STRING* bits) const { ASN1_BIT_STRING_free(bits); }
};

bool AddSignature(X509_REQ* request, const SignatureForm& form, Bytes signature) {
  const std::unique_ptr<X509_ALGOR, AlgorithmDeleter> algorithm(X509_ALGOR_new());
  std::unique_ptr<ASN1_BIT_STRING, BitStringDeleter> bits(ASN1_BIT_STRING_new());
  if (algorithm == nullptr || bits == nullptr ||
      X509_ALGOR_set0(algorithm.get(), OBJ_nid2obj(form.algorithm), form.parameters, nullptr) !=
          1 ||
      X509_REQ_set1_signature_algo(request, algorithm.get()) != 1 ||
      ASN1_BIT_STRING_set(bits.get(), signature.data(), static_cast<int>(signature.size())) != 1) {
    return false;
  }
  // Whole bytes: else the zeros at the end of a signature would count as unused bits.
  bits->flags |= ASN1_STRING_FLAG_BITS_LEFT;
  X509_REQ_set0_signature(request, bits.release());
  return true;
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
  const CertificateRequest request = KMS_TRY(MakeRequest(key, template_pem));
  if (X509_REQ_sign(request.get(), key.native(), HashFor(key.algorithm())) <= 0) {
    return SigningFailed("not signed");
  }
  return WritePem(request.get());
}

Result<std::string> SignCertificateRequestElsewhere(const AsymmetricKey& key,
                                                    std::string_view template_pem,
                                                    const DigestSigner& sign) {
  const SignatureForm form = KMS_TRY(FormFor(key.algorithm()));
  const CertificateRequest request = KMS_TRY(MakeRequest(key, template_pem));
  // The algorithm stands beside what is signed, not in it (RFC 2986, 4.2).
  const Bytes to_be_signed = KMS_TRY(ToBeSigned(request.get()));
  const HashValue digest = KMS_TRY(ComputeHash(form.hash, to_be_signed));
  const Bytes signature = KMS_TRY(sign(form.hash, digest.View()));
  if (!AddSignature(request.get(), form, signature)) {
    return SigningFailed("the signature was not taken");
  }
  const bool verifies = X509_REQ_verify(request.get(), key.native()) == 1;
  ERR_clear_error();
  if (!verifies) {
    return Unavailable(
        "the signature of the certificate request does not verify; it was not given out, retry and "
        "have the HSM checked if it persists");
  }
  return WritePem(request.get());
}

}  // namespace kms
