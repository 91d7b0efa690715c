// SPDX-License-Identifier: Apache-2.0
#include "kms/identity/userpass.h"

#include <utility>

#include "kms/auth/cidr.h"
#include "kms/auth/totp.h"
#include "kms/base/random.h"
#include "kms/identity/entry_commit.h"

namespace kms {
namespace {

// Each round that fails is one in which somebody else changed the user.
constexpr int kRounds = 100;

std::string UsersOf(const AuthMount& mount) { return mount.StorePrefix() + "users/"; }

std::string PathOf(const AuthMount& mount, const IdentityName& name) {
  return UsersOf(mount) + name.text();
}

// One text for everything: it tells neither names nor passwords apart.
Error WrongCredentials() {
  return MakeError(ErrorCode::kUnauthenticated, "invalid username or password");
}

Error NoSuchUser() { return InvalidArgument("username does not exist"); }

Error TooManyChanges() { return Conflict("the user is being changed by others"); }

LoginGrant GrantOf(const StoredUser& user, const IdentityName& name) {
  LoginGrant grant;
  grant.parameters = user.parameters;
  grant.alias = name.text();
  grant.display_name = "userpass-" + name.text();
  grant.metadata = {{"username", name.text()}};
  return grant;
}

}  // namespace

Result<std::optional<Userpass::Loaded>> Userpass::Load(const std::string& path) {
  const std::optional<OpenedEntry> entry = KMS_TRY(sys_.Get(path));
  if (!entry) {
    return std::optional<Loaded>{};
  }
  Loaded loaded{.user = KMS_TRY(DecodeUser(entry->value.View())), .revision = entry->revision};
  return std::optional<Loaded>(std::move(loaded));
}

Status Userpass::Store(const std::string& path, const StoredUser& user, Revision expected,
                       bool once) {
  std::vector<SealedMutation> mutations;
  mutations.push_back(
      {.path = path, .value = KMS_TRY(EncodeUser(user)), .expected_revision = expected});
  return once ? CommitOnce(sys_, std::move(mutations)) : CommitEntries(sys_, std::move(mutations));
}

Status Userpass::WriteUser(const AuthMount& mount, const IdentityName& name,
                           std::optional<std::string_view> password, const ParametersChange& change,
                           bool must_exist) {
  std::string hash;
  if (password) {
    hash = KMS_TRY(hasher_.Hash(*password));
  }
  const std::string path = PathOf(mount, name);
  for (int round = 0; round < kRounds; ++round) {
    std::optional<Loaded> loaded = KMS_TRY(Load(path));
    if (!loaded && must_exist) {
      return NoSuchUser();
    }
    if (!loaded && hash.empty()) {
      return InvalidArgument("missing password");
    }
    Loaded changed = loaded ? *std::move(loaded) : Loaded{};
    if (!hash.empty()) {
      changed.user.password_hash = hash;
    }
    KMS_TRY(change(changed.user.parameters));
    const Status stored = Store(path, changed.user, changed.revision, /*once=*/false);
    if (stored.has_value() || stored.error().code != ErrorCode::kConflict) {
      return stored;
    }
  }
  return TooManyChanges();
}

Status Userpass::Write(const AuthMount& mount, const IdentityName& name,
                       std::optional<std::string_view> password, const ParametersChange& change) {
  return WriteUser(mount, name, password, change, /*must_exist=*/false);
}

Status Userpass::ChangeExisting(const AuthMount& mount, const IdentityName& name,
                                std::optional<std::string_view> password,
                                const ParametersChange& change) {
  return WriteUser(mount, name, password, change, /*must_exist=*/true);
}

Result<std::optional<UserInfo>> Userpass::Read(const AuthMount& mount, const IdentityName& name) {
  const std::optional<Loaded> loaded = KMS_TRY(Load(PathOf(mount, name)));
  if (!loaded) {
    return std::optional<UserInfo>{};
  }
  UserInfo info{.parameters = loaded->user.parameters,
                .totp_enabled = loaded->user.active.has_value(),
                .totp_pending = loaded->user.pending.has_value()};
  if (loaded->user.active) {
    info.backup_codes_left = loaded->user.active->backup_codes.size();
  }
  return std::optional<UserInfo>(std::move(info));
}

Result<std::vector<std::string>> Userpass::List(const AuthMount& mount, std::string_view after,
                                                std::size_t limit) {
  return ListNamesBelow(sys_, UsersOf(mount), after, limit);
}

Status Userpass::Delete(const AuthMount& mount, const IdentityName& name) {
  std::vector<SealedMutation> mutations;
  mutations.push_back(
      {.path = PathOf(mount, name), .value = std::nullopt, .expected_revision = std::nullopt});
  return CommitEntries(sys_, std::move(mutations));
}

Status Userpass::Change(const std::string& path, const UserChange& change) {
  for (int round = 0; round < kRounds; ++round) {
    std::optional<Loaded> loaded = KMS_TRY(Load(path));
    if (!loaded) {
      return NoSuchUser();
    }
    KMS_TRY(change(loaded->user));
    const Status stored = Store(path, loaded->user, loaded->revision, /*once=*/false);
    if (stored.has_value() || stored.error().code != ErrorCode::kConflict) {
      return stored;
    }
  }
  return TooManyChanges();
}

Result<NewSecondFactor> Userpass::BeginTotp(const AuthMount& mount, const IdentityName& name) {
  NewSecondFactor made{.secret = KMS_TRY(SecretBytes::OfSize(kTotpSecretBytes)),
                       .backup_codes = KMS_TRY(MakeBackupCodes())};
  FillRandom(made.secret.MutableView());
  const Status changed = Change(PathOf(mount, name), [&](StoredUser& user) -> Status {
    SecondFactor factor;
    factor.secret = KMS_TRY(made.secret.Clone());
    factor.backup_key = KMS_TRY(SecretBytes::OfSize(kBackupKeyBytes));
    FillRandom(factor.backup_key.MutableView());
    for (std::size_t i = 0; i < kBackupCodes; ++i) {
      const std::string_view code = BackupCode(made.backup_codes, i);
      factor.backup_codes.push_back(KMS_TRY(BackupCodeDigest(factor.backup_key.View(), code)));
    }
    user.pending = std::move(factor);
    return Ok();
  });
  if (!changed.has_value()) {
    return changed.error();
  }
  return made;
}

Status Userpass::ConfirmTotp(const AuthMount& mount, const IdentityName& name,
                             std::string_view passcode) {
  return Change(PathOf(mount, name), [&](StoredUser& user) -> Status {
    if (!user.pending) {
      return InvalidArgument("no second factor waits for confirmation");
    }
    const std::optional<std::int64_t> step =
        KMS_TRY(MatchTotp(user.pending->secret.View(), passcode, ToUnixSeconds(clock_.Now()), -1));
    if (!step) {
      return InvalidArgument("invalid passcode");
    }
    user.pending->last_used_step = *step;  // the code that proved it does not log in, too
    user.active = std::exchange(user.pending, std::nullopt);
    return Ok();
  });
}

Status Userpass::DisableTotp(const AuthMount& mount, const IdentityName& name) {
  return Change(PathOf(mount, name), [](StoredUser& user) {
    user.active.reset();
    user.pending.reset();
    return Ok();
  });
}

Result<bool> Userpass::IsPassword(const std::optional<Loaded>& loaded, std::string_view password) {
  if (!loaded) {
    return hasher_.VerifyAgainstNobody(password);
  }
  return hasher_.Verify(password, loaded->user.password_hash);
}

Result<bool> Userpass::TakePasscode(SecondFactor& factor, std::string_view passcode) const {
  const std::optional<std::int64_t> step = KMS_TRY(MatchTotp(
      factor.secret.View(), passcode, ToUnixSeconds(clock_.Now()), factor.last_used_step));
  if (step) {
    factor.last_used_step = *step;
    return true;
  }
  const std::optional<std::size_t> code =
      KMS_TRY(MatchBackupCode(factor.backup_key.View(), passcode, factor.backup_codes));
  if (code) {
    factor.backup_codes.erase(factor.backup_codes.begin() + static_cast<std::ptrdiff_t>(*code));
  }
  return code.has_value();
}

// Taken with compare-and-set, so that of two logins with one code only one passes.
Status Userpass::SpendPasscode(const std::string& path, Loaded loaded, std::string_view passcode) {
  const std::string password_hash = loaded.user.password_hash;
  for (int round = 0; round < kRounds; ++round) {
    if (!loaded.user.active) {
      return Ok();
    }
    if (passcode.empty()) {
      return InvalidArgument("passcode required");
    }
    const bool good = KMS_TRY(TakePasscode(*loaded.user.active, passcode));
    if (!good) {
      return WrongCredentials();
    }
    const Status stored = Store(path, loaded.user, loaded.revision, /*once=*/true);
    if (stored.has_value() || stored.error().code != ErrorCode::kConflict) {
      return stored;
    }
    std::optional<Loaded> again = KMS_TRY(Load(path));
    if (!again || again->user.password_hash != password_hash) {
      return WrongCredentials();  // deleted, or the password was changed meanwhile
    }
    loaded = *std::move(again);
  }
  return TooManyChanges();
}

Result<LoginGrant> Userpass::Login(const AuthMount& mount, const IdentityName& name,
                                   const UserCredentials& credentials, const LoginOrigin& origin) {
  const std::string path = PathOf(mount, name);
  std::optional<Loaded> loaded = KMS_TRY(Load(path));
  const bool right = KMS_TRY(IsPassword(loaded, credentials.password));
  if (!right || !AllowedFrom(loaded->user.parameters.bound_cidrs, origin.address)) {
    return WrongCredentials();
  }
  LoginGrant grant = GrantOf(loaded->user, name);
  KMS_TRY(SpendPasscode(path, *std::move(loaded), credentials.passcode));
  return grant;
}

}  // namespace kms
