// SPDX-License-Identifier: Apache-2.0
// Keep a certificate chain with a key version (transit-api 6.26).
#pragma once

#include <cstdint>
#include <string_view>

#include "kms/base/result.h"
#include "kms/keys/key.h"
#include "kms/keys/names.h"
#include "kms/operations/environment.h"

namespace kms {

struct SetCertificateRequest {
  std::int64_t version = 0;    // 0: the latest
  std::string_view chain_pem;  // leaf first
};

struct SetCertificateOutcome {
  KeyHandle key;
  KeyVersionNumber version = 0;  // that has the chain now, in place of any it had
};

// Any thread. Errors: those of CheckCertifiable, FindVersionOrLatest and ParseCertificateChain;
// kConflict when the key was changed by others all the while; store errors.
Result<SetCertificateOutcome> SetCertificate(Environment& environment, const KeyName& name,
                                             const SetCertificateRequest& request);

}  // namespace kms
