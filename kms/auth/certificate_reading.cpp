// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/certificate_reading.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <memory>

namespace kms::internal {

namespace {

struct OpensslFree {
  void operator()(void* memory) const { OPENSSL_free(memory); }
};
template <typename T>
using OpensslPtr = std::unique_ptr<T, OpensslFree>;

bool IsPrintable(std::string_view text) {
  return !text.empty() && std::ranges::none_of(text, [](char byte) {
    return static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f;
  });
}

// All of the string's bytes, so that a zero byte in it does not end it early.
std::optional<std::string> Utf8(const ASN1_STRING* string) {
  unsigned char* bytes = nullptr;
  const int size = ASN1_STRING_to_UTF8(&bytes, string);
  const OpensslPtr<unsigned char> owner(bytes);
  if (size < 0) {
    ERR_clear_error();
    return std::nullopt;
  }
  std::string text(AsText({bytes, static_cast<std::size_t>(size)}));
  return IsPrintable(text) ? std::optional(std::move(text)) : std::nullopt;
}

std::string ColonHexOf(ByteView bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += text.empty() ? "" : ":";
    text += HexEncode({&byte, 1});
  }
  return text;
}

ByteView Content(const ASN1_STRING* string) {
  return {ASN1_STRING_get0_data(string), static_cast<std::size_t>(ASN1_STRING_length(string))};
}

struct BigNumberFree {
  void operator()(BIGNUM* number) const { BN_free(number); }
};

std::string DottedOid(const ASN1_OBJECT* object) {
  std::array<char, 128> text{};
  const int size = OBJ_obj2txt(text.data(), static_cast<int>(text.size()), object, 1);
  return size > 0 && static_cast<std::size_t>(size) < text.size() ? text.data() : "";
}

}  // namespace

Certificate ReadCertificate(ByteView der) {
  const std::uint8_t* at = der.data();
  Certificate certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  const bool whole = certificate != nullptr && at == der.data() + der.size();
  const bool valid = whole && (X509_get_extension_flags(certificate.get()) & EXFLAG_INVALID) == 0;
  ERR_clear_error();
  return valid ? std::move(certificate) : nullptr;
}

CertificateRevocationList ReadRevocationList(ByteView der) {
  const std::uint8_t* at = der.data();
  CertificateRevocationList list(d2i_X509_CRL(nullptr, &at, static_cast<long>(der.size())));
  const bool whole = list != nullptr && at == der.data() + der.size();
  ERR_clear_error();
  return whole ? std::move(list) : nullptr;
}

Bytes EncodeCertificate(const X509* certificate) {
  unsigned char* bytes = nullptr;
  const int size = i2d_X509(certificate, &bytes);
  const OpensslPtr<unsigned char> owner(bytes);
  return size > 0 ? Bytes(bytes, bytes + size) : Bytes{};
}

std::vector<std::string> NameValues(const X509_NAME* name, int nid) {
  std::vector<std::string> values;
  for (int at = X509_NAME_get_index_by_NID(name, nid, -1); at >= 0;
       at = X509_NAME_get_index_by_NID(name, nid, at)) {
    std::optional<std::string> text = Utf8(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    if (text.has_value()) {
      values.push_back(*std::move(text));
    }
  }
  return values;
}

std::string NameText(const X509_NAME* name) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> memory(BIO_new(BIO_s_mem()), BIO_free);
  if (memory == nullptr || X509_NAME_print_ex(memory.get(), name, 0, XN_FLAG_RFC2253) < 0) {
    ERR_clear_error();
    return "";
  }
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

std::vector<std::string> AlternativeNames(const X509* certificate, int type) {
  const std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)> names(
      static_cast<GENERAL_NAMES*>(
          X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
      GENERAL_NAMES_free);
  ERR_clear_error();
  std::vector<std::string> values;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != type) {
      continue;
    }
    std::optional<std::string> text = Utf8(name->d.ia5);
    if (text.has_value()) {
      values.push_back(*std::move(text));
    }
  }
  return values;
}

std::string DecimalText(const ASN1_INTEGER* number) {
  const std::unique_ptr<BIGNUM, BigNumberFree> value(ASN1_INTEGER_to_BN(number, nullptr));
  if (value == nullptr) {
    ERR_clear_error();
    return "";
  }
  const OpensslPtr<char> text(BN_bn2dec(value.get()));
  return text == nullptr ? "" : text.get();
}

std::string ColonHex(const ASN1_STRING* bytes) {
  return bytes == nullptr ? "" : ColonHexOf(Content(bytes));
}

std::string SerialColonHex(const X509* certificate) {
  return ColonHex(X509_get0_serialNumber(certificate));
}

std::optional<Bytes> ExtensionContent(const X509* certificate, std::string_view oid) {
  for (int i = 0; i < X509_get_ext_count(certificate); ++i) {
    X509_EXTENSION* extension = X509_get_ext(certificate, i);
    if (DottedOid(X509_EXTENSION_get_object(extension)) == oid) {
      return CopyOf(Content(X509_EXTENSION_get_data(extension)));
    }
  }
  return std::nullopt;
}

std::optional<std::string> ExtensionText(ByteView content) {
  const std::uint8_t* at = content.data();
  const std::unique_ptr<ASN1_TYPE, decltype(&ASN1_TYPE_free)> value(
      d2i_ASN1_TYPE(nullptr, &at, static_cast<long>(content.size())), ASN1_TYPE_free);
  ERR_clear_error();
  if (value == nullptr || at != content.data() + content.size()) {
    return std::nullopt;
  }
  switch (ASN1_TYPE_get(value.get())) {
    case V_ASN1_UTF8STRING:
    case V_ASN1_PRINTABLESTRING:
    case V_ASN1_IA5STRING:
    case V_ASN1_T61STRING:
    case V_ASN1_VISIBLESTRING:
    case V_ASN1_BMPSTRING: return Utf8(value->value.asn1_string);
    default: return std::nullopt;
  }
}

std::optional<std::int64_t> UnixSeconds(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) {
    ERR_clear_error();
    return std::nullopt;
  }
  return static_cast<std::int64_t>(::timegm(&parts));
}

}  // namespace kms::internal
