// SPDX-License-Identifier: Apache-2.0
// What is read out of X.509 certificates (RFC 5280), as plain text.
#pragma once

#include <openssl/x509.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/bytes.h"
#include "kms/crypto/x509_handles.h"

namespace kms::internal {

// Null unless `der` is one whole certificate whose extensions can all be read.
Certificate ReadCertificate(ByteView der);
// Null unless `der` is one whole list.
CertificateRevocationList ReadRevocationList(ByteView der);

Bytes EncodeCertificate(const X509* certificate);

// The values of one attribute ("CN": NID_commonName) in order, in UTF-8. Values that are no text or
// hold control characters are left out: nothing may match them.
std::vector<std::string> NameValues(const X509_NAME* name, int nid);
// "CN=a,OU=b" (RFC 2253), for operators to read.
std::string NameText(const X509_NAME* name);

// GEN_DNS, GEN_EMAIL or GEN_URI of the subject's alternative names; the same about control
// characters.
std::vector<std::string> AlternativeNames(const X509* certificate, int type);

std::string DecimalText(const ASN1_INTEGER* number);
// Bytes as "0a:1b"; "" for null.
std::string ColonHex(const ASN1_STRING* bytes);
std::string SerialColonHex(const X509* certificate);

// The content of the extension with this dotted OID; nullopt when there is none.
std::optional<Bytes> ExtensionContent(const X509* certificate, std::string_view oid);
// The text that an extension's content is when it is one ASN.1 string; nullopt otherwise.
std::optional<std::string> ExtensionText(ByteView content);

// Seconds since 1970; nullopt for null or what is no time.
std::optional<std::int64_t> UnixSeconds(const ASN1_TIME* time);

}  // namespace kms::internal
