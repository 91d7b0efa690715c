// SPDX-License-Identifier: Apache-2.0
#include "kms/identity/limit_settings.h"

#include "tests/kms/identity/login_world.h"

namespace kms {
namespace {

using testing::BytesOfHex;
using ::testing::ElementsAre;
using testing::HasError;
using ::testing::IsEmpty;
using testing::IsOk;

constexpr RateLimit kTen{.requests = 10, .interval_seconds = 60, .burst = 20};

class LimitSettingsTest : public testing::LoginWorld {
 protected:
  std::unique_ptr<LimitSettings> Open() {
    Result<std::unique_ptr<LimitSettings>> opened = LimitSettings::Open(sys_);
    EXPECT_THAT(opened, IsOk());
    return std::move(*opened);
  }
  void Write(const std::string& path, const Bytes& value) {
    std::vector<SealedMutation> mutations;
    mutations.push_back({.path = path, .value = SecretBytes::CopyOf(value).value()});
    EXPECT_THAT(sys_.Commit(std::move(mutations)), IsOk());
  }
  Bytes Stored(const std::string& path) {
    return CopyOf(sys_.Get(path).value().value().value.View());
  }
  static DecryptionBudget Budget(std::string name) {
    return {.name = std::move(name),
            .environment = "prod",
            .key = "orders*",
            .policy = "billing",
            .actor = "*",
            .rows_per_hour = 1000,
            .action = BudgetAction::kStop};
  }
};

TEST_F(LimitSettingsTest, StartsWithTheDefaults) {
  const auto settings = Open();
  EXPECT_EQ(settings->rates(), RateLimitSettings::Default());
  EXPECT_THAT(settings->Budgets(), IsEmpty());
  EXPECT_THAT(Paths(), IsEmpty());
}

TEST_F(LimitSettingsTest, ChangesSurviveARestart) {
  const auto settings = Open();
  EXPECT_THAT(settings->SetRate(RouteClass::kData, LimitScope::kPrincipal, kTen), IsOk());
  EXPECT_THAT(settings->SetRate(RouteClass::kLogin, LimitScope::kAddress, {}), IsOk());
  EXPECT_THAT(settings->PutBudget(Budget("cap")), IsOk());
  EXPECT_THAT(settings->PutBudget(Budget("gone")), IsOk());
  EXPECT_THAT(settings->DeleteBudget("gone"), IsOk());
  EXPECT_THAT(Paths(), ElementsAre("limits/budgets/cap", "limits/rate"));

  const auto again = Open();
  RateLimitSettings expected;
  expected.Of(RouteClass::kData, LimitScope::kPrincipal) = kTen;
  EXPECT_EQ(again->rates(), expected);
  EXPECT_THAT(again->Budgets(), ElementsAre(Budget("cap")));
  EXPECT_EQ(again->FindBudget("cap"), Budget("cap"));
  EXPECT_EQ(again->FindBudget("gone"), std::nullopt);
}

TEST_F(LimitSettingsTest, AreInForceAtOnceAndFromTheStart) {
  const auto settings = Open();
  EXPECT_THAT(settings->SetRate(RouteClass::kData, LimitScope::kPrincipal, kTen), IsOk());
  Limits limits;
  settings->Attach(limits);
  EXPECT_EQ(limits.rate.settings(), settings->rates());

  Principal principal;
  principal.actor = "app";
  principal.policies = {"billing"};
  const SteadyTime now = clock_.SteadyNow();
  const auto stopped = [&] {
    return limits.budgets.Charge(principal, "prod", "orders", 1001, now).outcome ==
           BudgetOutcome::kStop;
  };
  EXPECT_FALSE(stopped());
  EXPECT_THAT(settings->PutBudget(Budget("cap")), IsOk());
  EXPECT_TRUE(stopped());
  EXPECT_THAT(settings->DeleteBudget("cap"), IsOk());
  EXPECT_FALSE(stopped());
  EXPECT_THAT(settings->SetRate(RouteClass::kData, LimitScope::kPrincipal, {}), IsOk());
  EXPECT_EQ(limits.rate.settings(), RateLimitSettings::Default());
}

TEST_F(LimitSettingsTest, RefuseWhatCannotBeAndChangeNothing) {
  const auto settings = Open();
  EXPECT_THAT(settings->SetRate(RouteClass::kLogin, LimitScope::kTotal, kTen),
              HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(settings->SetRate(RouteClass::kData, LimitScope::kTotal,
                                {.requests = 1, .interval_seconds = 0, .burst = 1}),
              HasError(ErrorCode::kInvalidArgument));
  DecryptionBudget bad = Budget("cap");
  bad.rows_per_hour = 0;
  EXPECT_THAT(settings->PutBudget(bad), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(Paths(), IsEmpty());
}

TEST_F(LimitSettingsTest, HoldSixtyFourBudgets) {
  const auto settings = Open();
  for (std::size_t i = 0; i < LimitSettings::kMaxBudgets; ++i) {
    EXPECT_THAT(settings->PutBudget(Budget("b" + std::to_string(i))), IsOk());
  }
  EXPECT_THAT(
      settings->PutBudget(Budget("more")),
      HasError(ErrorCode::kInvalidArgument, "there are 64 budgets already; delete one first"));
  EXPECT_THAT(settings->PutBudget(Budget("b0")), IsOk());
  EXPECT_EQ(Open()->Budgets().size(), LimitSettings::kMaxBudgets);
}

TEST_F(LimitSettingsTest, DeletingWhatIsNotThereIsASuccess) {
  EXPECT_THAT(Open()->DeleteBudget("none"), IsOk());
  EXPECT_EQ(store_.commits(), 0);
}

TEST_F(LimitSettingsTest, AFailedWriteChangesNothing) {
  const auto settings = Open();
  Limits limits;
  settings->Attach(limits);
  const int faults =
      WithEveryFault([&] { return settings->SetRate(RouteClass::kKeys, LimitScope::kTotal, kTen); },
                     [&](const Error&) {
                       EXPECT_EQ(settings->rates(), RateLimitSettings::Default());
                       EXPECT_EQ(limits.rate.settings(), RateLimitSettings::Default());
                       EXPECT_EQ(Open()->rates(), RateLimitSettings::Default());
                     });
  EXPECT_EQ(faults, 2);
  EXPECT_EQ(WithEveryFault([&] { return settings->PutBudget(Budget("cap")); },
                           [&](const Error&) { EXPECT_THAT(settings->Budgets(), IsEmpty()); }),
            2);
  EXPECT_EQ(WithEveryFault([&] { return settings->DeleteBudget("cap"); },
                           [&](const Error&) { EXPECT_EQ(Open()->Budgets().size(), 1U); }),
            2);
}

TEST_F(LimitSettingsTest, AnUnknownOutcomeIsReadBack) {
  const auto settings = Open();
  store_.LoseNextCommitAnswer();
  EXPECT_THAT(settings->SetRate(RouteClass::kKeys, LimitScope::kTotal, kTen), IsOk());
  store_.LoseNextCommitAnswer();
  EXPECT_THAT(settings->PutBudget(Budget("cap")), IsOk());
  EXPECT_EQ(Open()->rates(), settings->rates());
  EXPECT_THAT(Open()->Budgets(), ElementsAre(Budget("cap")));
}

TEST_F(LimitSettingsTest, FaultsWhileOpeningAreTold) {
  const auto settings = Open();
  EXPECT_THAT(settings->SetRate(RouteClass::kKeys, LimitScope::kTotal, kTen), IsOk());
  EXPECT_THAT(settings->PutBudget(Budget("cap")), IsOk());
  EXPECT_EQ(WithEveryFault(
                [&]() -> Status {
                  KMS_TRY(LimitSettings::Open(sys_));
                  return Ok();
                },
                [](const Error& error) { EXPECT_EQ(error.code, ErrorCode::kUnavailable); }),
            3);
}

// ---- formats
// -------------------------------------------------------------------------------------

// One limit: keys, total, 10 per 60 s, burst 20.
constexpr std::string_view kRatesV1 =
    "4c0101"
    "0102"
    "000000000000000a"
    "000000000000003c"
    "0000000000000014";
constexpr std::string_view kBudgetV1 =
    "4201"
    "0000000470726f64"
    "000000076f72646572732a"
    "0000000762696c6c696e67"
    "000000012a"
    "00000000000003e8"
    "01";

TEST_F(LimitSettingsTest, FormatOneOpensForEver) {
  Write("limits/rate", BytesOfHex(kRatesV1));
  Write("limits/budgets/cap", BytesOfHex(kBudgetV1));
  const auto settings = Open();
  RateLimitSettings expected;
  expected.Of(RouteClass::kKeys, LimitScope::kTotal) = kTen;
  EXPECT_EQ(settings->rates(), expected);
  EXPECT_THAT(settings->Budgets(), ElementsAre(Budget("cap")));

  EXPECT_THAT(settings->PutBudget(Budget("cap")), IsOk());
  EXPECT_THAT(settings->SetRate(RouteClass::kKeys, LimitScope::kTotal, kTen), IsOk());
  EXPECT_EQ(Stored("limits/budgets/cap"), BytesOfHex(kBudgetV1));
  EXPECT_EQ(Stored("limits/rate"), BytesOfHex(kRatesV1));
}

TEST_F(LimitSettingsTest, DamageIsToldAndNeverTakenForALimit) {
  for (const std::string_view hex : {kRatesV1, kBudgetV1}) {
    const std::string path = hex == kRatesV1 ? "limits/rate" : "limits/budgets/cap";
    const Bytes good = BytesOfHex(hex);
    for (std::size_t size = 0; size < good.size(); ++size) {
      Write(path, Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)));
      EXPECT_THAT(LimitSettings::Open(sys_), HasError(ErrorCode::kCorrupted)) << size;
    }
    Bytes longer = good;
    longer.push_back(0);
    Write(path, longer);
    EXPECT_THAT(LimitSettings::Open(sys_), HasError(ErrorCode::kCorrupted));
    Write(path, good);
  }
}

TEST_F(LimitSettingsTest, ValuesThatNoClientCouldHaveSetAreDamage) {
  std::string twice(kRatesV1);
  twice.replace(4, 2, "02");
  twice += std::string(kRatesV1.substr(6));
  for (const std::string& hex :
       {std::string("4c0101") + "0500" + "000000000000000a000000000000003c0000000000000014",
        std::string("4c0101") + "0003" + "000000000000000a000000000000003c0000000000000014",
        std::string("4c0101") + "0302" + "000000000000000a000000000000003c0000000000000014",
        std::string("4c0101") + "0000" + "0000000000000000000000000000003c0000000000000014",
        std::string("4c0101") + "0000" + "800000000000000a000000000000003c0000000000000014",
        std::string("4c0201") + "0102" + "000000000000000a000000000000003c0000000000000014",
        twice}) {
    Write("limits/rate", BytesOfHex(hex));
    EXPECT_THAT(LimitSettings::Open(sys_), HasError(ErrorCode::kCorrupted)) << hex;
  }
}

TEST_F(LimitSettingsTest, ABudgetUnderANameThatIsNoneIsDamage) {
  Write("limits/budgets/Cap", BytesOfHex(kBudgetV1));
  EXPECT_THAT(LimitSettings::Open(sys_), HasError(ErrorCode::kCorrupted));
}

}  // namespace
}  // namespace kms
