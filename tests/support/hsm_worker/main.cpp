// SPDX-License-Identifier: Apache-2.0
// test_hsm_worker: what `kmsd hsm-worker` is, as a program of its own for tests.
#include "pkcs11/worker_server.h"

int main() { return kms::pkcs11::RunHsmWorker(kms::pkcs11::kWorkerSocket); }
