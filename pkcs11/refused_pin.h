// SPDX-License-Identifier: Apache-2.0
// RefusedPin: the memory of a PIN that a token refused, so that no restart costs another attempt.
#pragma once

#include <string>

#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "pkcs11/token_options.h"

namespace kms::pkcs11 {

// One attempt per token and PIN value, whatever ends in between: HSMs lock after three. The
// operator has the last word: another PIN in the source, or the removal of file(), and it is tried
// again. Thread rule: one thread at a time.
class RefusedPin {
 public:
  // Remembers in `options.state_directory`, else in softhsm_state_directory, else in this process
  // alone. Two tokens never share a memory.
  explicit RefusedPin(const TokenOptions& options);

  // Whether the token refused `pin`, or a file that cannot be read says that it refused one. May
  // take a tenth of a second, once per PIN.
  [[nodiscard]] bool Matches(const SecretBytes& pin);
  // It did, just now. `lasting`: over restarts too, because another attempt would count.
  void Remember(const SecretBytes& pin, bool lasting);
  // The token took a PIN.
  void Forget();

  // Around C_Login: whether an attempt never came back, because the process died in it, is seen by
  // the next one.
  void BeginAttempt();
  void EndAttempt();
  [[nodiscard]] bool AttemptWasCut() const;

  // Where it is remembered, for operators; empty: nowhere.
  [[nodiscard]] const std::string& file() const { return file_; }

 private:
  [[nodiscard]] bool FileMatches(const SecretBytes& pin) const;
  Status Save(const SecretBytes& pin) const;

  const std::string file_;
  SecretBytes refused_;  // as far as this process knows
  bool saved_ = false;   // refused_ is in the file
};

}  // namespace kms::pkcs11
