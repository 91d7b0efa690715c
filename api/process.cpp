// SPDX-License-Identifier: Apache-2.0
#include "api/process.h"

#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <fstream>

namespace kms::api {

namespace {

sigset_t StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  return signals;
}

}  // namespace

Status HardenProcess() {
  ::umask(077);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // a file-size limit is an error to answer, not a way to die
  // Buffers of large bodies are reused; without this every one costs an mmap and page faults.
  ::mallopt(M_MMAP_THRESHOLD, 64 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 16 << 20);
  const rlimit no_core{0, 0};
  if (::setrlimit(RLIMIT_CORE, &no_core) != 0 || ::prctl(PR_SET_DUMPABLE, 0) != 0) {
    return FailedPrecondition("core dumps cannot be disabled for this process");
  }
  // Should a core be written all the same (a debugger's, by root), it holds no memory of ours.
  std::ofstream("/proc/self/coredump_filter") << "0";
  return Ok();
}

void BlockStopSignals() {
  const sigset_t signals = StopSignals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

int AwaitStopSignal(void (*on_hangup)(void* context), void* context) {
  const sigset_t signals = StopSignals();
  for (;;) {
    const int signal = ::sigwaitinfo(&signals, nullptr);
    if (signal == SIGHUP) {
      on_hangup(context);
    } else if (signal > 0) {
      return signal;
    }
  }
}

}  // namespace kms::api
