// SPDX-License-Identifier: Apache-2.0
// sys/backup and sys/backups/…: the whole store as one file, and which of them still count.
#include "api/handlers/handlers.h"
#include "api/handlers/record_list.h"
#include "api/pipeline/call.h"
#include "api/pipeline/json_writer.h"
#include "kms/backup/backups.h"
#include "kms/base/base64.h"

namespace kms::api {
namespace {

constexpr std::int64_t kLongestKeepSeconds = std::int64_t{3660} * 24 * 3600;  // ten years

Result<Backups*> BackupsOf(const Call& call) {
  Backups* const backups = call.services.backups;
  return backups != nullptr ? Result<Backups*>(backups)
                            : InvalidArgument("this service keeps no store to back up");
}

void AppendMasterKeys(const std::vector<BackupMasterKey>& keys, std::string& out) {
  JsonArray array(out);
  for (const BackupMasterKey& key : keys) {
    JsonObject object(array.Next());
    object.String("environment", key.environment);
    object.String("hsm", key.hsm);
    object.Integer("master_key_version", key.version);
    object.String("master_key_id", key.master_key_id.ToString());
    object.Close();
  }
  array.Close();
}

void AppendRecord(const BackupRecord& record, WallTime now, JsonObject& object, std::string& out) {
  object.String("id", record.id.ToString());
  object.Integer("created", record.created_unix_seconds);
  object.Integer("expires", record.expires_unix_seconds);
  object.Boolean("expired", record.ExpiredAt(now));
  object.Integer("revision", static_cast<std::int64_t>(record.revision));
  object.Key("master_keys");
  AppendMasterKeys(record.master_keys, out);
}

}  // namespace

Result<Reply> HandleBackUpStore(Call& call) {
  Backups* const backups = KMS_TRY(BackupsOf(call));
  const std::int64_t keep = call.fields.Integer("keep");
  if (keep < 1 || keep > kLongestKeepSeconds) {
    return InvalidArgument("keep must be between one second and ten years");
  }
  Backups::Made made = KMS_TRY(backups->Make(std::chrono::seconds(keep)));
  Reply reply = Reply::Bare(std::move(made.bytes));
  reply.content_type = "application/octet-stream";
  return reply;
}

Result<Reply> HandleCheckStoreBackup(Call& call) {
  Backups* const backups = KMS_TRY(BackupsOf(call));
  const Result<Bytes> head = Base64Decode(call.fields.Text("head"));
  if (!head.has_value()) {
    return InvalidArgument("head must be base64 of what stands before the backup's contents");
  }
  const Result<BackupHeader> header = backups->Check(*head);
  if (!header.has_value()) {
    // Damage of what the caller sent, not of ours.
    return header.error().code == ErrorCode::kCorrupted
               ? InvalidArgument(header.error().public_message)
               : header.error();
  }
  std::string data;
  JsonObject object(data);
  AppendRecord(header->record, call.services.clock.Now(), object, data);
  object.Integer("epoch", static_cast<std::int64_t>(header->epoch));
  object.String("digest", header->digest);
  object.Close();
  return Reply::Data(std::move(data));
}

Result<Reply> HandleListStoreBackups(Call& call) {
  Backups* const backups = KMS_TRY(BackupsOf(call));
  const std::vector<BackupRecord> records = KMS_TRY(backups->list().List());
  if (records.empty()) {
    return Reply::Absent();
  }
  const WallTime now = call.services.clock.Now();
  return Reply::Data(KeysWithInfo(records, [now](const BackupRecord& record, std::string& out) {
    JsonObject one(out);
    AppendRecord(record, now, one, out);
    one.Close();
  }));
}

Result<Reply> HandleForgetStoreBackup(Call& call) {
  Backups* const backups = KMS_TRY(BackupsOf(call));
  const Result<Uuid> id = Uuid::Parse(call.fields.Text("id"));
  if (!id.has_value()) {
    return NotFound("no backup of that id is known");
  }
  KMS_TRY(backups->list().Forget(*id));
  return Reply::NoContent();
}

}  // namespace kms::api
