// SPDX-License-Identifier: Apache-2.0
#include "api/handlers/task_reply.h"

#include <algorithm>
#include <utility>

#include "api/pipeline/addressed_environment.h"
#include "api/pipeline/call.h"
#include "api/pipeline/json_writer.h"

namespace kms::api {
namespace {

constexpr std::int64_t kMostEntriesPerSecond = 1'000'000;

std::int64_t Signed(std::uint64_t number) { return static_cast<std::int64_t>(number); }

void AppendTexts(std::string_view name, const std::vector<std::string>& texts, JsonObject& object,
                 std::string& out) {
  object.Key(name);
  JsonArray array(out);
  for (const std::string& text : texts) {
    AppendJsonString(text, array.Next());
  }
  array.Close();
}

void AppendParameters(const std::map<std::string, std::string>& parameters, JsonObject& object,
                      std::string& out) {
  object.Key("parameters");
  JsonObject members(out);
  for (const auto& [name, value] : parameters) {
    members.String(name, value);
  }
  members.Close();
}

void AppendTime(std::string_view name, std::int64_t unix_seconds, JsonObject& object) {
  if (unix_seconds == 0) {
    object.Null(name);
    return;
  }
  object.String(name, ToRfc3339(WallTime(std::chrono::seconds(unix_seconds))));
}

std::string PlanData(const TaskPlan& plan, TaskKind kind, const std::string& environment) {
  std::string data;
  JsonObject object(data);
  object.Boolean("dry_run", true);
  object.String("kind", TaskKindName(kind));
  object.String("environment", environment);
  AppendParameters(plan.parameters, object, data);
  object.Integer("entries", Signed(plan.entries));
  AppendTexts("steps", plan.steps, object, data);
  AppendTexts("warnings", plan.warnings, object, data);
  AppendTexts("refusals", plan.refusals, object, data);
  object.Close();
  return data;
}

}  // namespace

Result<TaskRunner*> RunnerOf(const Call& call) {
  if (call.services.tasks == nullptr) {
    return Unavailable("no tasks run in this process");
  }
  return call.services.tasks;
}

void AppendTask(const TaskRecord& record, std::string& out) {
  JsonObject object(out);
  object.String("task", record.id.ToString());
  object.String("kind", TaskKindName(record.kind));
  object.String("environment", record.environment);
  object.String("state", TaskStateName(record.state));
  AppendParameters(record.parameters, object, out);
  object.String("step", record.step);
  object.Integer("done", Signed(record.done));
  object.Integer("total", Signed(record.total));
  const std::uint64_t percent = record.state == TaskState::kDone ? 100
                                : record.total == 0
                                    ? 0
                                    : std::min<std::uint64_t>(99, record.done * 100 / record.total);
  object.Integer("percent", Signed(percent));
  object.Integer("entries", Signed(record.entries));
  object.Integer("rate", record.rate_limit);
  AppendTexts("notes", record.notes, object, out);
  AppendTime("created", record.created_unix_seconds, object);
  AppendTime("started", record.started_unix_seconds, object);
  AppendTime("finished", record.finished_unix_seconds, object);
  object.String("error", record.error);
  object.String("asked_by", record.asked_by);
  object.Close();
}

Result<Reply> StartTask(Call& call, TaskKind kind, std::map<std::string, std::string> parameters) {
  TaskRunner* const runner = KMS_TRY(RunnerOf(call));
  const std::int64_t rate = call.fields.Integer("rate");
  if (rate < 0 || rate > kMostEntriesPerSecond) {
    return InvalidArgument("rate must be 0 (no limit) to 1000000 entries per second");
  }
  TaskRequest request;
  request.kind = kind;
  request.environment = AddressedEnvironment(call.name_space, call.fields.Text("path"));
  request.parameters = std::move(parameters);
  request.rate_limit = static_cast<std::uint32_t>(rate);
  request.asked_by = call.principal->display_name;
  request.accessor = call.principal->accessor;
  if (call.fields.Boolean("dry_run")) {
    return Reply::Data(PlanData(KMS_TRY(runner->Plan(request)), kind, request.environment));
  }
  const TaskRecord record = KMS_TRY(runner->Submit(request));
  std::string data;
  AppendTask(record, data);
  return Reply::Data(std::move(data));
}

}  // namespace kms::api
