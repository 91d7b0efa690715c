// SPDX-License-Identifier: Apache-2.0
#include "kms/identity/approvals.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>

#include "tests/fakes/fault_plan.h"
#include "tests/kms/identity/login_world.h"

namespace kms {
namespace {

using testing::HasError;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::IsOkAndHolds;

const ApprovalParty kAlice{.actor = "entity-a", .accessor = "acc-a", .display_name = "alice"};
const ApprovalParty kBob{.actor = "entity-b", .accessor = "acc-b", .display_name = "bob"};
const Uuid kEnvironmentId = Uuid::Parse("6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11").value();
const Uuid kKeyId = Uuid::Parse("00112233-4455-4677-8899-aabbccddeeff").value();

ApprovalDemand Trim(std::string_view body = R"({"min_available_version":2})") {
  ApprovalDemand demand;
  demand.action = GuardedAction::kTrim;
  demand.environment = "prod";
  demand.environment_id = kEnvironmentId;
  demand.key_name = "app";
  demand.key = kKeyId;
  demand.method = "POST";
  demand.policy_path = "prod/keys/app/trim";
  demand.path = "/v1/" + demand.policy_path;
  demand.capability = Capability::kUpdate;
  demand.parameters = {{.name = "min_available_version", .value = "2"}};
  std::ranges::copy(AsBytes(body), demand.body.Reset(body.size()).begin());
  return demand;
}

class ApprovalsTest : public testing::LoginWorld {
 protected:
  ApprovalsTest() { Start(); }
  void Start() { approvals_ = std::make_unique<Approvals>(sys_, clock_, options_); }

  Uuid Ask(std::string_view body = R"({"min_available_version":2})") {
    return approvals_->Create(Trim(body), kAlice).value().id;
  }
  std::string StateOf(const Uuid& id) {
    return std::string(approvals_->Get(id).value().value().StateName(approvals_->Now()));
  }
  // One that was executed and left `result`.
  Uuid Execute(std::string_view result) {
    const Uuid id = Ask();
    const Approval claimed = approvals_->Claim(id, kBob).value();
    EXPECT_THAT(approvals_->Finish(claimed, {.status = 200, .result = result}), IsOk());
    return id;
  }

  ApprovalsOptions options_;
  std::unique_ptr<Approvals> approvals_;
};

TEST_F(ApprovalsTest, ARequestWaitsUnchanged) {
  const Uuid id = Ask();
  Start();

  KMS_ASSERT_OK_AND_ASSIGN(const std::optional<Approval> kept, approvals_->Get(id));

  ASSERT_TRUE(kept.has_value());
  EXPECT_EQ(kept->StateName(approvals_->Now()), "pending");
  EXPECT_EQ(kept->demand.policy_path, "prod/keys/app/trim");
  EXPECT_EQ(AsText(kept->demand.body.View()), R"({"min_available_version":2})");
  EXPECT_EQ(kept->demand.Digest(), Trim().Digest());
  EXPECT_EQ(kept->requester.actor, "entity-a");
  EXPECT_EQ(kept->expires_unix_seconds - kept->created_unix_seconds, 24 * 3600);
}

TEST_F(ApprovalsTest, ApprovedByAnotherItIsExecutedAndEnds) {
  const Uuid id = Ask();
  KMS_ASSERT_OK_AND_ASSIGN(const Approval claimed, approvals_->Claim(id, kBob));
  EXPECT_EQ(StateOf(id), "approved");
  EXPECT_EQ(claimed.approver.accessor, "acc-b");

  ASSERT_THAT(approvals_->Finish(claimed, {.status = 204}), IsOk());

  EXPECT_EQ(StateOf(id), "executed");
  EXPECT_THAT(approvals_->TakeResult(id), HasError(ErrorCode::kNotFound));
}

TEST_F(ApprovalsTest, AnExecutionThatAnswersAnErrorHasFailed) {
  const Uuid id = Ask();
  const Approval claimed = approvals_->Claim(id, kBob).value();
  ASSERT_THAT(approvals_->Finish(claimed, {.status = 403}), IsOk());
  EXPECT_EQ(StateOf(id), "failed");
  EXPECT_THAT(approvals_->Claim(id, kBob), HasError(ErrorCode::kInvalidArgument));
}

// ---- two people ---------------------------------------------------------------------------------

TEST_F(ApprovalsTest, U25_TheRequesterApprovesNothingOfTheirOwn) {
  const Uuid id = Ask();
  const ApprovalParty other_token{.actor = "entity-a", .accessor = "acc-9", .display_name = "x"};
  const ApprovalParty other_actor{.actor = "entity-9", .accessor = "acc-a", .display_name = "x"};
  for (const ApprovalParty& party : {kAlice, other_token, other_actor}) {
    EXPECT_THAT(approvals_->Claim(id, party), HasError(ErrorCode::kPermissionDenied));
  }
  EXPECT_EQ(StateOf(id), "pending");
}

TEST_F(ApprovalsTest, U25_WhoCannotBeNamedTakesNoPart) {
  const ApprovalParty no_accessor{.actor = "entity-b", .accessor = "", .display_name = "batch"};
  const ApprovalParty no_actor{.actor = "", .accessor = "acc-b", .display_name = "x"};
  const Uuid id = Ask();
  for (const ApprovalParty& party : {no_accessor, no_actor}) {
    EXPECT_THAT(approvals_->Create(Trim(), party), HasError(ErrorCode::kInvalidArgument));
    EXPECT_THAT(approvals_->Claim(id, party), HasError(ErrorCode::kInvalidArgument));
  }
}

TEST_F(ApprovalsTest, U25_OfTwoApprovalsThatRaceOneExecutes) {
  const Uuid id = Ask();
  std::atomic<int> claimed{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 50; ++i) {
    threads.emplace_back([&, i] {
      const ApprovalParty party{.actor = "entity-" + std::to_string(i),
                                .accessor = "acc-" + std::to_string(i),
                                .display_name = "x"};
      const Result<Approval> mine = approvals_->Claim(id, party);
      claimed += mine ? 1 : 0;
      EXPECT_TRUE(mine || mine.error().code == ErrorCode::kInvalidArgument);
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(claimed, 1);
}

TEST_F(ApprovalsTest, U25_AReplayExecutesNothing) {
  const Uuid done = Execute({});
  EXPECT_THAT(approvals_->Claim(done, kBob),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("it is executed")));
  const Uuid cancelled = Ask();
  ASSERT_THAT(approvals_->Cancel(cancelled, kAlice), IsOk());
  EXPECT_THAT(approvals_->Claim(cancelled, kBob),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("it is cancelled")));
  EXPECT_THAT(approvals_->Cancel(cancelled, kAlice), HasError(ErrorCode::kInvalidArgument));
}

TEST_F(ApprovalsTest, U25_WhatACrashInterruptedIsNeverExecutedAgain) {
  const Uuid id = Ask();
  ASSERT_THAT(approvals_->Claim(id, kBob), IsOk());
  Start();  // the process died while it executed

  EXPECT_EQ(StateOf(id), "approved");
  EXPECT_THAT(approvals_->Claim(id, kBob), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(approvals_->Cancel(id, kAlice), HasError(ErrorCode::kInvalidArgument));
}

TEST_F(ApprovalsTest, U25_TheStoredRequestCannotBeChanged) {
  Approval approval;
  approval.id = Uuid::Random();
  approval.demand = Trim();
  approval.requester = kAlice;
  const SecretBytes good = approval.Encode().value();
  ASSERT_THAT(Approval::Decode(good.View()), IsOk());
  // The last bytes are the body's: another version to trim to.
  Bytes altered = CopyOf(good.View());
  altered[altered.size() - 2] = '9';
  EXPECT_THAT(Approval::Decode(altered), HasError(ErrorCode::kCorrupted));
}

TEST_F(ApprovalsTest, AnIdThatDoesNotExistIsNotFound) {
  EXPECT_THAT(approvals_->Claim(Uuid::Random(), kBob), HasError(ErrorCode::kNotFound));
  EXPECT_THAT(approvals_->Cancel(Uuid::Random(), kBob), HasError(ErrorCode::kNotFound));
  EXPECT_THAT(approvals_->TakeResult(Uuid::Random()), HasError(ErrorCode::kNotFound));
}

TEST_F(ApprovalsTest, ARequestExpiresUnused) {
  const Uuid id = Ask();
  clock_.Advance(std::chrono::hours(24) - std::chrono::seconds(1));
  EXPECT_EQ(StateOf(id), "pending");
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(StateOf(id), "expired");
  EXPECT_THAT(approvals_->Claim(id, kBob),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("it is expired")));
}

// ---- how many -----------------------------------------------------------------------------------

TEST_F(ApprovalsTest, TheSameRequestAgainIsTheSameRequest) {
  const Uuid id = Ask();
  EXPECT_EQ(Ask(), id);
  EXPECT_NE(Ask("{}"), id);
  ASSERT_THAT(approvals_->Claim(id, kBob), IsOk());
  EXPECT_NE(Ask(), id);  // that one is decided
}

TEST_F(ApprovalsTest, EveryPartOfARequestTellsItFromAnother) {
  const auto with = [](const std::function<void(ApprovalDemand&)>& change) {
    ApprovalDemand demand = Trim();
    change(demand);
    return demand.Digest();
  };
  const Sha256Digest original = Trim().Digest();
  EXPECT_EQ(with([](ApprovalDemand&) {}), original);
  const std::vector<std::function<void(ApprovalDemand&)>> changes = {
      [](ApprovalDemand& d) { d.action = GuardedAction::kDelete; },
      [](ApprovalDemand& d) { d.environment = "dev"; },
      [](ApprovalDemand& d) { d.environment_id = Uuid::Random(); },
      [](ApprovalDemand& d) { d.key_name = "other"; },
      [](ApprovalDemand& d) { d.key = Uuid::Random(); },
      [](ApprovalDemand& d) { d.method = "DELETE"; },
      [](ApprovalDemand& d) { d.path = "/v1/prod/keys/b/trim"; },
      [](ApprovalDemand& d) { d.policy_path = "prod/keys/b/trim"; },
      [](ApprovalDemand& d) { d.capability = Capability::kDelete; },
      [](ApprovalDemand& d) { d.query = "a=b"; },
      [](ApprovalDemand& d) { d.wrap_ttl = "60s"; },
      [](ApprovalDemand& d) { d.body.Reset(0); },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    EXPECT_NE(with(changes[i]), original) << i;
  }
}

TEST_F(ApprovalsTest, OneRequesterCannotFillTheList) {
  options_.max_pending_per_actor = 3;
  Start();
  for (int i = 0; i < 3; ++i) {
    Ask(std::to_string(i));
  }
  EXPECT_THAT(approvals_->Create(Trim("more"), kAlice), HasError(ErrorCode::kResourceExhausted));
  EXPECT_THAT(approvals_->Create(Trim("0"), kAlice), IsOk());  // waits already
  EXPECT_THAT(approvals_->Create(Trim("more"), kBob), IsOk());
  clock_.Advance(std::chrono::hours(24));
  EXPECT_THAT(approvals_->Create(Trim("more"), kAlice), IsOk());
}

TEST_F(ApprovalsTest, RefusesABodyThatIsTooLarge) {
  const std::string large(kMaxApprovalBodyBytes + 1, 'x');
  EXPECT_THAT(approvals_->Create(Trim(large), kAlice), HasError(ErrorCode::kInvalidArgument));
}

TEST_F(ApprovalsTest, ListsTheNewestFirst) {
  const Uuid first = Ask("1");
  clock_.Advance(std::chrono::seconds(5));
  const Uuid second = Ask("2");
  const std::vector<Approval> all = approvals_->List().value();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].id, second);
  EXPECT_EQ(all[1].id, first);
}

// ---- results ------------------------------------------------------------------------------------

TEST_F(ApprovalsTest, AResultIsReadOnce) {
  const Uuid id = Execute("the key");
  Start();
  EXPECT_TRUE(approvals_->Get(id).value()->has_result);
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes result, approvals_->TakeResult(id));
  EXPECT_EQ(AsText(result.View()), "the key");
  EXPECT_FALSE(approvals_->Get(id).value()->has_result);
  EXPECT_THAT(approvals_->TakeResult(id), HasError(ErrorCode::kNotFound));
}

TEST_F(ApprovalsTest, OneOf50ThreadsGetsTheResult) {
  const Uuid id = Execute("the key");
  std::atomic<int> got{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 50; ++i) {
    threads.emplace_back([&] { got += approvals_->TakeResult(id) ? 1 : 0; });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(got, 1);
}

TEST_F(ApprovalsTest, AResultExpires) {
  const Uuid id = Execute("the key");
  clock_.Advance(std::chrono::hours(24));
  EXPECT_THAT(approvals_->TakeResult(id), HasError(ErrorCode::kNotFound));
}

TEST_F(ApprovalsTest, AResultThatIsTooLargeIsNotKept) {
  const Uuid id = Execute(std::string(kMaxApprovalResultBytes + 1, 'x'));
  EXPECT_EQ(StateOf(id), "executed");
  EXPECT_FALSE(approvals_->Get(id).value()->has_result);
}

// ---- failures -----------------------------------------------------------------------------------

TEST_F(ApprovalsTest, ALostCommitIsItsOwn) {
  store_.LoseNextCommitAnswer();
  const Uuid id = Ask();
  store_.LoseNextCommitAnswer();
  KMS_ASSERT_OK_AND_ASSIGN(const Approval claimed, approvals_->Claim(id, kBob));
  store_.LoseNextCommitAnswer();
  ASSERT_THAT(approvals_->Finish(claimed, {.status = 200, .result = "r"}), IsOk());
  store_.LoseNextCommitAnswer();
  EXPECT_THAT(approvals_->TakeResult(id), IsOk());
  EXPECT_THAT(approvals_->TakeResult(id), HasError(ErrorCode::kNotFound));
}

TEST_F(ApprovalsTest, ACommitThatDidNotHappenChangesNothing) {
  const Uuid id = Ask();
  store_.FailCommit(1, ErrorCode::kOutcomeUnknown);
  EXPECT_THAT(approvals_->Claim(id, kBob), HasError(ErrorCode::kUnavailable));
  EXPECT_EQ(StateOf(id), "pending");
  EXPECT_THAT(approvals_->Claim(id, kBob), IsOk());
}

TEST_F(ApprovalsTest, ClaimingSurvivesEveryStoreFault) {
  Uuid id;
  testing::FailEachCall({
      .arrange =
          [&](int n) {
            store_.Heal();
            id = Ask(std::to_string(n));
            store_.FailCall(n);
          },
      .run = [&]() -> Status {
        KMS_TRY(approvals_->Claim(id, kBob));
        return Ok();
      },
      .check =
          [&](const Status& outcome) {
            store_.Heal();
            EXPECT_EQ(StateOf(id), outcome ? "approved" : "pending");
          },
  });
}

TEST_F(ApprovalsTest, FinishingSurvivesEveryStoreFault) {
  std::optional<Approval> claimed;
  testing::FailEachCall({
      .arrange =
          [&](int n) {
            store_.Heal();
            const Uuid id = Ask(std::to_string(n));
            claimed = approvals_->Claim(id, kBob).value();
            store_.FailCall(n);
          },
      .run = [&] { return approvals_->Finish(*claimed, {.status = 200, .result = "r"}); },
      .check =
          [&](const Status& outcome) {
            store_.Heal();
            EXPECT_EQ(StateOf(claimed->id), outcome ? "executed" : "approved");
            EXPECT_EQ(approvals_->TakeResult(claimed->id).has_value(), outcome.has_value());
            EXPECT_THAT(approvals_->Claim(claimed->id, kBob),
                        HasError(ErrorCode::kInvalidArgument));
          },
  });
}

TEST_F(ApprovalsTest, OnlyWhoClaimedFinishes) {
  const Uuid id = Ask();
  Approval claimed = approvals_->Claim(id, kBob).value();
  claimed.claim = Uuid::Random();
  EXPECT_THAT(approvals_->Finish(claimed, {.status = 200}), HasError(ErrorCode::kInternal));
  EXPECT_EQ(StateOf(id), "approved");
}

// ---- tidying ------------------------------------------------------------------------------------

TEST_F(ApprovalsTest, TidyingTakesResultsFirstAndRequestsLater) {
  const Uuid id = Execute("the key");
  const auto never = [] { return false; };
  EXPECT_THAT(approvals_->Tidy(never), IsOkAndHolds(std::size_t{0}));
  clock_.Advance(std::chrono::hours(24));
  EXPECT_THAT(approvals_->Tidy(never), IsOkAndHolds(std::size_t{1}));
  EXPECT_EQ(StateOf(id), "executed");
  EXPECT_FALSE(approvals_->Get(id).value()->has_result);
  EXPECT_THAT(Paths(), ::testing::ElementsAre("approvals/" + id.ToString()));
  clock_.Advance(std::chrono::hours(24 * 30));
  EXPECT_THAT(approvals_->Tidy(never), IsOkAndHolds(std::size_t{1}));
  EXPECT_TRUE(Paths().empty());
}

// ---- the stored form ----------------------------------------------------------------------------

Approval Sample() {
  Approval approval;
  approval.id = kKeyId;
  approval.stage = ApprovalStage::kExecuted;
  approval.demand = Trim("{}");
  approval.requester = kAlice;
  approval.approver = kBob;
  approval.claim = kEnvironmentId;
  approval.created_unix_seconds = 1;
  approval.expires_unix_seconds = 2;
  approval.decided_unix_seconds = 3;
  approval.status = 200;
  approval.has_result = true;
  return approval;
}

TEST(ApprovalRecord, IsTheFrozenFormat1) {
  const SecretBytes encoded = Sample().Encode().value();
  EXPECT_EQ(HexEncode(encoded.View()),
            "4101"
            "03"
            "00112233445546778899aabbccddeeff"
            "6f0c8d6a6f0e4f1c9b1e0a4f1d0f8f11"
            "0000000000000001"
            "0000000000000002"
            "0000000000000003"
            "000000c8"
            "01"
            "00000008"
            "656e746974792d61"
            "00000005"
            "6163632d61"
            "00000005"
            "616c696365"
            "00000008"
            "656e746974792d62"
            "00000005"
            "6163632d62"
            "00000003"
            "626f62"
            "02"
            "00000004"
            "70726f64"
            "6f0c8d6a6f0e4f1c9b1e0a4f1d0f8f11"
            "00000003"
            "617070"
            "00112233445546778899aabbccddeeff"
            "00000004"
            "504f5354"
            "00000016"
            "2f76312f70726f642f6b6579732f6170702f7472696d"
            "00000012"
            "70726f642f6b6579732f6170702f7472696d"
            "00000006"
            "757064617465"
            "00000000"
            "00000000"
            "00000001"
            "00000015"
            "6d696e5f617661696c61626c655f76657273696f6e"
            "00000001"
            "32"
            "01" +
                HexEncode(Sample().demand.Digest()) +
                "00000002"
                "7b7d");
  EXPECT_EQ(HexEncode(Sample().demand.Digest()),
            "94f44d19dbf27bccca94d8569f1098684373bb5d0cd7f428412e25d35b3c72cc");
}

TEST(ApprovalRecord, D24_RefusesWhatItDidNotWrite) {
  const SecretBytes encoded = Sample().Encode().value();
  const Bytes good = CopyOf(encoded.View());
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_THAT(Approval::Decode(ByteView{good}.first(size)), HasError(ErrorCode::kCorrupted));
  }
  for (const std::size_t at : {std::size_t{0}, std::size_t{1}, std::size_t{2}, good.size() - 1}) {
    Bytes altered = good;
    altered[at] ^= 0x40U;
    EXPECT_THAT(Approval::Decode(altered), HasError(ErrorCode::kCorrupted)) << at;
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_THAT(Approval::Decode(longer), HasError(ErrorCode::kCorrupted));
}

}  // namespace
}  // namespace kms
