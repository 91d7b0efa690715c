// SPDX-License-Identifier: Apache-2.0
// kmsctl task list|show|watch|cancel|resume|throttle|delete: long work at the server.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/json_member.h"
#include "tools/kmsctl/output.h"
#include "tools/kmsctl/task_progress.h"

namespace kms::tools {

namespace {

struct TaskArguments {
  std::string id;
  std::int64_t rate = 0;
};

std::string TaskPath(const TaskArguments& arguments) {
  return "/v1/sys/tasks/" + EncodePathSegment(arguments.id);
}

Status PrintTask(const Session& session, const nlohmann::json& task) {
  return Print(session.options.json ? ToJsonLine(task) + "\n" : RenderTask(task));
}

Status ListTasks(Session& session, const TaskArguments& /*arguments*/) {
  const Result<nlohmann::json> answer = session.Call("LIST", "/v1/sys/tasks");
  nlohmann::json data = nlohmann::json::object();
  if (answer.has_value()) {
    data = DataOf(*answer);
  } else if (answer.error().code != ErrorCode::kNotFound) {
    return answer.error();
  }
  const nlohmann::json keys = data.value("keys", nlohmann::json::array());
  const nlohmann::json info = data.value("key_info", nlohmann::json::object());
  nlohmann::json tasks = nlohmann::json::array();
  for (const nlohmann::json& key : keys) {
    if (key.is_string() && info.contains(key.get_ref<const std::string&>())) {
      tasks.push_back(info[key.get_ref<const std::string&>()]);
    }
  }
  if (session.options.json) {
    return Print(ToJsonLine(tasks) + "\n");
  }
  if (tasks.empty()) {
    Note("no tasks");
    return Ok();
  }
  Table table{{"TASK", "KIND", "ENVIRONMENT", "STATE", "PROGRESS", "CREATED", "STEP OR ERROR"}, {}};
  for (const nlohmann::json& task : tasks) {
    const bool failed = !TextOf(task, "error").empty();
    table.rows.push_back({Cell(task, "task"), Cell(task, "kind"), Cell(task, "environment"),
                          Cell(task, "state"), Cell(task, "percent") + "%", Cell(task, "created"),
                          Cell(task, failed ? "error" : "step")});
  }
  return Print(RenderTable(table));
}

Status ShowTask(Session& session, const TaskArguments& arguments) {
  const nlohmann::json answer = KMS_TRY(session.Call("GET", TaskPath(arguments)));
  return PrintTask(session, DataOf(answer));
}

Status WatchTask(Session& session, const TaskArguments& arguments) {
  const nlohmann::json task = KMS_TRY(AwaitTask(session, arguments.id));
  return PrintTask(session, task);
}

Status CancelTask(Session& session, const TaskArguments& arguments) {
  const nlohmann::json answer = KMS_TRY(session.Call("POST", TaskPath(arguments) + "/cancel"));
  return PrintTask(session, DataOf(answer));
}

Status ResumeTask(Session& session, const TaskArguments& arguments) {
  const nlohmann::json answer = KMS_TRY(session.Call("POST", TaskPath(arguments) + "/resume"));
  return PrintTask(session, DataOf(answer));
}

Status ThrottleTask(Session& session, const TaskArguments& arguments) {
  const nlohmann::json answer =
      KMS_TRY(session.Call("POST", TaskPath(arguments) + "/throttle", {{"rate", arguments.rate}}));
  return PrintTask(session, DataOf(answer));
}

Status DeleteTask(Session& session, const TaskArguments& arguments) {
  KMS_TRY(session.Call("DELETE", TaskPath(arguments)));
  if (session.options.json) {
    return Print(ToJsonLine({{"task", arguments.id}, {"deleted", true}}) + "\n");
  }
  return Print("forgot task " + arguments.id + "\n");
}

using Verb = Status (*)(Session&, const TaskArguments&);

std::shared_ptr<TaskArguments> Run(CLI::App& command, Session& session, Verb verb) {
  auto arguments = std::make_shared<TaskArguments>();
  command.callback([&session, arguments, verb] {
    session.command = [&session, arguments, verb] { return verb(session, *arguments); };
  });
  return arguments;
}

std::shared_ptr<TaskArguments> TakeId(CLI::App& command, Session& session, Verb verb) {
  auto arguments = Run(command, session, verb);
  command.add_option("TASK", arguments->id, "Id of the task, as kmsctl task list shows it")
      ->required();
  return arguments;
}

}  // namespace

void AddTaskCommands(CLI::App& root, Session& session) {
  CLI::App& family = AddCommand(root, "task", "Long work: rotations of master and environment keys",
                                "  kmsctl task list\n  kmsctl task watch TASK\n");
  family.require_subcommand(1);
  Run(AddCommand(family, "list", "List tasks, also those that are over", "  kmsctl task list\n"),
      session, ListTasks);
  TakeId(AddCommand(family, "show", "Show one task", "  kmsctl task show TASK\n"), session,
         ShowTask);
  TakeId(AddCommand(family, "watch", "Wait until a task is over", "  kmsctl task watch TASK\n"),
         session, WatchTask);
  TakeId(AddCommand(family, "cancel", "End a task after its step; what was done stays done",
                    "  kmsctl task cancel TASK\n"),
         session, CancelTask);
  TakeId(AddCommand(family, "resume", "Let a cancelled or failed task go on",
                    "  kmsctl task resume TASK\n"),
         session, ResumeTask);
  CLI::App& throttle = AddCommand(family, "throttle", "Limit a task, also while it runs",
                                  "  kmsctl task throttle TASK 500\n"
                                  "  kmsctl task throttle TASK 0\n");
  const auto limited = TakeId(throttle, session, ThrottleTask);
  throttle.add_option("RATE", limited->rate, "Entries per second; 0: no limit")->required();
  TakeId(AddCommand(family, "delete", "Forget a task that is over", "  kmsctl task delete TASK\n"),
         session, DeleteTask);
}

}  // namespace kms::tools
