// SPDX-License-Identifier: Apache-2.0
// Certificate signing requests, PKCS #10 (RFC 2986; transit-api 6.26).
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/crypto/asymmetric_key.h"
#include "kms/crypto/hash.h"

namespace kms {

inline constexpr std::size_t kMaxRequestTemplateBytes = std::size_t{64} << 10U;

// A PEM "CERTIFICATE REQUEST" with a final newline, signed by `key` (ECDSA with the hash of the
// curve's strength, Ed25519, RSA PKCS #1 v1.5 with SHA-256). Subject and attributes, the requested
// extensions among them, come from `template_pem`; its key and signature are replaced, and the
// signature need not have been valid. Without a template the subject is empty.
// Errors: kInvalidArgument "could not decode PEM CSR", "could not parse the CSR: …", "could not
// create the csr: private key not imported for key version selected"; kInternal. Any thread.
Result<std::string> SignCertificateRequest(const AsymmetricKey& key, std::string_view template_pem);

// Signs a digest where the private half is: ECDSA in DER form, RSA PKCS #1 v1.5.
using DigestSigner = std::function<Result<Bytes>(HashAlgorithm hash, ByteView digest)>;

// The same for an EC or RSA key whose private half is elsewhere: `sign` is called once, and what it
// returns must verify under `key`.
// Errors: as above and those of `sign`; kInvalidArgument for an Ed25519 key; kUnavailable for a
// signature that does not verify, which is not given out.
Result<std::string> SignCertificateRequestElsewhere(const AsymmetricKey& key,
                                                    std::string_view template_pem,
                                                    const DigestSigner& sign);

}  // namespace kms
