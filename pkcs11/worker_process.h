// SPDX-License-Identifier: Apache-2.0
// WorkerProcess: one running HSM worker, and how kmsd starts it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kms/base/clock.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"

namespace kms::pkcs11 {

// Thread rule: one thread.
class WorkerProcess {
 public:
  virtual ~WorkerProcess() = default;

  // Our end of the connection.
  [[nodiscard]] virtual int socket() const = 0;
  // Closes our end: a healthy worker then ends by itself.
  virtual void Close() = 0;
  // Ends it, whatever it is doing.
  virtual void Kill() = 0;
  // Waits until it has ended and is reaped; false when it still runs at `deadline`.
  virtual bool WaitForEnd(Deadline deadline) = 0;
  // Resident memory in bytes; 0 when it is not known.
  [[nodiscard]] virtual std::uint64_t MemoryBytes() const { return 0; }
  // How it ended, for people: "was killed by signal 9". After WaitForEnd.
  [[nodiscard]] virtual std::string ending() const = 0;
};

using WorkerLauncher = std::function<Result<std::unique_ptr<WorkerProcess>>()>;

struct SpawnOptions {
  std::string program;
  std::vector<std::string> arguments;
  std::vector<std::string> environment;  // all of it: "NAME=value"
  // When not empty: the worker finds these bytes in the pipe kWorkerPinPipe. Must outlive the call.
  const SecretBytes* pin = nullptr;
};

// Starts `program` with the other end of the connection as its descriptor kWorkerSocket; no other
// descriptor but the standard ones is inherited, and standard input and output are /dev/null.
// Errors: kUnavailable, the detail naming what failed.
Result<std::unique_ptr<WorkerProcess>> SpawnWorker(const SpawnOptions& options);

}  // namespace kms::pkcs11
