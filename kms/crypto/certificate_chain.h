// SPDX-License-Identifier: Apache-2.0
// The X.509 certificates (RFC 5280) that a caller keeps with a key version (transit-api 6.26).
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/crypto/asymmetric_key.h"

namespace kms {

inline constexpr std::size_t kMaxChainTextBytes = std::size_t{64} << 10U;
inline constexpr std::size_t kMaxChainCertificates = 10;

// DER, the leaf first. PEM blocks of other kinds and text between blocks are passed over. Checked:
// the leaf has the public key of `key` and is no CA, the others are CAs, and each is signed by the
// next. Not checked: validity in time, trust. Any thread.
// Errors: kInvalidArgument
//   could not decode a PEM block in the certificate chain
//   provided certificate chain did not contain any valid PEM encoded certificate
//   could not parse a certificate in the certificate chain: …
//   certificate chain is too long: …
//   leaf certificate public key does not match the selected key version
//   failed to persist certificate chain: certificate in the first element is not a valid leaf
//       certificate
//   failed to persist certificate chain: certificate in the last element is not a valid CA
//       certificate                               (also "in element N", counted from 1)
//   failed to persist certificate chain: certificate in element N is not signed by the next one
// kInternal.
Result<std::vector<Bytes>> ParseCertificateChain(const AsymmetricKey& key, std::string_view pem);

// PEM blocks joined by "\n", without a final newline; "" for no certificates.
std::string RenderCertificateChain(std::span<const Bytes> certificates);

}  // namespace kms
