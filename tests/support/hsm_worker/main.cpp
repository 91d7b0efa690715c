// SPDX-License-Identifier: Apache-2.0
// test_hsm_worker: what `kmsd hsm-worker` and `kmsd hsm-qualify` are, as a program of its own for
// tests.
#include <string_view>

#include "pkcs11/qualification.h"
#include "pkcs11/worker_server.h"

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "hsm-qualify") {
    return kms::pkcs11::RunQualificationChild(kms::pkcs11::kWorkerSocket);
  }
  return kms::pkcs11::RunHsmWorker(kms::pkcs11::kWorkerSocket);
}
