// SPDX-License-Identifier: Apache-2.0
// users/:user/totp of userpass mounts: the second factor of a person. Ours: neither of the
// reference servers has it there.
#include "api/handlers/handlers.h"
#include "api/pipeline/call.h"
#include "api/pipeline/json_writer.h"
#include "kms/auth/totp.h"
#include "kms/identity/userpass.h"

namespace kms::api {
namespace {

constexpr std::string_view kIssuer = "kms";

Result<IdentityName> UserName(const Call& call) {
  return IdentityName::Parse(call.fields.Text("name"));
}

}  // namespace

// Shown once; wiped after it was sent.
Result<Reply> HandleBeginTotp(Call& call) {
  const IdentityName name = KMS_TRY(UserName(call));
  const NewSecondFactor made =
      KMS_TRY(call.services.identity.users().BeginTotp(*call.auth_mount, name));
  Reply reply;
  reply.holds_secret = true;
  reply.data.reserve(2048);  // more than it takes, so that it never moves
  JsonObject object(reply.data);
  object.Key("secret");
  reply.data += '"';
  AppendBase32(made.secret.View(), reply.data);
  reply.data += '"';
  object.Key("url");
  reply.data += '"';
  AppendTotpUrl(kIssuer, name.text(), made.secret.View(), reply.data);
  reply.data += '"';
  object.Key("backup_codes");
  JsonArray codes(reply.data);
  for (std::size_t i = 0; i < kBackupCodes; ++i) {
    AppendJsonString(BackupCode(made.backup_codes, i), codes.Next());
  }
  codes.Close();
  object.Close();
  return reply;
}

Result<Reply> HandleConfirmTotp(Call& call) {
  const IdentityName name = KMS_TRY(UserName(call));
  KMS_TRY(call.services.identity.users().ConfirmTotp(*call.auth_mount, name,
                                                     call.fields.Text("passcode")));
  return Reply::NoContent();
}

Result<Reply> HandleDisableTotp(Call& call) {
  const IdentityName name = KMS_TRY(UserName(call));
  KMS_TRY(call.services.identity.users().DisableTotp(*call.auth_mount, name));
  return Reply::NoContent();
}

}  // namespace kms::api
