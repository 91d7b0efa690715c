// SPDX-License-Identifier: Apache-2.0
// Records of one cert mount, below auth/<mount accessor>/; numbers big-endian, texts and bytes with
// a 4-byte length, lists with a 4-byte number of items in front:
//
//   certs/<name>  'c' | 1 | certificate (PEM) | texts: names | common names | DNS names
//                 | email addresses | URIs | organizational units | required extensions
//                 | metadata extensions; each a list | display name
//                 | token parameters (token_parameters_codec)
//   crls/<name>   'r' | 1 | CRL (DER)
//   config        's' | 1 | disable_binding flag
#include "kms/identity/cert_records.h"

#include <array>

#include "kms/base/record_codec.h"
#include "kms/identity/token_parameters_codec.h"

namespace kms {

namespace {

constexpr char kEntryKind = 'c';
constexpr char kRevocationListKind = 'r';
constexpr char kSettingsKind = 's';
constexpr std::uint8_t kFormat = 1;

Error Damaged(const char* what) { return Corrupted("damaged entry", what); }

// Every list of an entry, in the order of the record.
template <typename Entry>
auto ListsOf(Entry& entry) {
  return std::array{&entry.constraints.names,
                    &entry.constraints.common_names,
                    &entry.constraints.dns_names,
                    &entry.constraints.email_addresses,
                    &entry.constraints.uris,
                    &entry.constraints.organizational_units,
                    &entry.constraints.required_extensions,
                    &entry.metadata_extensions};
}

}  // namespace

Result<SecretBytes> EncodeCertificateEntry(const CertificateEntry& entry) {
  RecordWriter writer(kEntryKind, kFormat);
  writer.PutText(entry.certificate);
  for (const std::vector<std::string>* list : ListsOf(entry)) {
    writer.Put(static_cast<std::uint32_t>(list->size()));
    for (const std::string& text : *list) {
      writer.PutText(text);
    }
  }
  writer.PutText(entry.display_name);
  PutTokenParameters(entry.parameters, writer);
  return SecretBytes::CopyOf(writer.Take());
}

Result<CertificateEntry> DecodeCertificateEntry(ByteView encoded) {
  RecordReader reader(encoded);
  reader.GetHead(kEntryKind, kFormat);
  CertificateEntry entry;
  entry.certificate = reader.GetText();
  for (std::vector<std::string>* list : ListsOf(entry)) {
    const auto count = reader.Get<std::uint32_t>();
    for (std::uint32_t i = 0; i < count && !reader.failed(); ++i) {
      list->push_back(reader.GetText());
    }
  }
  entry.display_name = reader.GetText();
  entry.parameters = GetTokenParameters(reader);
  if (!reader.Finished()) {
    return Damaged("certificate entry");
  }
  return entry;
}

Result<SecretBytes> EncodeRevocationListEntry(ByteView der) {
  RecordWriter writer(kRevocationListKind, kFormat);
  writer.PutSized(der);
  return SecretBytes::CopyOf(writer.Take());
}

Result<Bytes> DecodeRevocationListEntry(ByteView encoded) {
  RecordReader reader(encoded);
  reader.GetHead(kRevocationListKind, kFormat);
  Bytes der = CopyOf(reader.GetSized());
  if (!reader.Finished()) {
    return Damaged("revocation list");
  }
  return der;
}

Result<SecretBytes> EncodeCertSettings(const CertSettings& settings) {
  RecordWriter writer(kSettingsKind, kFormat);
  writer.PutFlag(settings.disable_binding);
  return SecretBytes::CopyOf(writer.Take());
}

Result<CertSettings> DecodeCertSettings(ByteView encoded) {
  RecordReader reader(encoded);
  reader.GetHead(kSettingsKind, kFormat);
  CertSettings settings;
  settings.disable_binding = reader.GetFlag();
  if (!reader.Finished()) {
    return Damaged("settings of a cert mount");
  }
  return settings;
}

}  // namespace kms
