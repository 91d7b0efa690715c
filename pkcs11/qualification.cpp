// SPDX-License-Identifier: Apache-2.0
// The parent's side: follows the children and writes down how each ended.
#include "pkcs11/qualification.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "pkcs11/pin.h"
#include "pkcs11/qualification_bench.h"
#include "pkcs11/qualification_channel.h"

namespace kms::pkcs11 {
namespace {

constexpr unsigned kMostEndings = 8;
constexpr std::chrono::seconds kEndWait{5};

struct Ending {
  bool tests_ended = false;  // the child said so
  bool complete = false;
  std::size_t step = 0;  // that was under way
  std::string how;       // when it did not: "was killed by signal 11"
};

class Qualification {
 public:
  Qualification(const QualificationOptions& options, const QualificationLauncher& launch,
                const std::function<void(const std::string&)>& progress)
      : options_(options), launch_(launch), progress_(progress), pin_(options.token.pin) {}

  Result<QualificationReport> Run() {
    const std::size_t count = QualificationSteps().size();
    std::size_t first = 0;
    for (unsigned endings = 0; first < count;) {
      const Ending ending = KMS_TRY(RunChild(first));
      if (ending.tests_ended) {
        report_.facts["complete"] = ending.complete && endings == 0 ? "yes" : "no";
        return std::move(report_);
      }
      TellEnding(ending);
      // What cannot even be connected to, or dies again and again, is not asked further.
      if (ending.step == 0) break;
      const bool give_up = ++endings == kMostEndings;
      first = give_up ? std::max(ending.step + 1, count - 1) : ending.step + 1;
    }
    report_.facts["complete"] = "no";
    return std::move(report_);
  }

 private:
  Result<Ending> RunChild(std::size_t first) {
    const SecretBytes pin = KMS_TRY(pin_.Read());
    const auto worker = KMS_TRY(launch_(pin));
    KMS_TRY(SendTask(worker->socket(), {.token = options_.token,
                                        .threads = options_.threads,
                                        .duration = options_.duration,
                                        .skip = options_.skip,
                                        .disruptive = options_.disruptive,
                                        .first_step = first,
                                        .facts = report_.facts}));
    Ending ending = Follow(*worker);
    if (ending.tests_ended) worker->Close();
    if (!worker->WaitForEnd(std::chrono::steady_clock::now() + kEndWait)) {
      worker->Kill();
      worker->WaitForEnd(std::chrono::steady_clock::now() + kEndWait);
    }
    if (!ending.tests_ended && ending.how.empty()) ending.how = worker->ending();
    return ending;
  }

  Ending Follow(WorkerProcess& worker) {
    Ending ending;
    while (true) {
      const auto limit = options_.step_limit + options_.duration;
      auto message = ReceiveMessage(worker.socket(), std::chrono::steady_clock::now() + limit);
      if (!message.has_value()) {
        const ErrorCode code = message.error().code;
        if (code == ErrorCode::kUnavailable) return ending;
        worker.Kill();
        ending.how = code == ErrorCode::kResourceExhausted
                         ? "did not return within " + std::to_string(limit.count()) + " ms"
                         : "overwrote memory of this program";
        return ending;
      }
      if (const auto* begins = std::get_if<StepBegins>(&*message)) {
        ending.step = std::min(begins->step, QualificationSteps().size() - 1);
        const QualificationStep& step = QualificationSteps()[ending.step];
        Progress(std::string(step.section) + ": " + step.name);
      } else if (const auto* end = std::get_if<TestsEnd>(&*message)) {
        ending.tests_ended = true;
        ending.complete = end->complete;
        return ending;
      } else {
        Keep(*message);
      }
    }
  }

  void Progress(const std::string& step) {
    if (step != last_progress_) progress_(step);
    last_progress_ = step;
  }

  void Keep(const QualificationMessage& message) {
    if (const auto* finding = std::get_if<Finding>(&message)) report_.findings.push_back(*finding);
    if (const auto* rate = std::get_if<MeasuredRate>(&message)) report_.rates.push_back(*rate);
    if (const auto* fact = std::get_if<LearntFact>(&message)) {
      report_.facts[fact->name] = fact->value;
    }
  }

  void TellEnding(const Ending& ending) {
    const QualificationStep& step = QualificationSteps()[ending.step];
    report_.findings.push_back({.section = std::string(step.section),
                                .name = step.name,
                                .mark = Mark::kBad,
                                .text = "the library " + ending.how + " in this test"});
  }

  const QualificationOptions& options_;
  const QualificationLauncher& launch_;
  const std::function<void(const std::string&)>& progress_;
  PinReader pin_;
  QualificationReport report_;
  std::string last_progress_;
};

}  // namespace

std::string_view MarkName(Mark mark) {
  switch (mark) {
    case Mark::kGood: return "ok";
    case Mark::kNote: return "note";
    case Mark::kWarning: return "warning";
    case Mark::kBad: return "failed";
  }
  return {};
}

Result<QualificationReport> QualifyToken(const QualificationOptions& options,
                                         const QualificationLauncher& launch,
                                         const std::function<void(const std::string&)>& progress) {
  return Qualification(options, launch, progress).Run();
}

}  // namespace kms::pkcs11
