// SPDX-License-Identifier: Apache-2.0
// Userpass: people who log in with a name, a password and, where they have one, a second factor
// (transit-api 10.6).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kms/auth/identity_name.h"
#include "kms/auth/password_hash.h"
#include "kms/auth/token_parameters.h"
#include "kms/base/clock.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/identity/auth_mounts.h"
#include "kms/identity/userpass_record.h"
#include "kms/master/sealed_store.h"

namespace kms {

// What may be shown of a user.
struct UserInfo {
  TokenParameters parameters;
  bool totp_enabled = false;
  bool totp_pending = false;  // made, not confirmed
  std::size_t backup_codes_left = 0;
};

// Shown once.
struct NewSecondFactor {
  SecretBytes secret;        // kTotpSecretBytes
  SecretBytes backup_codes;  // see BackupCode in kms/auth/totp.h
};

struct UserCredentials {
  std::string_view password;
  std::string_view passcode;  // of the second factor, or a backup code; empty: none given
};

// Entries in `sys`: auth/<mount accessor>/users/<name>. Thread rule: any thread. No lock is held.
class Userpass {
 public:
  using ParametersChange = std::function<Status(TokenParameters&)>;

  // All must outlive it.
  Userpass(SealedStore& sys, const Clock& clock, PasswordHasher& hasher)
      : sys_(sys), clock_(clock), hasher_(hasher) {}

  // Makes the user, or changes what is given of an existing one. `change` may run more than once.
  // Errors: kInvalidArgument "missing password" for a new user without one, and those of `change`;
  // as PasswordHasher::Hash; store errors.
  Status Write(const AuthMount& mount, const IdentityName& name,
               std::optional<std::string_view> password, const ParametersChange& change);
  // Errors: kInvalidArgument "username does not exist", as Write.
  Status ChangeExisting(const AuthMount& mount, const IdentityName& name,
                        std::optional<std::string_view> password, const ParametersChange& change);
  Result<std::optional<UserInfo>> Read(const AuthMount& mount, const IdentityName& name);
  // In bytewise order, after `after`; `limit` 0: all.
  Result<std::vector<std::string>> List(const AuthMount& mount, std::string_view after,
                                        std::size_t limit);
  // Success when absent. The user's tokens are the caller's to revoke.
  Status Delete(const AuthMount& mount, const IdentityName& name);

  // Makes a second factor that counts once ConfirmTotp has seen a code of it; until then the one
  // before it goes on. Errors: kInvalidArgument "username does not exist", store errors.
  Result<NewSecondFactor> BeginTotp(const AuthMount& mount, const IdentityName& name);
  // Errors: kInvalidArgument "username does not exist", "no second factor waits for confirmation",
  // "invalid passcode"; store errors.
  Status ConfirmTotp(const AuthMount& mount, const IdentityName& name, std::string_view passcode);
  // Forgets the second factor, pending ones too. Errors: kInvalidArgument "username does not
  // exist".
  Status DisableTotp(const AuthMount& mount, const IdentityName& name);

  // One hashing whether the user exists or not. A passcode counts once, durably before the answer.
  // Errors: kUnauthenticated "invalid username or password" for a user who does not exist, a wrong
  // password, a wrong or used passcode and an address outside of the user's bound_cidrs alike;
  // kInvalidArgument "passcode required" after a right password; kResourceExhausted; store errors.
  Result<LoginGrant> Login(const AuthMount& mount, const IdentityName& name,
                           const UserCredentials& credentials, const LoginOrigin& origin);

 private:
  struct Loaded {
    StoredUser user;
    Revision revision = 0;
  };
  using UserChange = std::function<Status(StoredUser&)>;

  Result<std::optional<Loaded>> Load(const std::string& path);
  Status Store(const std::string& path, const StoredUser& user, Revision expected, bool once);
  Status Change(const std::string& path, const UserChange& change);
  Status WriteUser(const AuthMount& mount, const IdentityName& name,
                   std::optional<std::string_view> password, const ParametersChange& change,
                   bool must_exist);
  Result<bool> IsPassword(const std::optional<Loaded>& loaded, std::string_view password);
  Status SpendPasscode(const std::string& path, Loaded loaded, std::string_view passcode);
  [[nodiscard]] Result<bool> TakePasscode(SecondFactor& factor, std::string_view passcode) const;

  SealedStore& sys_;
  const Clock& clock_;
  PasswordHasher& hasher_;
};

}  // namespace kms
