// SPDX-License-Identifier: Apache-2.0
// HttpsFetcher: the one way in which this process speaks to servers that are not its own.
#pragma once

#include <string>
#include <string_view>

#include "kms/auth/document_fetcher.h"

namespace kms {

// HTTP/1.1 over TLS 1.2 or newer with the server's certificate verified; plain HTTP to loopback
// only (kms/auth/outbound_url.h says which URLs and addresses). Follows no redirect, uses no proxy,
// no cookies, no credentials and no content encoding, whatever the environment says. The answer is
// cut off at the size allowed, its head at 64 KiB. A connection of its own for each document.
// The process must ignore SIGPIPE. Thread rule: any thread.
class HttpsFetcher final : public DocumentFetcher {
 public:
  // Call once before other threads exist: prepares the library.
  HttpsFetcher();

  Result<std::string> Fetch(const std::string& url, std::string_view ca_pem, std::size_t max_bytes,
                            Deadline deadline) override;
};

}  // namespace kms
