// SPDX-License-Identifier: Apache-2.0
// crls/:name of cert mounts (transit-api 10.5).
#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "api/handlers/approle_fields.h"
#include "api/handlers/handlers.h"
#include "api/pipeline/call.h"
#include "api/pipeline/json_writer.h"
#include "kms/identity/cert_auth.h"

namespace kms::api {

namespace {

// More would be an answer of megabytes; `revoked` says how many there are.
constexpr std::size_t kMaxShownSerials = 1'000;

CertAuth& CertificatesOf(Call& call) { return call.services.identity.certificates(); }

Result<IdentityName> ListName(const Call& call) {
  return IdentityName::Parse(call.fields.Text("name"));
}

void AppendTime(std::string_view key, std::optional<std::int64_t> unix_seconds,
                JsonObject& object) {
  if (!unix_seconds) {
    object.Null(key);
    return;
  }
  object.String(key, ToRfc3339(WallTime{std::chrono::seconds{*unix_seconds}}));
}

}  // namespace

Result<Reply> HandleWriteRevocationList(Call& call) {
  const IdentityName name = KMS_TRY(ListName(call));
  if (!call.fields.Text("url").empty()) {
    return InvalidArgument("lists are not fetched from a url: send the list itself as crl");
  }
  if (call.fields.Text("crl").empty()) {
    return InvalidArgument("missing crl");
  }
  const RevocationListHandle list = KMS_TRY(RevocationList::Parse(call.fields.Text("crl")));
  KMS_TRY(CertificatesOf(call).WriteRevocationList(*call.auth_mount, name, *list));
  return Reply::NoContent();
}

Result<Reply> HandleReadRevocationList(Call& call) {
  const IdentityName name = KMS_TRY(ListName(call));
  const RevocationListHandle list =
      KMS_TRY(CertificatesOf(call).ReadRevocationList(*call.auth_mount, name));
  if (list == nullptr) {
    return Reply::Absent();
  }
  std::string data;
  JsonObject object(data);
  object.Key("serials");
  JsonObject serials(data);
  for (const std::string& serial : list->RevokedSerials(kMaxShownSerials)) {
    serials.Raw(serial, "{}");
  }
  serials.Close();
  object.Integer("revoked", static_cast<std::int64_t>(list->revoked_count()));
  object.String("issuer", list->Issuer());
  AppendTime("this_update", list->this_update(), object);
  AppendTime("next_update", list->next_update(), object);
  object.Close();
  return Reply::Data(std::move(data));
}

Result<Reply> HandleListRevocationLists(Call& call) {
  const auto limit =
      static_cast<std::size_t>(std::max<std::int64_t>(call.fields.Integer("limit"), 0));  // 0: all
  const std::vector<std::string> names = KMS_TRY(
      CertificatesOf(call).ListRevocationLists(*call.auth_mount, call.fields.Text("after"), limit));
  return ReplyWithKeys(names);
}

Result<Reply> HandleDeleteRevocationList(Call& call) {
  const IdentityName name = KMS_TRY(ListName(call));
  KMS_TRY(CertificatesOf(call).DeleteRevocationList(*call.auth_mount, name));
  return Reply::NoContent();
}

}  // namespace kms::api
