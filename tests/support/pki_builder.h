// SPDX-License-Identifier: Apache-2.0
// PkiBuilder: certificates and revocation lists of a made-up authority, right or wrong on purpose.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kms/base/bytes.h"

namespace kms::testing {

// 2026-01-01 and a year later: what certificates are valid for unless told otherwise.
inline constexpr std::int64_t kPkiBegin = 1'767'225'600;
inline constexpr std::int64_t kPkiEnd = 1'798'761'600;

struct CertificateSpec {
  std::string common_name;  // empty: none
  std::vector<std::string> organizational_units;
  std::uint64_t serial = 0;  // 0: the next one of the process
  std::int64_t not_before = kPkiBegin;
  std::int64_t not_after = kPkiEnd;
  // OpenSSL's configuration syntax by the extension's short name: {"subjectAltName", "DNS:a"}; an
  // OID takes "ASN1:UTF8String:text" or "DER:0102".
  std::vector<std::pair<std::string, std::string>> extensions;
  const char* digest = "SHA256";
};

// A certificate with its key. Copies share both. Plain value.
class IssuedCertificate {
 public:
  IssuedCertificate() = default;
  IssuedCertificate(std::shared_ptr<X509> certificate, std::shared_ptr<EVP_PKEY> key)
      : certificate_(std::move(certificate)), key_(std::move(key)) {}

  [[nodiscard]] X509* native() const { return certificate_.get(); }
  [[nodiscard]] EVP_PKEY* key() const { return key_.get(); }
  [[nodiscard]] const std::shared_ptr<EVP_PKEY>& shared_key() const { return key_; }
  [[nodiscard]] Bytes Der() const;
  [[nodiscard]] std::string Pem() const;
  [[nodiscard]] std::string KeyPem() const;

 private:
  std::shared_ptr<X509> certificate_;
  std::shared_ptr<EVP_PKEY> key_;
};

// P-256 throughout.
std::shared_ptr<EVP_PKEY> MakePkiKey();
// Signed by `issuer`; null: by itself. `key` null: a new one.
IssuedCertificate Issue(const CertificateSpec& spec, const IssuedCertificate* issuer,
                        std::shared_ptr<EVP_PKEY> key = nullptr);

// Specs of what is right: a self-signed or intermediate authority, and a client's certificate.
CertificateSpec AuthoritySpec(std::string common_name);
CertificateSpec ClientSpec(std::string common_name);

struct RevocationSpec {
  std::vector<std::uint64_t> serials;
  std::int64_t this_update = kPkiBegin;
  std::int64_t next_update = kPkiEnd;  // 0: none
  std::uint64_t number = 1;
};
// A CRL of version 2 in DER.
Bytes MakeRevocationList(const RevocationSpec& spec, const IssuedCertificate& issuer);
std::string RevocationListPem(ByteView der);

}  // namespace kms::testing
