// SPDX-License-Identifier: Apache-2.0
// main of the child that holds the library: one step after the other, each told before it begins.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "kms/base/secret_bytes.h"
#include "pkcs11/pin.h"
#include "pkcs11/qualification_bench.h"
#include "pkcs11/worker_rights.h"
#include "pkcs11/worker_server.h"

namespace kms::pkcs11 {
namespace {

constexpr int kExitFailed = 70;  // EX_SOFTWARE

bool Harden() {
  const rlimit no_core{.rlim_cur = 0, .rlim_max = 0};
  struct sigaction ignore{};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, nullptr);
  // A parent that was interrupted leaves nobody behind who holds the PIN.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  return ::setrlimit(RLIMIT_CORE, &no_core) == 0 && ::prctl(PR_SET_DUMPABLE, 0) == 0 &&
         ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

constexpr std::array<std::string_view, 5> kAlwaysTested = {"connection", "mechanisms", "master key",
                                                           "sessions", "recovery"};

bool IsSkipped(const QualificationBench& bench, std::string_view section) {
  return std::ranges::find(bench.task().skip, section) != bench.task().skip.end() &&
         std::ranges::find(kAlwaysTested, section) == kAlwaysTested.end();
}

void RunStep(QualificationBench& bench, std::size_t index) {
  const QualificationStep& step = QualificationSteps()[index];
  if (IsSkipped(bench, step.section)) return;
  bench.BeginStep(index, step.section);
  const Status status = step.run(bench);
  if (!status.has_value()) bench.Warn(step.name, "not tested: " + ToldError(status.error()));
  // Here, where no session of the step is left that initialising anew would invalidate.
  IgnoreError(bench.RemoveTestObjects(), "the last step reports what stays");
}

Status RunSteps(int socket) {
  QualificationTask task = KMS_TRY(ReceiveTask(socket));
  SecretBytes pin = KMS_TRY(
      ReadPin({.kind = PinSource::Kind::kDescriptor, .value = std::to_string(kWorkerPinPipe)}));
  if (!task.token.softhsm_config.empty()) {
    ::setenv("SOFTHSM2_CONF", task.token.softhsm_config.c_str(), 1);
  }
  // As in a worker: what passes here passes there.
  KMS_TRY(LimitWorkerRights(task.token));
  const std::size_t first = task.first_step;
  const auto send = [socket](const QualificationMessage& message) {
    IgnoreError(SendMessage(socket, message), "a parent that is gone ends this process");
  };
  QualificationBench bench(std::move(task), std::move(pin), send);
  bench.BeginStep(0, QualificationSteps().front().section);
  if (!bench.Connect(/*report=*/first == 0))
    return SendMessage(socket, TestsEnd{.complete = false});
  for (std::size_t index = first; index < QualificationSteps().size(); ++index) {
    RunStep(bench, index);
  }
  bench.Disconnect();
  return SendMessage(socket, TestsEnd{.complete = true});
}

}  // namespace

int RunQualificationChild(int socket) {
  if (!Harden()) return kExitFailed;
  const Status prepared = InitializeSecretMemory();
  const Status status = prepared.has_value() ? RunSteps(socket) : prepared;
  if (!status.has_value()) {
    std::fprintf(stderr, "hsm-test: %s\n", Describe(status.error()).c_str());
  }
  // Not through the exit handlers of a library that may have threads left.
  ::_exit(status.has_value() ? 0 : kExitFailed);
}

}  // namespace kms::pkcs11
