// SPDX-License-Identifier: Apache-2.0
#include "api/pipeline/work_metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <vector>

#include "api/pipeline/metric_families.h"
#include "kms/tasks/scrub.h"
#include "kms/tasks/task_runner.h"

namespace kms::api {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

void AddTasks(const TaskRunner& tasks, std::vector<MetricFamily>& out) {
  MetricFamily counts =
      MakeFamily("kms_tasks", "Long work that is remembered, by how it stands", MetricType::Gauge);
  std::map<TaskState, double> by_state = {{TaskState::kRunning, 0},
                                          {TaskState::kCancelled, 0},
                                          {TaskState::kFailed, 0},
                                          {TaskState::kDone, 0}};
  for (const TaskRecord& record : tasks.List()) {
    by_state[record.state] += 1;
  }
  for (const auto& [state, count] : by_state) {
    AddGauge(counts, {{"state", std::string(TaskStateName(state))}}, count);
  }
  out.push_back(std::move(counts));
}

void AddScrub(const Scrub& scrub, std::vector<MetricFamily>& out) {
  const ScrubState state = scrub.State();
  MetricFamily findings = MakeFamily(
      "kms_scrub_findings", "Damage that the scrub found and nobody put right", MetricType::Gauge);
  AddGauge(findings, {}, static_cast<double>(state.findings.size() + state.more_findings));
  MetricFamily finished =
      MakeFamily("kms_scrub_finished_timestamp_seconds",
                 "When the latest complete pass ended; 0: never", MetricType::Gauge);
  AddGauge(finished, {}, static_cast<double>(state.finished_unix_seconds));
  MetricFamily skipped = MakeFamily(
      "kms_scrub_skipped", "What the latest complete pass could not look at: sealed or away",
      MetricType::Gauge);
  AddGauge(skipped, {}, static_cast<double>(state.previous.skipped));
  for (MetricFamily* family : {&findings, &finished, &skipped}) {
    out.push_back(std::move(*family));
  }
}

}  // namespace

std::string RenderWork(const TaskRunner* tasks, const Scrub* scrub) {
  std::vector<MetricFamily> families;
  if (tasks != nullptr) {
    AddTasks(*tasks, families);
  }
  if (scrub != nullptr) {
    AddScrub(*scrub, families);
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace kms::api
