// SPDX-License-Identifier: Apache-2.0
#include "tests/support/pki_builder.h"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <atomic>

#include "kms/crypto/pem_text.h"

namespace kms::testing {

namespace {

void SetTime(ASN1_TIME* time, std::int64_t unix_seconds) {
  EXPECT_NE(ASN1_TIME_set(time, static_cast<time_t>(unix_seconds)), nullptr);
}

void AddName(X509_NAME* name, const char* type, const std::string& value) {
  EXPECT_EQ(X509_NAME_add_entry_by_txt(name, type, MBSTRING_UTF8,
                                       reinterpret_cast<const unsigned char*>(value.data()),
                                       static_cast<int>(value.size()), -1, 0),
            1)
      << value;
}

void AddExtension(X509* certificate, X509* issuer, const std::string& name,
                  const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509V3_set_ctx_nodb(&context);
  X509_EXTENSION* extension = X509V3_EXT_nconf(nullptr, &context, name.c_str(), value.c_str());
  ASSERT_NE(extension, nullptr) << name << " = " << value;
  EXPECT_EQ(X509_add_ext(certificate, extension, -1), 1);
  X509_EXTENSION_free(extension);
}

template <typename Writer>
std::string ToPem(Writer writer) {
  BIO* memory = BIO_new(BIO_s_mem());
  EXPECT_EQ(writer(memory), 1);
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory, &text);
  std::string pem(text, static_cast<std::size_t>(size));
  BIO_free(memory);
  return pem;
}

void AddRevoked(X509_CRL* crl, std::uint64_t serial, std::int64_t when) {
  X509_REVOKED* revoked = X509_REVOKED_new();
  ASN1_INTEGER* number = ASN1_INTEGER_new();
  ASN1_INTEGER_set_uint64(number, serial);
  X509_REVOKED_set_serialNumber(revoked, number);
  ASN1_TIME* time = ASN1_TIME_set(nullptr, static_cast<time_t>(when));
  X509_REVOKED_set_revocationDate(revoked, time);
  X509_CRL_add0_revoked(crl, revoked);
  ASN1_TIME_free(time);
  ASN1_INTEGER_free(number);
}

}  // namespace

Bytes IssuedCertificate::Der() const {
  unsigned char* bytes = nullptr;
  const int size = i2d_X509(certificate_.get(), &bytes);
  Bytes der(bytes, bytes + size);
  OPENSSL_free(bytes);
  return der;
}

std::string IssuedCertificate::Pem() const {
  return ToPem([this](BIO* memory) { return PEM_write_bio_X509(memory, native()); });
}

std::string IssuedCertificate::KeyPem() const {
  return ToPem([this](BIO* memory) {
    return PEM_write_bio_PrivateKey(memory, key(), nullptr, nullptr, 0, nullptr, nullptr);
  });
}

std::shared_ptr<EVP_PKEY> MakePkiKey() { return {EVP_EC_gen("P-256"), EVP_PKEY_free}; }

IssuedCertificate Issue(const CertificateSpec& spec, const IssuedCertificate* issuer,
                        std::shared_ptr<EVP_PKEY> key) {
  static std::atomic<std::uint64_t> last_serial{1000};
  if (key == nullptr) {
    key = MakePkiKey();
  }
  const std::shared_ptr<X509> certificate(X509_new(), X509_free);
  X509* native = certificate.get();
  X509_set_version(native, 2);
  const std::uint64_t serial = spec.serial == 0 ? ++last_serial : spec.serial;
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(native), serial);
  SetTime(X509_getm_notBefore(native), spec.not_before);
  SetTime(X509_getm_notAfter(native), spec.not_after);
  X509_set_pubkey(native, key.get());
  X509_NAME* subject = X509_get_subject_name(native);
  for (const std::string& unit : spec.organizational_units) {
    AddName(subject, "OU", unit);
  }
  if (!spec.common_name.empty()) {
    AddName(subject, "CN", spec.common_name);
  }
  X509* signer = issuer == nullptr ? native : issuer->native();
  X509_set_issuer_name(native, X509_get_subject_name(signer));
  for (const auto& [name, value] : spec.extensions) {
    AddExtension(native, signer, name, value);
  }
  EVP_PKEY* signing_key = issuer == nullptr ? key.get() : issuer->key();
  EXPECT_GT(X509_sign(native, signing_key, EVP_get_digestbyname(spec.digest)), 0);
  return {certificate, std::move(key)};
}

CertificateSpec AuthoritySpec(std::string common_name) {
  return {.common_name = std::move(common_name),
          .extensions = {{"basicConstraints", "critical,CA:TRUE"},
                         {"keyUsage", "critical,keyCertSign,cRLSign"},
                         {"subjectKeyIdentifier", "hash"}}};
}

CertificateSpec ClientSpec(std::string common_name) {
  return {.common_name = std::move(common_name),
          .extensions = {{"basicConstraints", "critical,CA:FALSE"},
                         {"keyUsage", "critical,digitalSignature"},
                         {"extendedKeyUsage", "clientAuth"},
                         {"subjectKeyIdentifier", "hash"},
                         {"authorityKeyIdentifier", "keyid"}}};
}

Bytes MakeRevocationList(const RevocationSpec& spec, const IssuedCertificate& issuer) {
  const std::shared_ptr<X509_CRL> crl(X509_CRL_new(), X509_CRL_free);
  X509_CRL_set_version(crl.get(), 1);
  X509_CRL_set_issuer_name(crl.get(), X509_get_subject_name(issuer.native()));
  ASN1_TIME* time = ASN1_TIME_set(nullptr, static_cast<time_t>(spec.this_update));
  X509_CRL_set1_lastUpdate(crl.get(), time);
  if (spec.next_update != 0) {
    SetTime(time, spec.next_update);
    X509_CRL_set1_nextUpdate(crl.get(), time);
  }
  ASN1_TIME_free(time);
  for (const std::uint64_t serial : spec.serials) {
    AddRevoked(crl.get(), serial, spec.this_update);
  }
  ASN1_INTEGER* number = ASN1_INTEGER_new();
  ASN1_INTEGER_set_uint64(number, spec.number);
  X509_CRL_add1_ext_i2d(crl.get(), NID_crl_number, number, 0, 0);
  ASN1_INTEGER_free(number);
  EXPECT_GT(X509_CRL_sign(crl.get(), issuer.key(), EVP_sha256()), 0);
  unsigned char* bytes = nullptr;
  const int size = i2d_X509_CRL(crl.get(), &bytes);
  Bytes der(bytes, bytes + size);
  OPENSSL_free(bytes);
  return der;
}

std::string RevocationListPem(ByteView der) {
  return internal::EncodePem("X509 CRL", der, internal::PemEnding::kNewline);
}

}  // namespace kms::testing
