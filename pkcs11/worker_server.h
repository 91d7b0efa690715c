// SPDX-License-Identifier: Apache-2.0
// The HSM worker's main loop: serves one token to the process at the other end of a socket.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "kms/master/epoch_counter.h"
#include "kms/master/master_key_device.h"
#include "kms/master/resident_key_device.h"
#include "pkcs11/token_options.h"

namespace kms::pkcs11 {

struct BoundDevice {
  std::unique_ptr<MasterKeyDevice> device;
  EpochCounter* epochs = nullptr;  // the same token's; nullptr: it offers none
  ResidentKeyDevice* resident_keys = nullptr;  // as epochs
  // True when nothing but ending the process helps; never blocks. Empty: never stuck.
  std::function<bool()> stuck;
};

// Binds the token; may block for as long as the library does.
using DeviceMaker = std::function<Result<BoundDevice>(const TokenOptions& options)>;

// Exit statuses of a worker (sysexits.h).
inline constexpr int kWorkerExitOk = 0;
inline constexpr int kWorkerExitProtocol = 70;  // EX_SOFTWARE: the other end is not kmsd
inline constexpr int kWorkerExitStuck = 75;     // EX_TEMPFAIL: a call of the library never returned

// How long calls in flight may take to end after the other end has closed.
inline constexpr std::chrono::milliseconds kWorkerDrainTime{300};

// The descriptors that a worker inherits beside the standard three.
inline constexpr int kWorkerSocket = 3;
inline constexpr int kWorkerPinPipe = 4;  // only when the PIN was read by kmsd (PinSource)

// Serves `socket` (which it owns) until the other end closes, and returns the exit status. The
// first message is a hello; `make` then binds the token, once. Requests run on as many threads as
// the token has sessions and two more. `on_end` is called when the connection has ended. When calls
// are still stuck kWorkerDrainTime later, or the device says that it is, returns kWorkerExitStuck
// and leaves their threads and the device behind: the process must end.
int ServeDevice(int socket, const DeviceMaker& make, const std::function<void()>& on_end = [] {});

// main of the worker process: hardens the process (no core, no ptrace, no new privileges, no
// foreign descriptors, ends with its parent), prepares secret memory, serves, and returns the exit
// status, or ends the process when a call is stuck. Before `make` is called the process gives up
// its rights (worker_rights.h). `socket` was inherited from kmsd.
int RunHsmWorker(int socket, const DeviceMaker& make);

// The same over Token: `kmsd hsm-worker`.
int RunHsmWorker(int socket);

}  // namespace kms::pkcs11
