// SPDX-License-Identifier: Apache-2.0
// Certificate signing requests, PKCS #10 (RFC 2986; transit-api 6.26).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "kms/base/result.h"
#include "kms/crypto/asymmetric_key.h"

namespace kms {

inline constexpr std::size_t kMaxRequestTemplateBytes = std::size_t{64} << 10U;

// A PEM "CERTIFICATE REQUEST" with a final newline, signed by `key` (ECDSA with the hash of the
// curve's strength, Ed25519, RSA PKCS #1 v1.5 with SHA-256). Subject and attributes, the requested
// extensions among them, come from `template_pem`; its key and signature are replaced, and the
// signature need not have been valid. Without a template the subject is empty.
// Errors: kInvalidArgument "could not decode PEM CSR", "could not parse the CSR: …", "could not
// create the csr: private key not imported for key version selected"; kInternal. Any thread.
Result<std::string> SignCertificateRequest(const AsymmetricKey& key, std::string_view template_pem);

}  // namespace kms
