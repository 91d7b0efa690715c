// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/certificate_trust.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <optional>
#include <utility>

#include "kms/auth/certificate_reading.h"
#include "kms/crypto/pem_text.h"

namespace kms {

namespace {

constexpr std::string_view kWhitespace = " \t\r\n";
// OpenSSL's level: at least 112 bits of strength, so no SHA-1 and no RSA below 2048 bits.
constexpr int kSecurityLevel = 2;
constexpr int kByBasicConstraints = 1;

using VerificationPtr = std::unique_ptr<X509_STORE_CTX, decltype(&X509_STORE_CTX_free)>;

Error NotACertificate() { return InvalidArgument("failed to parse certificate"); }

Result<std::vector<internal::Certificate>> ReadCertificates(std::string_view pem) {
  std::vector<internal::Certificate> certificates;
  while (pem.find_first_not_of(kWhitespace) != std::string_view::npos) {
    const std::optional<internal::PemBlock> block = internal::DecodePem(pem);
    if (!block.has_value() || block->label != "CERTIFICATE") {
      return NotACertificate();
    }
    internal::Certificate certificate = internal::ReadCertificate(block->content);
    if (certificate == nullptr) {
      return NotACertificate();
    }
    certificates.push_back(std::move(certificate));
    if (certificates.size() > kMaxTrustedCertificates) {
      return InvalidArgument("failed to parse certificate: more than " +
                             std::to_string(kMaxTrustedCertificates) + " certificates");
    }
    pem = block->rest;
  }
  return certificates;
}

bool IsAuthority(X509* certificate) { return X509_check_ca(certificate) == kByBasicConstraints; }

// Not the stricter test for an authority: whatever may sign certificates in anybody's eyes is none
// of a client's.
bool MayBeAClient(X509* certificate) {
  return X509_check_ca(certificate) == 0 &&
         X509_check_purpose(certificate, X509_PURPOSE_SSL_CLIENT, 0) == 1;
}

bool IsValidAt(const X509* certificate, std::int64_t unix_seconds) {
  const std::optional<std::int64_t> begin = internal::UnixSeconds(X509_get0_notBefore(certificate));
  const std::optional<std::int64_t> end = internal::UnixSeconds(X509_get0_notAfter(certificate));
  return begin && end && *begin <= unix_seconds && unix_seconds <= *end;
}

bool IsRevoked(X509* certificate, X509* issuer, std::span<const RevocationListHandle> lists,
               std::int64_t unix_seconds) {
  for (const RevocationListHandle& list : lists) {
    switch (list->Judge(certificate, issuer, unix_seconds)) {
      case RevocationVerdict::kNotCovered:
      case RevocationVerdict::kGood: break;
      case RevocationVerdict::kRevoked:
      case RevocationVerdict::kOutdated: return true;
    }
  }
  return false;
}

// `chain` from the leaf to what is trusted.
bool AnyIsRevoked(const STACK_OF(X509) * chain, std::span<const RevocationListHandle> lists,
                  std::int64_t unix_seconds) {
  const int count = sk_X509_num(chain);
  for (int i = 0; i < count; ++i) {
    X509* certificate = sk_X509_value(chain, i);
    const bool self_issued = X509_check_issued(certificate, certificate) == X509_V_OK;
    X509* issuer = self_issued ? certificate : nullptr;
    if (i + 1 < count) {
      issuer = sk_X509_value(chain, i + 1);
    }
    if (IsRevoked(certificate, issuer, lists, unix_seconds)) {
      return true;
    }
  }
  return false;
}

}  // namespace

Result<CertificateTrustHandle> CertificateTrust::Parse(std::string_view pem) {
  const std::shared_ptr<CertificateTrust> trust(new CertificateTrust);
  trust->certificates_ = KMS_TRY(ReadCertificates(pem));
  if (trust->certificates_.empty()) {
    return NotACertificate();
  }
  if (!IsAuthority(trust->certificates_.front().get())) {
    if (trust->certificates_.size() > 1) {
      return InvalidArgument(
          "failed to parse certificate: a certificate that is no authority must stand alone");
    }
    if (!MayBeAClient(trust->certificates_.front().get())) {
      ERR_clear_error();
      return InvalidArgument(
          "non-CA certificates should have TLS client authentication set as an extended key usage");
    }
    return CertificateTrustHandle(trust);
  }
  trust->store_.reset(X509_STORE_new());
  if (trust->store_ == nullptr) {
    return Internal("X509_STORE_new");
  }
  for (const internal::Certificate& certificate : trust->certificates_) {
    if (!IsAuthority(certificate.get())) {
      return InvalidArgument("failed to parse certificate: one is an authority and another is not");
    }
    if (X509_STORE_add_cert(trust->store_.get(), certificate.get()) != 1) {
      ERR_clear_error();
      return Internal("X509_STORE_add_cert");
    }
  }
  return CertificateTrustHandle(trust);
}

TrustVerdict CertificateTrust::Judge(const ClientCertificate& client,
                                     std::span<const RevocationListHandle> lists,
                                     std::int64_t unix_seconds) const {
  if (!MayBeAClient(client.leaf())) {
    ERR_clear_error();
    return TrustVerdict::kUntrusted;
  }
  return is_authority() ? JudgeByAuthorities(client, lists, unix_seconds)
                        : JudgePinned(client, lists, unix_seconds);
}

TrustVerdict CertificateTrust::JudgeByAuthorities(const ClientCertificate& client,
                                                  std::span<const RevocationListHandle> lists,
                                                  std::int64_t unix_seconds) const {
  const VerificationPtr verification(X509_STORE_CTX_new(), X509_STORE_CTX_free);
  const std::unique_ptr<STACK_OF(X509), void (*)(STACK_OF(X509)*)> others(
      sk_X509_new_null(), [](STACK_OF(X509) * stack) { sk_X509_free(stack); });
  if (verification == nullptr || others == nullptr) {
    return TrustVerdict::kUntrusted;
  }
  for (const internal::Certificate& other : client.others()) {
    sk_X509_push(others.get(), other.get());  // not owned
  }
  X509_STORE_CTX* context = verification.get();
  if (X509_STORE_CTX_init(context, store_.get(), client.leaf(), others.get()) != 1) {
    ERR_clear_error();
    return TrustVerdict::kUntrusted;
  }
  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context);
  X509_VERIFY_PARAM_set_time(parameters, static_cast<time_t>(unix_seconds));
  X509_VERIFY_PARAM_set_depth(parameters, static_cast<int>(kMaxPresentedCertificates));
  X509_VERIFY_PARAM_set_auth_level(parameters, kSecurityLevel);
  X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN);
  const bool verified = X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_CLIENT) == 1 &&
                        X509_verify_cert(context) == 1;
  ERR_clear_error();
  if (!verified) {
    return TrustVerdict::kUntrusted;
  }
  return AnyIsRevoked(X509_STORE_CTX_get0_chain(context), lists, unix_seconds)
             ? TrustVerdict::kRevoked
             : TrustVerdict::kTrusted;
}

TrustVerdict CertificateTrust::JudgePinned(const ClientCertificate& client,
                                           std::span<const RevocationListHandle> lists,
                                           std::int64_t unix_seconds) const {
  X509* pinned = certificates_.front().get();
  const Bytes der = internal::EncodeCertificate(pinned);
  if (der.empty() || der != client.der() || !IsValidAt(pinned, unix_seconds)) {
    return TrustVerdict::kUntrusted;
  }
  return IsRevoked(pinned, nullptr, lists, unix_seconds) ? TrustVerdict::kRevoked
                                                         : TrustVerdict::kTrusted;
}

std::string CertificateTrust::Pem() const {
  std::string text;
  for (const internal::Certificate& certificate : certificates_) {
    text += internal::EncodePem("CERTIFICATE", internal::EncodeCertificate(certificate.get()),
                                internal::PemEnding::kNewline);
  }
  return text;
}

}  // namespace kms
