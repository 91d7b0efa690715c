// SPDX-License-Identifier: Apache-2.0
// certs/:name and config of cert mounts (transit-api 10.5).
#include <algorithm>
#include <array>
#include <utility>

#include "api/handlers/approle_fields.h"
#include "api/handlers/handlers.h"
#include "api/handlers/token_parameter_fields.h"
#include "api/pipeline/call.h"
#include "api/pipeline/json_writer.h"
#include "api/pipeline/router.h"
#include "kms/identity/cert_auth.h"

namespace kms::api {

namespace {

CertAuth& CertificatesOf(Call& call) { return call.services.identity.certificates(); }

Result<IdentityName> EntryName(const Call& call) {
  return IdentityName::Parse(call.fields.Text("name"));
}

// Each list of an entry with its name on the wire.
template <typename Entry>
auto ListsOf(Entry& entry) {
  return std::array{
      std::pair{"allowed_names", &entry.constraints.names},
      std::pair{"allowed_common_names", &entry.constraints.common_names},
      std::pair{"allowed_dns_sans", &entry.constraints.dns_names},
      std::pair{"allowed_email_sans", &entry.constraints.email_addresses},
      std::pair{"allowed_uri_sans", &entry.constraints.uris},
      std::pair{"allowed_organizational_units", &entry.constraints.organizational_units},
      std::pair{"required_extensions", &entry.constraints.required_extensions},
      std::pair{"allowed_metadata_extensions", &entry.metadata_extensions},
  };
}

// Clients send the defaults along; anything else would be a check that does not happen.
Status RefuseOcsp(const Fields& fields) {
  const std::vector<std::string> servers = KMS_TRY(ListField(fields, "ocsp_servers_override"));
  if (fields.Boolean("ocsp_enabled") || fields.Boolean("ocsp_fail_open") ||
      fields.Boolean("ocsp_query_all_servers") || !fields.Text("ocsp_ca_certificates").empty() ||
      !servers.empty()) {
    return InvalidArgument("OCSP is not supported: upload revocation lists to crls/ instead");
  }
  return Ok();
}

Status ApplyEntryFields(const Fields& fields, CertificateEntry& entry) {
  if (fields.Has("certificate")) {
    entry.certificate = fields.Text("certificate");
  }
  if (fields.Has("display_name")) {
    entry.display_name = fields.Text("display_name");
  }
  for (const auto& [name, list] : ListsOf(entry)) {
    if (fields.Has(name)) {
      *list = KMS_TRY(ListField(fields, name));
    }
  }
  return ApplyTokenParameters(fields, entry.parameters);
}

}  // namespace

Result<bool> CertEntryExists(const Services& services, const RouteMatch& match) {
  const IdentityName name = KMS_TRY(IdentityName::Parse(match.Captures()[0].value));
  const std::optional<CertificateEntry> entry =
      KMS_TRY(services.identity.certificates().ReadEntry(*match.auth_mount, name));
  return entry.has_value();
}

Result<Reply> HandleWriteCertEntry(Call& call) {
  const IdentityName name = KMS_TRY(EntryName(call));
  KMS_TRY(RefuseOcsp(call.fields));
  KMS_TRY(CertificatesOf(call).WriteEntry(*call.auth_mount, name, [&](CertificateEntry& entry) {
    return ApplyEntryFields(call.fields, entry);
  }));
  return Reply::NoContent();
}

Result<Reply> HandleReadCertEntry(Call& call) {
  const IdentityName name = KMS_TRY(EntryName(call));
  const std::optional<CertificateEntry> entry =
      KMS_TRY(CertificatesOf(call).ReadEntry(*call.auth_mount, name));
  if (!entry) {
    return Reply::Absent();
  }
  std::string data;
  JsonObject object(data);
  object.String("certificate", entry->certificate);
  object.String("display_name", entry->display_name.empty() ? name.text() : entry->display_name);
  for (const auto& [key, list] : ListsOf(*entry)) {
    object.Key(key);
    JsonArray array(data);
    for (const std::string& text : *list) {
      AppendJsonString(text, array.Next());
    }
    array.Close();
  }
  object.Boolean("ocsp_enabled", false);
  AppendTokenParameters(entry->parameters, object, data);
  object.Close();
  return Reply::Data(std::move(data));
}

Result<Reply> HandleListCertEntries(Call& call) {
  const auto limit =
      static_cast<std::size_t>(std::max<std::int64_t>(call.fields.Integer("limit"), 0));  // 0: all
  const std::vector<std::string> names =
      KMS_TRY(CertificatesOf(call).ListEntries(*call.auth_mount, call.fields.Text("after"), limit));
  return ReplyWithKeys(names);
}

// Whoever came in through it is out: the entry goes first, so that nobody logs in again in between;
// after a failure the same request does what is left.
Result<Reply> HandleDeleteCertEntry(Call& call) {
  const IdentityName name = KMS_TRY(EntryName(call));
  KMS_TRY(CertificatesOf(call).DeleteEntry(*call.auth_mount, name));
  KMS_TRY(call.services.identity.tokens().RevokeSource({.mount_accessor = call.auth_mount->accessor,
                                                        .role = name.text(),
                                                        .alias_name = std::nullopt}));
  return Reply::NoContent();
}

Result<Reply> HandleReadCertSettings(Call& call) {
  const CertSettings settings = KMS_TRY(CertificatesOf(call).ReadSettings(*call.auth_mount));
  std::string data;
  JsonObject object(data);
  object.Boolean("disable_binding", settings.disable_binding);
  object.Boolean("enable_identity_alias_metadata", false);
  object.Close();
  return Reply::Data(std::move(data));
}

Result<Reply> HandleWriteCertSettings(Call& call) {
  if (call.fields.Boolean("enable_identity_alias_metadata")) {
    return InvalidArgument("enable_identity_alias_metadata is not supported");
  }
  CertSettings settings = KMS_TRY(CertificatesOf(call).ReadSettings(*call.auth_mount));
  settings.disable_binding =
      call.fields.OptionalBoolean("disable_binding").value_or(settings.disable_binding);
  KMS_TRY(CertificatesOf(call).WriteSettings(*call.auth_mount, settings));
  return Reply::NoContent();
}

}  // namespace kms::api
