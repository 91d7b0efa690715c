// SPDX-License-Identifier: Apache-2.0
#include "tools/kmsctl/task_progress.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "tools/kmsctl/input_output.h"
#include "tools/kmsctl/json_member.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstPause{100};
constexpr milliseconds kLongestPause{1000};
// A server that restarts is back within this.
constexpr std::chrono::seconds kPatience{120};
constexpr std::size_t kBarCells = 30;
constexpr std::int64_t kPercentPerLine = 10;

std::string CountText(const nlohmann::json& task) {
  const std::int64_t total = IntegerOf(task, "total");
  return total == 0 ? std::string()
                    : " (" + std::to_string(IntegerOf(task, "done")) + " of " +
                          std::to_string(total) + ")";
}

// Says the same thing once.
class Progress {
 public:
  explicit Progress(bool silent) : silent_(silent), terminal_(::isatty(STDERR_FILENO) == 1) {}
  ~Progress() { EndBar(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Show(const nlohmann::json& task) {
    if (silent_) {
      return;
    }
    terminal_ ? ShowBar(task) : ShowLine(task);
  }
  void Say(const std::string& text) {
    if (!silent_ && text != said_) {
      EndBar();
      Note(text);
      said_ = text;
    }
  }

 private:
  void ShowBar(const nlohmann::json& task) {
    const auto percent = static_cast<std::size_t>(
        std::clamp<std::int64_t>(IntegerOf(task, "percent"), 0, 100));
    const std::size_t full = kBarCells * percent / 100;
    std::string line = "\r\x1b[K[" + std::string(full, '#') + std::string(kBarCells - full, '.');
    line += "] " + std::to_string(percent) + "% " + Printable(TextOf(task, "step"));
    line += CountText(task);
    IgnoreError(WriteStandardError(AsBytes(line)), "progress is for whoever watches");
    bar_ = true;
  }
  void EndBar() {
    if (bar_) {
      IgnoreError(WriteStandardError(AsBytes("\n")), "progress is for whoever watches");
      bar_ = false;
    }
  }
  void ShowLine(const nlohmann::json& task) {
    const std::string step(TextOf(task, "step"));
    const std::int64_t percent = IntegerOf(task, "percent");
    if (step == step_ && percent < percent_ + kPercentPerLine) {
      return;
    }
    step_ = step;
    percent_ = percent;
    if (!step.empty()) {
      Note(std::to_string(percent) + "% " + Printable(step) + CountText(task));
    }
  }

  const bool silent_;
  const bool terminal_;
  bool bar_ = false;
  std::string said_;
  std::string step_;
  std::int64_t percent_ = 0;
};

bool IsAway(const Error& error) {
  return error.code == ErrorCode::kOutcomeUnknown || error.code == ErrorCode::kUnavailable;
}

void NoteTexts(const nlohmann::json& object, const char* name, const std::string& before) {
  const auto texts = object.find(name);
  if (texts == object.end() || !texts->is_array()) {
    return;
  }
  for (const nlohmann::json& text : *texts) {
    if (text.is_string()) {
      Note(before + Printable(text.get_ref<const std::string&>()));
    }
  }
}

std::string RenderPlan(const nlohmann::json& plan) {
  std::string out;
  int number = 0;
  for (const nlohmann::json& step : plan.value("steps", nlohmann::json::array())) {
    out += std::to_string(++number) + ". " +
           (step.is_string() ? Printable(step.get_ref<const std::string&>()) : "-") + "\n";
  }
  return out;
}

Status PrintPlan(const Session& session, const nlohmann::json& plan) {
  if (session.options.json) {
    return Print(ToJsonLine(plan) + "\n");
  }
  NoteTexts(plan, "warnings", "warning: ");
  NoteTexts(plan, "refusals", "not now: ");
  return Print(RenderPlan(plan));
}

}  // namespace

std::string RenderTask(const nlohmann::json& task) {
  std::string parameters;
  const nlohmann::json given = task.value("parameters", nlohmann::json::object());
  for (const auto& [name, value] : given.items()) {
    parameters += parameters.empty() ? "" : ", ";
    parameters += Printable(name) + " ";
    parameters += Cell(given, name);
  }
  std::string text = RenderFields({
      {"task", Cell(task, "task")},
      {"kind", Cell(task, "kind")},
      {"environment", Cell(task, "environment")},
      {"parameters", parameters.empty() ? "-" : parameters},
      {"state", Cell(task, "state")},
      {"progress", Cell(task, "percent") + "%" + CountText(task)},
      {"step", Cell(task, "step")},
      {"entries changed", Cell(task, "entries")},
      {"limit", IntegerOf(task, "rate") == 0 ? "-" : Cell(task, "rate") + " entries/s"},
      {"created", Cell(task, "created")},
      {"started", Cell(task, "started")},
      {"finished", Cell(task, "finished")},
      {"asked by", Cell(task, "asked_by")},
      {"error", Cell(task, "error")},
  });
  for (const nlohmann::json& note : task.value("notes", nlohmann::json::array())) {
    if (note.is_string()) {
      text += "note: " + Printable(note.get_ref<const std::string&>()) + "\n";
    }
  }
  return text;
}

Result<nlohmann::json> AwaitTask(Session& session, const std::string& id) {
  Progress progress(session.options.json);
  milliseconds pause = kFirstPause;
  auto away_since = std::chrono::steady_clock::time_point::max();
  while (true) {
    const Result<nlohmann::json> answer =
        session.Call("GET", "/v1/sys/tasks/" + EncodePathSegment(id));
    const auto now = std::chrono::steady_clock::now();
    if (!answer.has_value()) {
      away_since = std::min(away_since, now);
      if (!IsAway(answer.error()) || now - away_since > kPatience) {
        return answer.error();
      }
      progress.Say("the server does not answer now; the task goes on when it does");
    } else {
      away_since = std::chrono::steady_clock::time_point::max();
      const nlohmann::json& task = DataOf(*answer);
      const std::string state(TextOf(task, "state"));
      if (state == "done") {
        return task;
      }
      if (state != "running") {
        return FailedPrecondition("the task is " + Printable(state) +
                                  (TextOf(task, "error").empty()
                                       ? std::string()
                                       : ": " + Printable(TextOf(task, "error"))) +
                                  "; what was done stays done, `kmsctl task resume " + id +
                                  "` goes on");
      }
      progress.Show(task);
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, kLongestPause);
  }
}

Status StartAndFollow(Session& session, const std::string& path, const nlohmann::json& body,
                      bool detach) {
  const nlohmann::json answer = KMS_TRY(session.Call("POST", path, body));
  const nlohmann::json& started = DataOf(answer);
  if (BooleanOf(body, "dry_run")) {
    return PrintPlan(session, started);
  }
  const std::string id(TextOf(started, "task"));
  if (detach) {
    return session.options.json
               ? Print(ToJsonLine(started) + "\n")
               : Print("task " + Printable(id) + " runs; see kmsctl task watch " + Printable(id) +
                       "\n");
  }
  const nlohmann::json task = KMS_TRY(AwaitTask(session, id));
  if (session.options.json) {
    return Print(ToJsonLine(task) + "\n");
  }
  NoteTexts(task, "notes", "note: ");
  return Print("done: " + Cell(task, "kind") + " of environment " + Cell(task, "environment") +
               ", " + Cell(task, "entries") + " entries changed\n");
}

}  // namespace kms::tools
