// SPDX-License-Identifier: Apache-2.0
// TlsContext: TLS 1.2 and 1.3 on accepted sockets; certificates can be renewed while serving.
#pragma once

#include <openssl/ssl.h>

#include <memory>

#include "api/front/channel.h"
#include "api/front/front_options.h"
#include "kms/base/mutex.h"
#include "kms/base/result.h"

namespace kms::api {

struct SslContextDeleter {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using SslContextPtr = std::unique_ptr<SSL_CTX, SslContextDeleter>;

// Thread rule: any thread.
class TlsContext {
 public:
  // Errors: kInvalidArgument naming the file that is missing, malformed or does not fit the other.
  static Result<std::unique_ptr<TlsContext>> Load(const TlsOptions& options);

  // Reads the files again; connections that exist keep what they have. On an error (as for Load)
  // the old certificate stays in use.
  Status Reload();

  // A server session on `fd`; null when memory is short.
  SslPtr NewSession(int fd);

 private:
  TlsContext(TlsOptions options, SslContextPtr context)
      : options_(std::move(options)), context_(std::move(context)) {}

  const TlsOptions options_;
  Mutex mutex_;
  SslContextPtr context_ KMS_GUARDED_BY(mutex_);
};

}  // namespace kms::api
