// SPDX-License-Identifier: Apache-2.0
// What a slow, limited or hanging HSM costs: keys served cold, and the latency of an environment
// while an HSM is in trouble or a long rotation runs.
//
// The HSM is made slow by the fault shim of the tests (tests/support/p11fault): `rules_file` is the
// control file of the module that the server uses.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "tools/bench/measurement.h"

namespace kms::tools {

// Requests to the API, one after the other. Thread rule: one thread at a time.
class ApiClient {
 public:
  // `context` as for HttpConnection::Connect.
  static Result<ApiClient> Connect(const ServerAddress& address, const PlaintextBuffer& token,
                                   SSL_CTX* context);
  // The answer's body. `path` begins with /v1/. Errors: kUnavailable; kFailedPrecondition with the
  // server's answer when that is neither 200 nor 204.
  Result<std::string> Send(std::string_view method, const std::string& path,
                           const std::string& body = {});

 private:
  ApiClient(HttpConnection connection, std::string head)
      : connection_(std::move(connection)), head_(std::move(head)) {}
  HttpConnection connection_;
  std::string head_;
};

// Calls to each token so far, by its name.
Result<std::map<std::string, std::uint64_t>> ReadHsmCalls(ApiClient& api);

// Makes KEY-0 ... KEY-(n-1). Errors: as Send.
Status MakeKeys(ApiClient& api, const RequestSetOptions& requests, std::size_t keys);

struct ColdMeasurement {
  std::size_t keys = 0;
  std::chrono::nanoseconds elapsed{0};
  Histogram latency;
  std::map<std::string, std::uint64_t> calls_before;  // by token: since the server's start
  std::map<std::string, std::uint64_t> calls_after;
};
// One encryption with each key that MakeKeys made; run it after a restart of the server, when no
// key is warm. Errors: as Send.
Result<ColdMeasurement> MeasureCold(ApiClient& api, const RequestSetOptions& requests,
                                    std::size_t keys);

// Rules of the fault shim for an HSM of so many milliseconds a call and calls a second; zero: not.
std::string SlowHsmRules(std::chrono::milliseconds delay, unsigned calls_per_second);
// Replaces the rules at once. Errors: kInvalidArgument when the file cannot be written.
Status WriteRules(const std::string& rules_file, const std::string& rules);

struct DisturbanceOptions {
  std::string rules_file;  // with rules: the disturbance is these
  std::string rules;
  std::string quiet_rules;       // between them, and at the end
  std::string task;              // or this rotation: rotate-master, rotate-key
  std::string environment;       // of that environment,
  std::uint32_t task_rate = 0;   // entries per second; 0: as fast as it can
  std::size_t environments = 0;  // or of ENVIRONMENT-0 ... when not zero: made if missing
};

struct DisturbanceMeasurement {
  Measurement quiet;
  Measurement disturbed;
  double throughput_ratio = 0;  // disturbed / quiet
  double p99_ratio = 0;
  std::chrono::nanoseconds task_elapsed{0};
  std::size_t tasks = 0;
  std::uint64_t entries = 0;  // that the tasks worked on
};
// Runs the plan without and with the disturbance: rules for a duration, or tasks until all of them
// are done. Errors: as MeasurePlain and Send; kFailedPrecondition when a task fails.
Result<DisturbanceMeasurement> MeasureDisturbance(LoadGroup& group, ApiClient& api,
                                                  const MeasurementOptions& options,
                                                  const DisturbanceOptions& disturbance);

}  // namespace kms::tools
