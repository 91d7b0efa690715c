// SPDX-License-Identifier: Apache-2.0
// Owners of OpenSSL's certificates, requests and revocation lists.
#pragma once

#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <memory>

namespace kms::internal {

struct CertificateDeleter {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
struct RequestDeleter {
  void operator()(X509_REQ* request) const { X509_REQ_free(request); }
};
struct RevocationListDeleter {
  void operator()(X509_CRL* list) const { X509_CRL_free(list); }
};
struct CertificateStoreDeleter {
  void operator()(X509_STORE* store) const { X509_STORE_free(store); }
};
using Certificate = std::unique_ptr<X509, CertificateDeleter>;
using CertificateRequest = std::unique_ptr<X509_REQ, RequestDeleter>;
using CertificateRevocationList = std::unique_ptr<X509_CRL, RevocationListDeleter>;
using CertificateStore = std::unique_ptr<X509_STORE, CertificateStoreDeleter>;

}  // namespace kms::internal
