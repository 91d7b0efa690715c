// SPDX-License-Identifier: Apache-2.0
#include "kms/identity/userpass.h"

#include <atomic>
#include <thread>

#include "kms/auth/totp.h"
#include "tests/kms/identity/login_world.h"

namespace kms {
namespace {

using testing::Block;
using ::testing::ElementsAre;
using testing::HasError;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::Named;
using ::testing::Not;

constexpr std::string_view kPassword = "correct horse";
constexpr std::string_view kWrong = "invalid username or password";
constexpr PasswordHashCost kCheap{.memory_kib = 64, .passes = 1};

Status NoChange(TokenParameters& /*parameters*/) { return Ok(); }

class UserpassTest : public testing::LoginWorld {
 protected:
  UserpassTest() {
    EXPECT_THAT(users_.Write(mount_, Named("alice"), kPassword,
                             [](TokenParameters& parameters) {
                               parameters.policies = {"app"};
                               return Ok();
                             }),
                IsOk());
  }

  Result<LoginGrant> Login(std::string_view name, std::string_view password,
                           std::string_view passcode = {}) {
    return users_.Login(mount_, Named(name), {.password = password, .passcode = passcode}, origin_);
  }

  // Gives alice a second factor.
  void EnableTotp() {
    KMS_ASSERT_OK_AND_ASSIGN(factor_, users_.BeginTotp(mount_, Named("alice")));
    ASSERT_THAT(users_.ConfirmTotp(mount_, Named("alice"), CodeNow()), IsOk());
    clock_.Advance(std::chrono::seconds(2 * kTotpStepSeconds));  // the code that confirmed is old
  }
  std::string CodeNow(std::int64_t steps_later = 0) {
    const std::int64_t step = ToUnixSeconds(clock_.Now()) / kTotpStepSeconds + steps_later;
    const std::string text = std::to_string(
        HotpValue(factor_.secret.View(), static_cast<std::uint64_t>(step), 6).value());
    return std::string(6 - text.size(), '0') + text;
  }
  std::string Backup(std::size_t n) const {
    return std::string(BackupCode(factor_.backup_codes, n));
  }

  PasswordHasher hasher_{kCheap, {.max_running = 4, .max_waiting = 100}};
  Userpass users_{sys_, clock_, hasher_};
  NewSecondFactor factor_;
};

TEST_F(UserpassTest, LogsInWithTheRightPassword) {
  KMS_ASSERT_OK_AND_ASSIGN(const LoginGrant grant, Login("alice", kPassword));
  EXPECT_THAT(grant.parameters.policies, ElementsAre("app"));
  EXPECT_EQ(grant.alias, "alice");
  EXPECT_EQ(grant.role, "");
  EXPECT_EQ(grant.display_name, "userpass-alice");
  EXPECT_EQ(grant.metadata, (std::map<std::string, std::string>{{"username", "alice"}}));
}

// CVE-2025-6011: neither text nor work tells whether the user exists.
TEST_F(UserpassTest, AWrongUserAndAWrongPasswordTakeOnePath) {
  const std::uint64_t before = hasher_.hashings();
  EXPECT_THAT(Login("alice", "wrong horse"), HasError(ErrorCode::kUnauthenticated, kWrong));
  EXPECT_EQ(hasher_.hashings(), before + 1);
  EXPECT_THAT(Login("mallory", "wrong horse"), HasError(ErrorCode::kUnauthenticated, kWrong));
  EXPECT_EQ(hasher_.hashings(), before + 2);
  EXPECT_THAT(Login("alice", ""), HasError(ErrorCode::kUnauthenticated, kWrong));
  EXPECT_THAT(Login("mallory", ""), HasError(ErrorCode::kUnauthenticated, kWrong));
  EXPECT_EQ(hasher_.hashings(), before + 4);
}

// U6, CVE-2025-6004: one canonical form, whatever a caller writes.
TEST_F(UserpassTest, U6_NamesHaveOneFormOrNone) {
  EXPECT_THAT(Login("ALICE", kPassword), IsOk());
  for (const std::string_view bad :
       {"alice ", " alice", "ali ce", "alice\t", "ali\u0301ce", "\uff41lice", "alice/", "../alice",
        "alice%20", "", "-alice", "alice."}) {
    EXPECT_FALSE(IdentityName::Parse(bad).has_value()) << bad;
  }
  EXPECT_FALSE(IdentityName::Parse(std::string_view("alice\0", 6)).has_value());
}

TEST_F(UserpassTest, UsersOfOneMountAreUnknownAtAnother) {
  EXPECT_THAT(users_.Login(other_mount_, Named("alice"), {.password = kPassword}, origin_),
              HasError(ErrorCode::kUnauthenticated, kWrong));
}

TEST_F(UserpassTest, LogsInOnlyFromTheUsersBlocks) {
  ASSERT_THAT(users_.Write(mount_, Named("alice"), std::nullopt,
                           [](TokenParameters& parameters) {
                             parameters.bound_cidrs = {Block("192.168.0.0/16")};
                             return Ok();
                           }),
              IsOk());
  EXPECT_THAT(Login("alice", kPassword), HasError(ErrorCode::kUnauthenticated, kWrong));
  origin_.address = "192.168.3.4";
  EXPECT_THAT(Login("alice", kPassword), IsOk());
}

TEST_F(UserpassTest, ANewUserNeedsAPassword) {
  EXPECT_THAT(users_.Write(mount_, Named("bob"), std::nullopt, NoChange),
              HasError(ErrorCode::kInvalidArgument, "missing password"));
  EXPECT_THAT(users_.Write(mount_, Named("bob"), "short", NoChange),
              HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(users_.Read(mount_, Named("bob")),
              testing::IsOkAndHolds(::testing::Eq(std::nullopt)));
}

TEST_F(UserpassTest, AWriteWithoutPasswordKeepsIt) {
  ASSERT_THAT(users_.Write(mount_, Named("alice"), std::nullopt,
                           [](TokenParameters& parameters) {
                             parameters.ttl_seconds = 60;
                             return Ok();
                           }),
              IsOk());
  KMS_ASSERT_OK_AND_ASSIGN(const LoginGrant grant, Login("alice", kPassword));
  EXPECT_EQ(grant.parameters.ttl_seconds, 60);
  EXPECT_THAT(grant.parameters.policies, ElementsAre("app"));
}

TEST_F(UserpassTest, AChangedPasswordEndsTheOldOne) {
  ASSERT_THAT(users_.ChangeExisting(mount_, Named("alice"), "battery staple", NoChange), IsOk());
  EXPECT_THAT(Login("alice", kPassword), HasError(ErrorCode::kUnauthenticated));
  EXPECT_THAT(Login("alice", "battery staple"), IsOk());
  EXPECT_THAT(users_.ChangeExisting(mount_, Named("bob"), "battery staple", NoChange),
              HasError(ErrorCode::kInvalidArgument, "username does not exist"));
}

TEST_F(UserpassTest, ListsAndDeletesUsers) {
  ASSERT_THAT(users_.Write(mount_, Named("bob"), kPassword, NoChange), IsOk());
  EXPECT_THAT(users_.List(mount_, {}, 0), testing::IsOkAndHolds(ElementsAre("alice", "bob")));
  EXPECT_THAT(users_.List(mount_, "alice", 1), testing::IsOkAndHolds(ElementsAre("bob")));
  ASSERT_THAT(users_.Delete(mount_, Named("alice")), IsOk());
  EXPECT_THAT(users_.Delete(mount_, Named("alice")), IsOk());
  EXPECT_THAT(Login("alice", kPassword), HasError(ErrorCode::kUnauthenticated, kWrong));
  EXPECT_THAT(users_.List(mount_, {}, 0), testing::IsOkAndHolds(ElementsAre("bob")));
}

TEST_F(UserpassTest, NothingStoredHoldsThePassword) {
  KMS_ASSERT_OK_AND_ASSIGN(const auto entry, sys_.Get("auth/auth_login_1a2b3c4d/users/alice"));
  ASSERT_TRUE(entry.has_value());
  EXPECT_THAT(std::string(AsText(entry->value.View())), Not(HasSubstr(std::string(kPassword))));
}

TEST_F(UserpassTest, ASecondFactorIsAskedForOnceItIsConfirmed) {
  KMS_ASSERT_OK_AND_ASSIGN(factor_, users_.BeginTotp(mount_, Named("alice")));
  EXPECT_THAT(Login("alice", kPassword), IsOk()) << "not confirmed yet";
  EXPECT_THAT(users_.ConfirmTotp(mount_, Named("alice"), "000000x"),
              HasError(ErrorCode::kInvalidArgument, "invalid passcode"));
  ASSERT_THAT(users_.ConfirmTotp(mount_, Named("alice"), CodeNow()), IsOk());
  EXPECT_THAT(Login("alice", kPassword),
              HasError(ErrorCode::kInvalidArgument, "passcode required"));
  EXPECT_THAT(users_.ConfirmTotp(mount_, Named("alice"), CodeNow()),
              HasError(ErrorCode::kInvalidArgument, "no second factor waits for confirmation"));
}

TEST_F(UserpassTest, OnlyARightPasswordLearnsThatAPasscodeIsNeeded) {
  EnableTotp();
  EXPECT_THAT(Login("alice", "wrong horse"), HasError(ErrorCode::kUnauthenticated, kWrong));
  EXPECT_THAT(Login("alice", "wrong horse", CodeNow()),
              HasError(ErrorCode::kUnauthenticated, kWrong));
  EXPECT_THAT(Login("alice", kPassword, "000000"), HasError(ErrorCode::kUnauthenticated, kWrong));
  EXPECT_THAT(Login("alice", kPassword, CodeNow()), IsOk());
}

// CVE-2025-6014, -6015: a one-time code counts once, whatever is written around it.
TEST_F(UserpassTest, APasscodeCountsOnce) {
  EnableTotp();
  const std::string code = CodeNow();
  ASSERT_THAT(Login("alice", kPassword, code), IsOk());
  for (const std::string& again : {code, " " + code, code + " ", "0" + code}) {
    EXPECT_THAT(Login("alice", kPassword, again), HasError(ErrorCode::kUnauthenticated, kWrong));
  }
  EXPECT_THAT(Login("alice", kPassword, CodeNow(-1)), HasError(ErrorCode::kUnauthenticated));
  EXPECT_THAT(Login("alice", kPassword, CodeNow(1)), IsOk());
}

TEST_F(UserpassTest, TheCodeThatConfirmedDoesNotLogIn) {
  KMS_ASSERT_OK_AND_ASSIGN(factor_, users_.BeginTotp(mount_, Named("alice")));
  const std::string code = CodeNow();
  ASSERT_THAT(users_.ConfirmTotp(mount_, Named("alice"), code), IsOk());
  EXPECT_THAT(Login("alice", kPassword, code), HasError(ErrorCode::kUnauthenticated, kWrong));
}

TEST_F(UserpassTest, APasscodeAtTheWrongPasswordIsNotUsedUp) {
  EnableTotp();
  EXPECT_THAT(Login("alice", "wrong horse", CodeNow()), HasError(ErrorCode::kUnauthenticated));
  EXPECT_THAT(Login("alice", kPassword, CodeNow()), IsOk());
}

TEST_F(UserpassTest, EveryBackupCodeLogsInOnce) {
  EnableTotp();
  for (std::size_t i = 0; i < kBackupCodes; ++i) {
    EXPECT_THAT(Login("alice", kPassword, Backup(i)), IsOk());
    EXPECT_THAT(Login("alice", kPassword, Backup(i)),
                HasError(ErrorCode::kUnauthenticated, kWrong));
    KMS_ASSERT_OK_AND_ASSIGN(const auto info, users_.Read(mount_, Named("alice")));
    ASSERT_TRUE(info.has_value());
    EXPECT_EQ(info->backup_codes_left, kBackupCodes - 1 - i);
  }
  EXPECT_THAT(Login("alice", kPassword, CodeNow()), IsOk());
}

TEST_F(UserpassTest, ANewFactorReplacesTheOldOnlyWhenConfirmed) {
  EnableTotp();
  const NewSecondFactor old = std::move(factor_);
  KMS_ASSERT_OK_AND_ASSIGN(factor_, users_.BeginTotp(mount_, Named("alice")));
  EXPECT_THAT(Login("alice", kPassword, CodeNow()), HasError(ErrorCode::kUnauthenticated));
  EXPECT_THAT(Login("alice", kPassword, BackupCode(old.backup_codes, 0)), IsOk());
  ASSERT_THAT(users_.ConfirmTotp(mount_, Named("alice"), CodeNow()), IsOk());
  EXPECT_THAT(Login("alice", kPassword, BackupCode(old.backup_codes, 1)),
              HasError(ErrorCode::kUnauthenticated));
  EXPECT_THAT(Login("alice", kPassword, Backup(0)), IsOk());
}

TEST_F(UserpassTest, ADisabledFactorIsGoneWithItsCodes) {
  EnableTotp();
  ASSERT_THAT(users_.DisableTotp(mount_, Named("alice")), IsOk());
  EXPECT_THAT(Login("alice", kPassword), IsOk());
  KMS_ASSERT_OK_AND_ASSIGN(const auto info, users_.Read(mount_, Named("alice")));
  ASSERT_TRUE(info.has_value());
  EXPECT_FALSE(info->totp_enabled);
  EXPECT_EQ(info->backup_codes_left, 0U);
}

TEST_F(UserpassTest, SecondFactorsOfNobodyAreRefused) {
  EXPECT_THAT(users_.BeginTotp(mount_, Named("bob")),
              HasError(ErrorCode::kInvalidArgument, "username does not exist"));
  EXPECT_THAT(users_.ConfirmTotp(mount_, Named("bob"), "123456"),
              HasError(ErrorCode::kInvalidArgument, "username does not exist"));
  EXPECT_THAT(users_.DisableTotp(mount_, Named("bob")),
              HasError(ErrorCode::kInvalidArgument, "username does not exist"));
}

// U9 for one-time codes.
TEST_F(UserpassTest, OfManyLoginsWithOneCodeOnePasses) {
  EnableTotp();
  for (const std::string& code : {CodeNow(), Backup(3)}) {
    std::atomic<int> passed{0};
    std::atomic<int> refused{0};
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < 20; ++i) {
        threads.emplace_back([&] {
          const Result<LoginGrant> login = Login("alice", kPassword, code);
          ++(login.has_value() ? passed : refused);
        });
      }
    }
    EXPECT_EQ(passed, 1);
    EXPECT_EQ(refused, 19);
  }
}

TEST_F(UserpassTest, A19_AFloodOfLoginsIsRefusedBeforeItCosts) {
  PasswordHasher full{kCheap, {.max_running = 0, .max_waiting = 0}};
  Userpass users{sys_, clock_, full};
  EXPECT_THAT(users.Login(mount_, Named("alice"), {.password = kPassword}, origin_),
              HasError(ErrorCode::kResourceExhausted));
  EXPECT_THAT(users.Login(mount_, Named("bob"), {.password = kPassword}, origin_),
              HasError(ErrorCode::kResourceExhausted));
  EXPECT_EQ(full.hashings(), 0U);
}

// ---- faults
// --------------------------------------------------------------------------------------

TEST_F(UserpassTest, AFaultInAWriteChangesNothing) {
  const auto write = [&] { return users_.Write(mount_, Named("bob"), kPassword, NoChange); };
  EXPECT_EQ(WithEveryFault(write,
                           [&](const Error& error) {
                             EXPECT_EQ(error.code, ErrorCode::kUnavailable);
                             EXPECT_THAT(users_.Read(mount_, Named("bob")),
                                         testing::IsOkAndHolds(::testing::Eq(std::nullopt)));
                           }),
            2);
}

TEST_F(UserpassTest, AFaultInALoginLetsNobodyInAndUsesNothingUp) {
  EnableTotp();
  const std::string code = CodeNow();
  const auto login = [&]() -> Status {
    KMS_TRY(Login("alice", kPassword, code));
    return Ok();
  };
  EXPECT_EQ(WithEveryFault(
                login, [](const Error& error) { EXPECT_EQ(error.code, ErrorCode::kUnavailable); }),
            2);
}

TEST_F(UserpassTest, ACodeWhoseCommitIsUnknownLetsNobodyIn) {
  EnableTotp();
  store_.LoseNextCommitAnswer();
  EXPECT_THAT(Login("alice", kPassword, CodeNow()), HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(Login("alice", kPassword, CodeNow()), HasError(ErrorCode::kUnauthenticated));
}

TEST_F(UserpassTest, AWriteWhoseCommitIsUnknownIsLookedAt) {
  store_.LoseNextCommitAnswer();
  EXPECT_THAT(users_.Write(mount_, Named("bob"), kPassword, NoChange), IsOk());
  store_.FailCommit(1, ErrorCode::kOutcomeUnknown);
  EXPECT_THAT(users_.Write(mount_, Named("carol"), kPassword, NoChange),
              HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(users_.List(mount_, {}, 0), testing::IsOkAndHolds(ElementsAre("alice", "bob")));
}

TEST_F(UserpassTest, AStoreThatIsAwayIsNotAWrongPassword) {
  store_.FailEverything();
  EXPECT_THAT(Login("alice", kPassword), HasError(ErrorCode::kUnavailable));
}

TEST_F(UserpassTest, AMovedRecordDoesNotOpen) {
  const auto contents = store_.Contents();
  const std::string users = sys_.prefix() + "auth/auth_login_1a2b3c4d/users/";
  store_.Tamper(users + "bob", contents.at(users + "alice").value);
  EXPECT_THAT(Login("bob", kPassword), HasError(ErrorCode::kCorrupted));
}

// ---- stored format
// -------------------------------------------------------------------------------

TEST(UserRecord, EveryCutAndEveryKindOfDamageIsFound) {
  StoredUser user;
  user.password_hash = "$argon2id$x";
  user.active = SecondFactor{.secret = SecretBytes::CopyOf(Bytes(kTotpSecretBytes, 1)).value(),
                             .backup_key = SecretBytes::CopyOf(Bytes(kBackupKeyBytes, 2)).value(),
                             .last_used_step = 7,
                             .backup_codes = {Sha256Digest{3}}};
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes encoded, EncodeUser(user));
  KMS_ASSERT_OK_AND_ASSIGN(const StoredUser decoded, DecodeUser(encoded.View()));
  EXPECT_EQ(decoded.active->last_used_step, 7);
  EXPECT_TRUE(decoded.active->secret == user.active->secret);
  EXPECT_TRUE(decoded.active->backup_key == user.active->backup_key);
  EXPECT_FALSE(decoded.pending.has_value());
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    EXPECT_THAT(DecodeUser(encoded.View().first(size)), HasError(ErrorCode::kCorrupted)) << size;
  }
  Bytes longer = CopyOf(encoded.View());
  longer.push_back(0);
  EXPECT_THAT(DecodeUser(longer), HasError(ErrorCode::kCorrupted));
  longer.pop_back();
  longer[1] = 2;  // a format of the future
  EXPECT_THAT(DecodeUser(longer), HasError(ErrorCode::kCorrupted));
}

}  // namespace
}  // namespace kms
