// SPDX-License-Identifier: Apache-2.0
// Module: one loaded PKCS#11 library and its calls that need no session.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kms/base/result.h"
#include "pkcs11/rv.h"

namespace kms::pkcs11 {

struct TokenFacts {
  CK_SLOT_ID slot = 0;
  std::string label;   // without trailing blanks
  std::string serial;  // without trailing blanks
  CK_FLAGS flags = 0;
};

// Is never unloaded: vendors' destructors are not safe to run. Initialize and Finalize are of the
// whole process; the caller sees to it that no call is under way at Finalize (it would crash).
// Thread rule: any thread, except Initialize and Finalize.
class Module {
 public:
  // Loads the library. Errors: kFailedPrecondition for a relative path, a logging proxy
  // (pkcs11-spy writes PINs to disk), a file that others can write, and what dlopen says.
  static Result<std::unique_ptr<Module>> Load(const std::string& path);

  // C_Initialize with the operating system's locking; being initialised already counts as success.
  [[nodiscard]] Rv Initialize(const std::string& init_string) const;
  [[nodiscard]] Rv Finalize() const;

  // Library description and version, as the module reports them.
  [[nodiscard]] std::string Description() const;
  [[nodiscard]] Rv ListTokens(std::vector<TokenFacts>& tokens) const;
  [[nodiscard]] Rv ReadToken(CK_SLOT_ID slot, TokenFacts& facts) const;
  [[nodiscard]] Rv OpenSession(CK_SLOT_ID slot, CK_SESSION_HANDLE& session) const;
  void CloseSession(CK_SESSION_HANDLE session) const;

  // For the typed calls of Session.
  [[nodiscard]] const CK_FUNCTION_LIST& functions() const { return *functions_; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  Module(std::string path, CK_FUNCTION_LIST* functions)
      : path_(std::move(path)), functions_(functions) {}

  const std::string path_;
  CK_FUNCTION_LIST* const functions_;
};

// Text of a blank- or NUL-padded Cryptoki field.
std::string TrimmedField(const unsigned char* field, std::size_t size);

}  // namespace kms::pkcs11
