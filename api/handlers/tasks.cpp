// SPDX-License-Identifier: Apache-2.0
// sys/tasks/…: long work under way and over; sys/statements/…: what was destroyed for good.
#include "api/handlers/handlers.h"
#include "api/handlers/record_list.h"
#include "api/handlers/task_reply.h"
#include "api/pipeline/call.h"
#include "api/pipeline/json_writer.h"
#include "kms/base/base64.h"
#include "kms/tasks/destruction_statement.h"

namespace kms::api {
namespace {

constexpr std::int64_t kMostEntriesPerSecond = 1'000'000;

Error NoSuchTask() { return NotFound("no such task"); }

// What is no id at all names no task either.
Result<Uuid> IdField(const Call& call) {
  Result<Uuid> id = Uuid::Parse(call.fields.Text("id"));
  return id.has_value() ? std::move(id) : Result<Uuid>(NoSuchTask());
}

Reply TaskReply(const TaskRecord& record) {
  std::string data;
  AppendTask(record, data);
  return Reply::Data(std::move(data));
}

void AppendStatement(const DestructionStatement& statement, std::string& out) {
  JsonObject object(out);
  object.String("id", statement.id.ToString());
  object.String("environment", statement.environment);
  object.Integer("master_key_version", statement.version);
  object.String("statement", statement.text);
  object.String("signature", Base64Encode(statement.signature));
  object.String("public_key", Base64Encode(statement.public_key));
  object.Close();
}

}  // namespace

Result<Reply> HandleListTasks(Call& call) {
  TaskRunner* const runner = KMS_TRY(RunnerOf(call));
  const std::vector<TaskRecord> records = runner->List();
  if (records.empty()) {
    return Reply::Absent();
  }
  return Reply::Data(KeysWithInfo(records, AppendTask));
}

Result<Reply> HandleReadTask(Call& call) {
  TaskRunner* const runner = KMS_TRY(RunnerOf(call));
  const Uuid id = KMS_TRY(IdField(call));
  const std::optional<TaskRecord> record = runner->Find(id);
  return record ? Result<Reply>(TaskReply(*record)) : Result<Reply>(NoSuchTask());
}

Result<Reply> HandleDeleteTask(Call& call) {
  TaskRunner* const runner = KMS_TRY(RunnerOf(call));
  const Uuid id = KMS_TRY(IdField(call));
  KMS_TRY(runner->Delete(id));
  return Reply::NoContent();
}

Result<Reply> HandleCancelTask(Call& call) {
  TaskRunner* const runner = KMS_TRY(RunnerOf(call));
  const Uuid id = KMS_TRY(IdField(call));
  return TaskReply(KMS_TRY(runner->Cancel(id)));
}

Result<Reply> HandleResumeTask(Call& call) {
  TaskRunner* const runner = KMS_TRY(RunnerOf(call));
  const Uuid id = KMS_TRY(IdField(call));
  return TaskReply(KMS_TRY(runner->Resume(id)));
}

Result<Reply> HandleThrottleTask(Call& call) {
  TaskRunner* const runner = KMS_TRY(RunnerOf(call));
  const Uuid id = KMS_TRY(IdField(call));
  const std::int64_t rate = call.fields.Integer("rate");
  if (rate < 0 || rate > kMostEntriesPerSecond) {
    return InvalidArgument("rate must be 0 (no limit) to 1000000 entries per second");
  }
  return TaskReply(KMS_TRY(runner->Throttle(id, static_cast<std::uint32_t>(rate))));
}

Result<Reply> HandleListStatements(Call& call) {
  const std::vector<DestructionStatement> statements =
      KMS_TRY(ReadStatements(call.services.environments.sys()->store()));
  if (statements.empty()) {
    return Reply::Absent();
  }
  return Reply::Data(KeysWithInfo(statements, AppendStatement));
}

Result<Reply> HandleReadStatement(Call& call) {
  const Result<Uuid> id = IdField(call);
  const std::optional<DestructionStatement> statement =
      id.has_value() ? KMS_TRY(ReadStatement(call.services.environments.sys()->store(), *id))
                     : std::nullopt;
  if (!statement || !statement->complete()) {
    return NotFound("no such statement");
  }
  std::string data;
  AppendStatement(*statement, data);
  return Reply::Data(std::move(data));
}

}  // namespace kms::api
