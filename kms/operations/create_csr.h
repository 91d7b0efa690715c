// SPDX-License-Identifier: Apache-2.0
// Make a certificate signing request for a key version (transit-api 6.26).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kms/base/result.h"
#include "kms/keys/key.h"
#include "kms/keys/names.h"

namespace kms {

struct CreateCsrRequest {
  std::int64_t version = 0;       // 0: the latest
  std::string_view template_pem;  // subject and extensions come from it; may be empty
};

struct CreateCsrOutcome {
  std::string csr;  // PEM
  KeyVersionNumber version = 0;
};

// `key` is nullptr when there is none of that name. Any thread; of a key in an HSM it blocks.
// Errors: those of CheckCertifiable and SignCertificateRequest; kInvalidArgument "could not create
// the csr: no such key version"; of a key in an HSM those of ResidentKeys.
Result<CreateCsrOutcome> CreateCsr(const Key* key, const KeyName& name,
                                   const CreateCsrRequest& request);

}  // namespace kms
