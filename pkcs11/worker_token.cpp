// SPDX-License-Identifier: Apache-2.0
// `kmsd hsm-worker`: the worker process over a real token.
#include <memory>
#include <utility>

#include "pkcs11/token.h"
#include "pkcs11/worker_server.h"

namespace kms::pkcs11 {

namespace {

Result<BoundDevice> BindToken(const TokenOptions& options) {
  std::unique_ptr<Token> token = KMS_TRY(Token::Start(options));
  Token* const watched = token.get();
  return BoundDevice{.device = std::move(token),
                     .epochs = watched,
                     .resident_keys = watched,
                     .stuck = [watched] { return watched->stuck(); }};
}

}  // namespace

int RunHsmWorker(int socket) { return RunHsmWorker(socket, BindToken); }

}  // namespace kms::pkcs11
