// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/certificate_chain.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <optional>

#include "kms/crypto/pem_text.h"
#include "kms/crypto/x509_handles.h"

namespace kms {

namespace {

using internal::Certificate;

constexpr std::string_view kWhitespace = " \t\r\n";

Error NotPersisted(std::string reason) {
  return InvalidArgument("failed to persist certificate chain: certificate in " +
                         std::move(reason));
}

// The certificates' DER, in the order of the text.
Result<std::vector<Bytes>> ReadBlocks(std::string_view pem) {
  if (pem.size() > kMaxChainTextBytes) {
    return InvalidArgument("certificate chain is too long: more than " +
                           std::to_string(kMaxChainTextBytes) + " bytes");
  }
  std::vector<Bytes> certificates;
  while (pem.find_first_not_of(kWhitespace) != std::string_view::npos) {
    std::optional<internal::PemBlock> block = internal::DecodePem(pem);
    if (!block.has_value()) {
      return InvalidArgument("could not decode a PEM block in the certificate chain");
    }
    if (block->label == "CERTIFICATE" || block->label == "X509 CERTIFICATE") {
      certificates.push_back(std::move(block->content));
    }
    pem = block->rest;
  }
  if (certificates.empty()) {
    return InvalidArgument(
        "provided certificate chain did not contain any valid PEM encoded certificate");
  }
  if (certificates.size() > kMaxChainCertificates) {
    return InvalidArgument("certificate chain is too long: more than " +
                           std::to_string(kMaxChainCertificates) + " certificates");
  }
  return certificates;
}

Result<Certificate> Parse(ByteView der) {
  const std::uint8_t* at = der.data();
  Certificate certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  const bool is_whole = certificate != nullptr && at == der.data() + der.size();
  const bool is_valid =
      is_whole && (X509_get_extension_flags(certificate.get()) & EXFLAG_INVALID) == 0;
  ERR_clear_error();
  if (!is_valid) {
    return InvalidArgument(std::string("could not parse a certificate in the certificate chain: ") +
                           (is_whole ? "an extension is malformed" : "asn1: structure error"));
  }
  return certificate;
}

Status CheckLeaf(const AsymmetricKey& key, X509* leaf) {
  if ((X509_get_extension_flags(leaf) & EXFLAG_CA) != 0) {
    return NotPersisted("the first element is not a valid leaf certificate");
  }
  EVP_PKEY* certified = X509_get0_pubkey(leaf);
  const bool same = certified != nullptr && EVP_PKEY_eq(certified, key.native()) == 1;
  ERR_clear_error();
  return same ? Ok()
              : InvalidArgument(
                    "leaf certificate public key does not match the selected key "
                    "version");
}

// RFC 5280, 4.2.1.9 and 4.2.1.3: basic constraints say CA, the key usage allows certificates.
Status CheckAuthority(X509* certificate, std::size_t number, bool is_last) {
  constexpr int kByBasicConstraints = 1;
  if (X509_check_ca(certificate) == kByBasicConstraints) {
    return Ok();
  }
  return NotPersisted((is_last ? "the last element" : "element " + std::to_string(number)) +
                      " is not a valid CA certificate");
}

bool IsSignedBy(X509* certificate, X509* issuer) {
  EVP_PKEY* issuer_key = X509_get0_pubkey(issuer);
  const bool verified = issuer_key != nullptr && X509_verify(certificate, issuer_key) == 1;
  ERR_clear_error();
  return verified;
}

}  // namespace

Result<std::vector<Bytes>> ParseCertificateChain(const AsymmetricKey& key, std::string_view pem) {
  std::vector<Bytes> encoded = KMS_TRY(ReadBlocks(pem));
  std::vector<Certificate> chain;
  for (const Bytes& der : encoded) {
    chain.push_back(KMS_TRY(Parse(der)));
  }
  KMS_TRY(CheckLeaf(key, chain.front().get()));
  for (std::size_t index = 1; index < chain.size(); ++index) {
    KMS_TRY(CheckAuthority(chain[index].get(), index + 1, index + 1 == chain.size()));
    if (!IsSignedBy(chain[index - 1].get(), chain[index].get())) {
      return NotPersisted("element " + std::to_string(index) + " is not signed by the next one");
    }
  }
  return encoded;
}

std::string RenderCertificateChain(std::span<const Bytes> certificates) {
  std::string text;
  for (const Bytes& der : certificates) {
    text += text.empty() ? "" : "\n";
    text += internal::EncodePem("CERTIFICATE", der, internal::PemEnding::kNone);
  }
  return text;
}

}  // namespace kms
