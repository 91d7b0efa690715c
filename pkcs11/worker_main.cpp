// SPDX-License-Identifier: Apache-2.0
// RunHsmWorker: what the worker process does to itself before a vendor's library is loaded.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "kms/base/secret_bytes.h"
#include "pkcs11/worker_rights.h"
#include "pkcs11/worker_server.h"

namespace kms::pkcs11 {

namespace {

// Once kmsd is gone a worker ends by itself; a library that hangs in finalising ends here. Not at
// once and not by SIGKILL: dying inside C_Login destroys a SoftHSM token.
constexpr unsigned kLastSeconds = 2;

void LimitRemainingTime() { ::alarm(kLastSeconds); }

void SetSignal(int signal, void (*handler)(int)) {
  struct sigaction action{};
  action.sa_handler = handler;
  ::sigaction(signal, &action, nullptr);
}

void PrepareSignals() {
  for (const int ignored : {SIGPIPE, SIGTERM, SIGINT, SIGHUP}) {
    SetSignal(ignored, SIG_IGN);
  }
  SetSignal(SIGALRM, SIG_DFL);
  SetSignal(SIGUSR1, [](int /*signal*/) { LimitRemainingTime(); });
  ::prctl(PR_SET_PDEATHSIG, SIGUSR1);
}

void CloseForeignDescriptors(int socket) {
  for (int fd = kWorkerSocket; fd <= kWorkerPinPipe; ++fd) {
    if (fd == socket || fd == kWorkerPinPipe) {
      ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    } else {
      ::close(fd);
    }
  }
  ::close_range(static_cast<unsigned>(kWorkerPinPipe) + 1, ~0U, 0);
}

bool Harden() {
  const rlimit no_core{.rlim_cur = 0, .rlim_max = 0};
  ::umask(S_IRWXG | S_IRWXO);
  return ::setrlimit(RLIMIT_CORE, &no_core) == 0 && ::prctl(PR_SET_DUMPABLE, 0) == 0 &&
         ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

}  // namespace

int RunHsmWorker(int socket, const DeviceMaker& make) {
  PrepareSignals();
  CloseForeignDescriptors(socket);
  if (!Harden()) {
    std::perror("hsm-worker");
    return kWorkerExitProtocol;
  }
  const Status prepared = InitializeSecretMemory();
  if (!prepared.has_value()) {
    std::fprintf(stderr, "hsm-worker: %s\n", Describe(prepared.error()).c_str());
    return kWorkerExitProtocol;
  }
  const DeviceMaker limited = [&make](const TokenOptions& options) -> Result<BoundDevice> {
    KMS_TRY(LimitWorkerRights(options));
    return make(options);
  };
  const int status = ServeDevice(socket, limited, LimitRemainingTime);
  if (status == kWorkerExitStuck) {
    ::_exit(status);  // destructors and exit handlers of the library could hang as well
  }
  return status;
}

}  // namespace kms::pkcs11
