// SPDX-License-Identifier: Apache-2.0
// DocumentFetcher: how the domain reads a document of an identity provider. Implementations:
// api/outbound (HTTPS), tests/fakes/scripted_fetcher.h (fake).
#pragma once

#include <string>
#include <string_view>

#include "kms/base/clock.h"
#include "kms/base/result.h"

namespace kms {

// Thread rule: any thread.
class DocumentFetcher {
 public:
  virtual ~DocumentFetcher() = default;

  // GETs `url`; follows no redirect, reads at most `max_bytes`. `ca_pem` empty: the system's
  // authorities; else these alone. Blocks until `deadline` at the latest.
  // Errors: kUnavailable (not reached, TLS failed, status other than 200, too large, too late),
  // kInvalidArgument (not a URL that may be fetched).
  virtual Result<std::string> Fetch(const std::string& url, std::string_view ca_pem,
                                    std::size_t max_bytes, Deadline deadline) = 0;
};

}  // namespace kms
