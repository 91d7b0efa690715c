// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/hsm_measurement.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

namespace kms::tools {

namespace {

using nlohmann::json;
using Time = std::chrono::steady_clock::time_point;

constexpr std::chrono::milliseconds kPollInterval{100};
constexpr std::chrono::minutes kLongestTask{30};

double Seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

json DataOf(const std::string& body) {
  const json answer = json::parse(body, nullptr, /*allow_exceptions=*/false);
  return answer.is_object() && answer.contains("data") ? answer["data"] : json::object();
}

std::string KeyName(const RequestSetOptions& requests, std::size_t number) {
  return requests.key + "-" + std::to_string(number);
}

double PerSecond(const Measurement& measurement) {
  return static_cast<double>(measurement.load.answers) / Seconds(measurement.load.elapsed);
}

double P99(const Measurement& measurement) {
  return Seconds(measurement.load.latency.Quantile(0.99));
}

void Accumulate(Measurement& total, const Measurement& slice) {
  const std::chrono::nanoseconds elapsed = total.load.elapsed + slice.load.elapsed;
  total.load.Add(slice.load);
  total.load.elapsed = elapsed;
  total.own_cpu_share = std::max(total.own_cpu_share, slice.own_cpu_share);
  total.server = slice.server;
  if (slice.server_cpu.has_value()) {
    total.server_cpu = total.server_cpu.value_or(std::chrono::nanoseconds(0)) + *slice.server_cpu;
  }
}

std::vector<std::string> TaskEnvironments(const DisturbanceOptions& options) {
  std::vector<std::string> names;
  for (std::size_t number = 0; number < options.environments; ++number) {
    names.push_back(options.environment + "-" + std::to_string(number));
  }
  if (names.empty()) {
    names.push_back(options.environment);
  }
  return names;
}

Status MakeEnvironments(ApiClient& api, const DisturbanceOptions& options) {
  if (options.environments == 0) {
    return Ok();
  }
  const json mounts = DataOf(KMS_TRY(api.Send("GET", "/v1/sys/mounts")));
  for (const std::string& name : TaskEnvironments(options)) {
    if (!mounts.contains(name + "/")) {
      KMS_TRY(api.Send("POST", "/v1/sys/mounts/" + name, R"({"type":"transit"})"));
    }
  }
  return Ok();
}

// Making them is not what is measured: the HSM is slow afterwards only.
Status PrepareEnvironments(ApiClient& api, const DisturbanceOptions& options) {
  if (options.rules_file.empty()) {
    return MakeEnvironments(api, options);
  }
  KMS_TRY(WriteRules(options.rules_file, ""));
  const Status made = MakeEnvironments(api, options);
  KMS_TRY(WriteRules(options.rules_file, options.quiet_rules));
  return made;
}

Result<std::vector<std::string>> StartTasks(ApiClient& api, const DisturbanceOptions& options) {
  const std::string body = json{{"rate", options.task_rate}}.dump();
  std::vector<std::string> tasks;
  for (const std::string& name : TaskEnvironments(options)) {
    const json data = DataOf(
        KMS_TRY(api.Send("POST", "/v1/sys/environments/" + name + "/" + options.task, body)));
    tasks.push_back(data.value("task", ""));
  }
  return tasks;
}

// Whether all have ended well; takes those that have out of `tasks` and counts their entries.
Result<bool> AllDone(ApiClient& api, std::vector<std::string>& tasks, std::uint64_t& entries) {
  while (!tasks.empty()) {
    const json task = DataOf(KMS_TRY(api.Send("GET", "/v1/sys/tasks/" + tasks.back())));
    const std::string state = task.value("state", "");
    if (state == "failed" || state == "cancelled") {
      return FailedPrecondition("task " + tasks.back() + " is " + state + ": " +
                                task.value("error", ""));
    }
    if (state != "done") {
      return false;
    }
    entries += task.value("entries", std::uint64_t{0});
    tasks.pop_back();
  }
  return true;
}

// Load in slices until the tasks are done; they are asked between slices, so as not to disturb.
Result<Measurement> LoadDuringTasks(LoadGroup& group, ApiClient& api,
                                    const MeasurementOptions& options,
                                    const DisturbanceOptions& disturbance,
                                    DisturbanceMeasurement& result) {
  const Time begin = std::chrono::steady_clock::now();
  std::vector<std::string> tasks = KMS_TRY(StartTasks(api, disturbance));
  result.tasks = tasks.size();
  MeasurementOptions slice = options;
  slice.warmup = std::chrono::nanoseconds(0);
  slice.duration = kPollInterval;
  Measurement total;
  bool done = false;
  while (!done) {
    const Measurement part = KMS_TRY(MeasurePlain(group, slice));
    Accumulate(total, part);
    done = KMS_TRY(AllDone(api, tasks, result.entries));
    if (!done && std::chrono::steady_clock::now() - begin > kLongestTask) {
      return Unavailable("the tasks do not end");
    }
  }
  result.task_elapsed = std::chrono::steady_clock::now() - begin;
  return total;
}

Result<Measurement> LoadUnderRules(LoadGroup& group, const MeasurementOptions& options,
                                   const DisturbanceOptions& disturbance) {
  KMS_TRY(WriteRules(disturbance.rules_file, disturbance.rules));
  Result<Measurement> measured = MeasurePlain(group, options);
  KMS_TRY(WriteRules(disturbance.rules_file, disturbance.quiet_rules));
  return measured;
}

}  // namespace

Result<ApiClient> ApiClient::Connect(const ServerAddress& address, const PlaintextBuffer& token,
                                     SSL_CTX* context) {
  const std::string url = address.ToUrl();
  const std::string head = " HTTP/1.1\r\nHost: " + url.substr(url.find("//") + 2) +
                           "\r\nUser-Agent: kms-bench\r\nX-Vault-Request: true\r\nX-Vault-Token: " +
                           std::string(AsText(token.View())) +
                           "\r\nContent-Type: application/json\r\nContent-Length: ";
  return ApiClient(KMS_TRY(HttpConnection::Connect(address, context)), head);
}

Result<std::string> ApiClient::Send(std::string_view method, const std::string& path,
                                    const std::string& body) {
  const std::string line = std::string(method) + " " + path;
  const std::string request = line + head_ + std::to_string(body.size()) + "\r\n\r\n" + body;
  KMS_TRY(connection_.Exchange(request));
  const int status = connection_.status();
  if (status != 200 && status != 204) {
    return FailedPrecondition("the server answered HTTP " + std::to_string(status) + " to " + line +
                              ": " + std::string(connection_.body().substr(0, 300)));
  }
  return std::string(connection_.body());
}

Result<std::map<std::string, std::uint64_t>> ReadHsmCalls(ApiClient& api) {
  const json data = DataOf(KMS_TRY(api.Send("GET", "/v1/sys/hsm")));
  std::map<std::string, std::uint64_t> calls;
  if (data.contains("hsms")) {
    for (const json& hsm : data["hsms"]) {
      calls[hsm.value("name", "")] = hsm.value("calls", std::uint64_t{0});
    }
  }
  return calls;
}

Status MakeKeys(ApiClient& api, const RequestSetOptions& requests, std::size_t keys) {
  const std::string body = R"({"type":")" + requests.type + R"("})";
  for (std::size_t number = 0; number < keys; ++number) {
    KMS_TRY(api.Send("POST", "/v1/" + requests.mount + "/keys/" + KeyName(requests, number), body));
  }
  return Ok();
}

Result<ColdMeasurement> MeasureCold(ApiClient& api, const RequestSetOptions& requests,
                                    std::size_t keys) {
  ColdMeasurement measurement;
  measurement.keys = keys;
  measurement.calls_before = KMS_TRY(ReadHsmCalls(api));
  const Time begin = std::chrono::steady_clock::now();
  for (std::size_t number = 0; number < keys; ++number) {
    const Time start = std::chrono::steady_clock::now();
    KMS_TRY(api.Send("POST", "/v1/" + requests.mount + "/encrypt/" + KeyName(requests, number),
                     R"({"plaintext":"aGVsbG8="})"));
    measurement.latency.Record(std::chrono::steady_clock::now() - start);
  }
  measurement.elapsed = std::chrono::steady_clock::now() - begin;
  measurement.calls_after = KMS_TRY(ReadHsmCalls(api));
  return measurement;
}

std::string SlowHsmRules(std::chrono::milliseconds delay, unsigned calls_per_second) {
  std::string rules;
  if (delay.count() != 0) {
    rules += "* delay=" + std::to_string(delay.count()) + "\n";
  }
  if (calls_per_second != 0) {
    rules += "* limit=" + std::to_string(calls_per_second) + "\n";
  }
  return rules;
}

Status WriteRules(const std::string& rules_file, const std::string& rules) {
  const std::string draft = rules_file + ".draft";
  std::error_code error;
  {
    std::ofstream file(draft, std::ios::trunc);
    // The shim looks at the file's time and size: the comment makes each writing another one.
    file << rules << "# " << std::chrono::steady_clock::now().time_since_epoch().count() << "\n";
    if (!file.flush().good()) {
      return InvalidArgument("cannot write the rules file " + draft);
    }
  }
  std::filesystem::rename(draft, rules_file, error);
  return error ? InvalidArgument("cannot replace the rules file " + rules_file) : Ok();
}

Result<DisturbanceMeasurement> MeasureDisturbance(LoadGroup& group, ApiClient& api,
                                                  const MeasurementOptions& options,
                                                  const DisturbanceOptions& disturbance) {
  DisturbanceMeasurement result;
  const bool by_task = !disturbance.task.empty();
  if (by_task) {
    KMS_TRY(PrepareEnvironments(api, disturbance));
  }
  result.quiet = KMS_TRY(MeasurePlain(group, options));
  result.disturbed = by_task ? KMS_TRY(LoadDuringTasks(group, api, options, disturbance, result))
                             : KMS_TRY(LoadUnderRules(group, options, disturbance));
  result.throughput_ratio = PerSecond(result.disturbed) / std::max(1e-9, PerSecond(result.quiet));
  result.p99_ratio = P99(result.disturbed) / std::max(1e-9, P99(result.quiet));
  return result;
}

}  // namespace kms::tools
