// SPDX-License-Identifier: Apache-2.0
// sys/environments/:name/recovery: the offline holders who can open an environment without any HSM.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "api/handlers/handlers.h"
#include "api/handlers/recovery_fields.h"
#include "api/pipeline/addressed_environment.h"
#include "api/pipeline/call.h"
#include "api/pipeline/json_writer.h"
#include "kms/crypto/share_encryption.h"
#include "kms/recovery/recipients.h"

namespace kms::api {
namespace {

std::string NameOf(const Call& call) {
  return AddressedEnvironment(call.name_space, call.fields.Text("path"));
}

}  // namespace

// `recipients`: {"alice": "-----BEGIN PUBLIC KEY-----…", …}
Result<RecoveryRecipients> ReadRecipientFields(std::int64_t threshold, JsonView members) {
  if (threshold < 1 || threshold > static_cast<std::int64_t>(kMaxRecoveryRecipients)) {
    return InvalidArgument("threshold must be from 1 to 32");
  }
  RecoveryRecipients recipients{.threshold = static_cast<std::uint8_t>(threshold),
                                .recipients = {}};
  Status read = Ok();
  members.ForEachMember([&](std::string_view name, JsonView value) {
    if (!read.has_value()) {
      return;
    }
    Result<Bytes> key = ReadHolderPublicKey(value.String());
    if (!key.has_value()) {
      read = InvalidArgument("recipient \"" + std::string(name.substr(0, 64)) +
                             "\": " + key.error().public_message);
      return;
    }
    recipients.recipients.push_back({.name = std::string(name), .public_key = *std::move(key)});
  });
  KMS_TRY(std::move(read));
  KMS_TRY(recipients.Check());
  return recipients;
}

namespace {

void AppendVersions(const std::vector<EnvironmentKeyVersion>& versions, std::string_view key,
                    JsonObject& object, std::string& out) {
  object.Key(key);
  JsonArray array(out);
  for (const EnvironmentKeyVersion version : versions) {
    AppendInteger(version, array.Next());
  }
  array.Close();
}

void AppendRecipients(const RecoveryRecipients& recipients, JsonObject& object, std::string& out) {
  object.Integer("threshold", recipients.threshold);
  object.Key("recipients");
  JsonArray array(out);
  for (const RecoveryRecipient& recipient : recipients.recipients) {
    JsonObject one(array.Next());
    one.String("name", recipient.name);
    one.String("type", HolderKeyKind(recipient.public_key));
    one.String("fingerprint", HolderKeyFingerprint(recipient.public_key));
    one.String("public_key", HolderPublicKeyPem(recipient.public_key));
    one.Close();
  }
  array.Close();
}

}  // namespace

// `sys_recoverable`: without holders of `sys` the list of environments cannot be opened, and
// whoever recovers another one does not even learn its settings.
Result<Reply> HandleReadRecovery(Call& call) {
  const RecoveryStatus status = KMS_TRY(call.services.environments.ReadRecovery(NameOf(call)));
  const RecoveryStatus sys = KMS_TRY(call.services.environments.ReadRecovery("sys"));
  std::string data;
  JsonObject object(data);
  object.Boolean("recoverable", status.recipients && status.versions == status.split_versions);
  object.Boolean("sys_recoverable", sys.recipients && sys.versions == sys.split_versions);
  if (status.recipients) {
    AppendRecipients(*status.recipients, object, data);
  }
  AppendVersions(status.versions, "versions", object, data);
  AppendVersions(status.split_versions, "split_versions", object, data);
  object.Close();
  return Reply::Data(std::move(data));
}

Result<Reply> HandleWriteRecovery(Call& call) {
  const RecoveryRecipients recipients = KMS_TRY(
      ReadRecipientFields(call.fields.Integer("threshold"), call.fields.Tree("recipients")));
  KMS_TRY(call.services.environments.SetRecovery(NameOf(call), recipients));
  return Reply::NoContent();
}

Result<Reply> HandleDeleteRecovery(Call& call) {
  KMS_TRY(call.services.environments.SetRecovery(NameOf(call), std::nullopt));
  return Reply::NoContent();
}

}  // namespace kms::api
