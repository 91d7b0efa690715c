// SPDX-License-Identifier: Apache-2.0
// What an HSM worker gives up before a vendor's library is loaded into it.
#pragma once

#include "kms/base/result.h"
#include "pkcs11/token_options.h"

namespace kms::pkcs11 {

// Takes from every thread of this process, for good, what a worker never needs: starting programs
// and processes, looking into or signalling other ones, changing its user, the kernel's modules,
// mounts and clock, and sockets of the network unless `options.network`. What is refused fails with
// EPERM, so that a library that only tries goes on. Bounds files, descriptors and memory besides.
// Not a jail: the library keeps the files and the memory of the worker, the PIN included.
// Errors: kFailedPrecondition when the kernel has no seccomp filters; nothing may be loaded then.
Status LimitWorkerRights(const TokenOptions& options);

}  // namespace kms::pkcs11
