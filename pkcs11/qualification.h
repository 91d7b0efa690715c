// SPDX-License-Identifier: Apache-2.0
// Qualification: what a PKCS#11 module and its token really do, and whether this service may rely
// on them. The library runs in a child process: its crash or hang is a finding.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "pkcs11/token_options.h"
#include "pkcs11/worker_process.h"

namespace kms::pkcs11 {

enum class Mark : std::uint8_t {
  kGood,
  kNote,     // a difference that this service copes with
  kWarning,  // the operator should know before relying on it
  kBad,      // a reason not to use the token
};
std::string_view MarkName(Mark mark);  // "ok", "note", "warning", "failed"

struct Finding {
  std::string section;  // of QualificationSteps()
  std::string name;
  Mark mark = Mark::kNote;
  std::string text;
};

// One kind of operation by so many threads, a session each.
struct MeasuredRate {
  std::string operation;  // "wrap", "unwrap", "sign"
  std::uint32_t threads = 0;
  std::uint64_t operations = 0;
  std::uint64_t failures = 0;
  double per_second = 0;
  // Latencies in microseconds.
  double p50 = 0;
  double p95 = 0;
  double p99 = 0;
  double longest = 0;
};

struct QualificationReport {
  // Machine-readable results: "module.description", "token.serial", "best.mechanism", …
  std::map<std::string, std::string> facts;
  std::vector<Finding> findings;  // in the order of the steps
  std::vector<MeasuredRate> rates;
};

struct QualificationOptions {
  TokenOptions token;
  // As the configuration would say it; for the one that the report recommends.
  std::string pin_reference;
  std::string pass_environment;
  std::vector<std::uint32_t> threads{1, 2, 4, 8, 16};
  std::chrono::milliseconds duration{10000};    // of all measuring
  std::chrono::milliseconds step_limit{60000};  // a step that takes longer hangs
  // Sections that are left out: "performance", "resident keys", … Those that the verdict rests on
  // (connection, mechanisms, master key, sessions, recovery) run all the same.
  std::vector<std::string> skip;
  // Also tries one wrong PIN, and more sessions than a neighbour can spare.
  bool disruptive = false;
};

// Starts the child that RunQualificationChild is the main of; `pin` goes into its PIN pipe.
using QualificationLauncher =
    std::function<Result<std::unique_ptr<WorkerProcess>>(const SecretBytes& pin)>;

// Runs every step in children of `launch`: one that crashes or hangs is ended, reported, and
// followed by another that goes on with the next step. `progress` hears the name of each step.
// What the tests make in the token bears a label that begins with "kms-test" and is destroyed at
// the end; what a crash left is destroyed by the next run. Errors: those of reading the PIN and of
// starting the child; whatever the module does wrong is in the report.
Result<QualificationReport> QualifyToken(const QualificationOptions& options,
                                         const QualificationLauncher& launch,
                                         const std::function<void(const std::string&)>& progress);

// main of the child; `socket` was inherited. Returns the exit status.
int RunQualificationChild(int socket);

}  // namespace kms::pkcs11
