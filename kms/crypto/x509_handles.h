// SPDX-License-Identifier: Apache-2.0
// Owners of OpenSSL's certificates and requests.
#pragma once

#include <openssl/x509.h>

#include <memory>

namespace kms::internal {

struct CertificateDeleter {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
struct RequestDeleter {
  void operator()(X509_REQ* request) const { X509_REQ_free(request); }
};
using Certificate = std::unique_ptr<X509, CertificateDeleter>;
using CertificateRequest = std::unique_ptr<X509_REQ, RequestDeleter>;

}  // namespace kms::internal
