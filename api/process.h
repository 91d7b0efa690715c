// SPDX-License-Identifier: Apache-2.0
// What kmsd does to its own process before it touches a secret.
#pragma once

#include "kms/base/result.h"

namespace kms::api {

// No core dumps, no ptrace by the same user, files private by default, SIGPIPE ignored, malloc
// tuned for reused large buffers. Call first thing in main, before any thread exists.
// Errors: kFailedPrecondition when the kernel refuses one of the protections.
Status HardenProcess();

// Blocks SIGTERM, SIGINT and SIGHUP in this thread and those it starts, so that AwaitStopSignal
// receives them. Call before any thread exists.
void BlockStopSignals();

// Waits for SIGTERM or SIGINT and returns it; calls `on_hangup` for each SIGHUP.
int AwaitStopSignal(void (*on_hangup)(void* context), void* context);

}  // namespace kms::api
