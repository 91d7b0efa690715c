// SPDX-License-Identifier: Apache-2.0
// Libp11Tenant: libp11 inside a module that we initialised: it lists slots and tokens and lends EVP
// keys. It never gets the PIN: our login is the whole application's.
#pragma once

#include <openssl/evp.h>

#include <memory>
#include <string>
#include <vector>

#include "kms/base/bytes.h"
#include "kms/base/result.h"

namespace kms::pkcs11 {

struct EvpKeyDeleter {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using EvpKey = std::unique_ptr<EVP_PKEY, EvpKeyDeleter>;

struct FoundToken {
  unsigned long slot = 0;
  std::string label;
  std::string serial;
};

// Free every EvpKey before it; it finalises the module when destroyed, so no call may be under way.
// Thread rule: one thread at a time; signing with EvpKeys is for any thread.
class Libp11Tenant {
 public:
  // The module must be initialised already. Errors: kUnavailable.
  static Result<std::unique_ptr<Libp11Tenant>> Attach(const std::string& module_path,
                                                      const std::string& module_init);
  ~Libp11Tenant();
  Libp11Tenant(const Libp11Tenant&) = delete;
  Libp11Tenant& operator=(const Libp11Tenant&) = delete;

  [[nodiscard]] std::vector<FoundToken> Tokens() const;

  // Takes one read-write session for its pool. Call before we open a session: later it would close
  // ours, and without one of its own it can wait for ever. Errors: kUnavailable.
  Status Settle(unsigned long slot);
  [[nodiscard]] bool is_settled() const;

  // The private key with that CKA_ID on the settled token. Errors: kNotFound; kUnavailable when the
  // token's keys cannot be listed (an Edwards key on it is enough).
  Result<EvpKey> FindPrivateKey(ByteView id);

 private:
  struct Context;
  explicit Libp11Tenant(std::unique_ptr<Context> context);
  const std::unique_ptr<Context> context_;
};

}  // namespace kms::pkcs11
