// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/client_certificate.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <utility>

#include "kms/auth/certificate_reading.h"

namespace kms {

namespace {

Error Malformed() { return InvalidArgument("malformed client certificate"); }

CertificateNames ReadNames(X509* leaf) {
  const X509_NAME* subject = X509_get_subject_name(leaf);
  CertificateNames names;
  const std::vector<std::string> common_names = internal::NameValues(subject, NID_commonName);
  names.common_name = common_names.empty() ? "" : common_names.back();
  names.organizational_units = internal::NameValues(subject, NID_organizationalUnitName);
  names.dns_names = internal::AlternativeNames(leaf, GEN_DNS);
  names.email_addresses = internal::AlternativeNames(leaf, GEN_EMAIL);
  names.uris = internal::AlternativeNames(leaf, GEN_URI);
  names.serial_decimal = internal::DecimalText(X509_get0_serialNumber(leaf));
  names.serial_hex = internal::SerialColonHex(leaf);
  names.subject_key_id = internal::ColonHex(X509_get0_subject_key_id(leaf));
  names.authority_key_id = internal::ColonHex(X509_get0_authority_key_id(leaf));
  return names;
}

}  // namespace

ClientCertificate::ClientCertificate(internal::Certificate leaf, Bytes der)
    : leaf_(std::move(leaf)),
      der_(std::move(der)),
      digest_(Sha256(der_)),
      names_(ReadNames(leaf_.get())) {}

Result<ClientCertificate> ClientCertificate::Parse(std::span<const Bytes> chain) {
  if (chain.empty() || chain.size() > kMaxPresentedCertificates) {
    return Malformed();
  }
  internal::Certificate leaf = internal::ReadCertificate(chain.front());
  if (leaf == nullptr) {
    return Malformed();
  }
  ClientCertificate certificate(std::move(leaf), chain.front());
  for (const Bytes& der : chain.subspan(1)) {
    internal::Certificate other = internal::ReadCertificate(der);
    if (other == nullptr) {
      return Malformed();
    }
    certificate.others_.push_back(std::move(other));
  }
  return certificate;
}

std::string ClientCertificate::KeyDigestHex() const {
  unsigned char* bytes = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf_.get()), &bytes);
  if (size <= 0) {
    ERR_clear_error();
    return HexEncode(digest_);
  }
  const Sha256Digest digest = Sha256(ByteView{bytes, static_cast<std::size_t>(size)});
  OPENSSL_free(bytes);
  return HexEncode(digest);
}

std::optional<std::string> ClientCertificate::ExtensionText(std::string_view oid) const {
  const std::optional<Bytes> content = internal::ExtensionContent(leaf_.get(), oid);
  return content.has_value() ? internal::ExtensionText(*content) : std::nullopt;
}

std::optional<std::string> ClientCertificate::ExtensionHex(std::string_view oid) const {
  const std::optional<Bytes> content = internal::ExtensionContent(leaf_.get(), oid);
  return content.has_value() ? std::optional(HexEncode(*content)) : std::nullopt;
}

}  // namespace kms
