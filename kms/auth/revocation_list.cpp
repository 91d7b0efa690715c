// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/revocation_list.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <utility>

#include "kms/auth/certificate_reading.h"
#include "kms/crypto/pem_text.h"

namespace kms {

namespace {

Error Unreadable(const std::string& reason) {
  return InvalidArgument("failed to parse CRL: " + reason);
}

Bytes ContentOf(const ASN1_STRING* string) {
  return string == nullptr ? Bytes{}
                           : CopyOf({ASN1_STRING_get0_data(string),
                                     static_cast<std::size_t>(ASN1_STRING_length(string))});
}

Bytes AuthorityKeyId(const X509_CRL* list) {
  const std::unique_ptr<AUTHORITY_KEYID, decltype(&AUTHORITY_KEYID_free)> id(
      static_cast<AUTHORITY_KEYID*>(
          X509_CRL_get_ext_d2i(list, NID_authority_key_identifier, nullptr, nullptr)),
      AUTHORITY_KEYID_free);
  ERR_clear_error();
  return id == nullptr ? Bytes{} : ContentOf(id->keyid);
}

bool IsIndirect(const X509_CRL* list) {
  const std::unique_ptr<ISSUING_DIST_POINT, decltype(&ISSUING_DIST_POINT_free)> point(
      static_cast<ISSUING_DIST_POINT*>(
          X509_CRL_get_ext_d2i(list, NID_issuing_distribution_point, nullptr, nullptr)),
      ISSUING_DIST_POINT_free);
  ERR_clear_error();
  return point != nullptr && point->indirectCRL != 0;
}

// RFC 5280, 5.2: a list with a critical extension that is not understood must not be used.
Status CheckExtensions(const X509_CRL* list) {
  for (int i = 0; i < X509_CRL_get_ext_count(list); ++i) {
    X509_EXTENSION* extension = X509_CRL_get_ext(list, i);
    const int nid = OBJ_obj2nid(X509_EXTENSION_get_object(extension));
    if (nid == NID_delta_crl) {
      return Unreadable("a delta list is not enough, the complete one is needed");
    }
    const bool understood = nid == NID_issuing_distribution_point ||
                            nid == NID_authority_key_identifier || nid == NID_crl_number;
    if (X509_EXTENSION_get_critical(extension) != 0 && !understood) {
      return Unreadable("it has a critical extension that is not understood");
    }
  }
  return IsIndirect(list) ? Status(Unreadable("indirect lists are not supported")) : Ok();
}

}  // namespace

RevocationList::RevocationList(internal::CertificateRevocationList list, ByteView der)
    : list_(std::move(list)),
      der_(CopyOf(der)),
      authority_key_id_(AuthorityKeyId(list_.get())),
      this_update_(internal::UnixSeconds(X509_CRL_get0_lastUpdate(list_.get()))),
      next_update_(internal::UnixSeconds(X509_CRL_get0_nextUpdate(list_.get()))) {}

Result<RevocationListHandle> RevocationList::Parse(ByteView der) {
  if (der.size() > kMaxRevocationListBytes) {
    return Unreadable("it is longer than " + std::to_string(kMaxRevocationListBytes) + " bytes");
  }
  internal::CertificateRevocationList list = internal::ReadRevocationList(der);
  if (list == nullptr) {
    return Unreadable("not one whole list");
  }
  KMS_TRY(CheckExtensions(list.get()));
  RevocationListHandle made(new RevocationList(std::move(list), der));
  const bool end_unreadable =
      X509_CRL_get0_nextUpdate(made->list_.get()) != nullptr && !made->next_update_;
  if (!made->this_update_ || end_unreadable) {
    return Unreadable("its times cannot be read");
  }
  return made;
}

Result<RevocationListHandle> RevocationList::Parse(std::string_view text) {
  if (text.find("-----BEGIN ") == std::string_view::npos) {
    return Parse(AsBytes(text));
  }
  const std::optional<internal::PemBlock> block = internal::DecodePem(text);
  if (!block.has_value() || block->label != "X509 CRL") {
    return Unreadable("not a PEM block of an X509 CRL");
  }
  return Parse(ByteView(block->content));
}

bool RevocationList::Covers(X509* certificate, X509* issuer) const {
  if (X509_NAME_cmp(X509_CRL_get_issuer(list_.get()), X509_get_issuer_name(certificate)) != 0) {
    return false;
  }
  if (issuer != nullptr) {
    EVP_PKEY* key = X509_get0_pubkey(issuer);
    const bool signed_by_it = key != nullptr && X509_CRL_verify(list_.get(), key) == 1;
    ERR_clear_error();
    return signed_by_it;
  }
  const Bytes key_id = ContentOf(X509_get0_authority_key_id(certificate));
  return key_id.empty() || authority_key_id_.empty() || key_id == authority_key_id_;
}

bool RevocationList::IsCurrent(std::int64_t unix_seconds) const {
  return *this_update_ <= unix_seconds && (!next_update_ || unix_seconds <= *next_update_);
}

RevocationVerdict RevocationList::Judge(X509* certificate, X509* issuer,
                                        std::int64_t unix_seconds) const {
  if (!Covers(certificate, issuer)) {
    return RevocationVerdict::kNotCovered;
  }
  X509_REVOKED* entry = nullptr;
  // Whatever the list says of it, even "remove from list": a complete list has no reason to name a
  // good certificate.
  if (X509_CRL_get0_by_serial(list_.get(), &entry, X509_get0_serialNumber(certificate)) != 0) {
    return RevocationVerdict::kRevoked;
  }
  return IsCurrent(unix_seconds) ? RevocationVerdict::kGood : RevocationVerdict::kOutdated;
}

std::string RevocationList::Issuer() const {
  return internal::NameText(X509_CRL_get_issuer(list_.get()));
}

std::size_t RevocationList::revoked_count() const {
  const int count = sk_X509_REVOKED_num(X509_CRL_get_REVOKED(list_.get()));
  return count > 0 ? static_cast<std::size_t>(count) : 0;
}

std::vector<std::string> RevocationList::RevokedSerials(std::size_t limit) const {
  std::vector<std::string> serials;
  const STACK_OF(X509_REVOKED)* revoked = X509_CRL_get_REVOKED(list_.get());
  const std::size_t count = std::min(limit, revoked_count());
  for (std::size_t i = 0; i < count; ++i) {
    const X509_REVOKED* entry = sk_X509_REVOKED_value(revoked, static_cast<int>(i));
    serials.push_back(internal::DecimalText(X509_REVOKED_get0_serialNumber(entry)));
  }
  return serials;
}

}  // namespace kms
