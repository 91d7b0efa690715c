// SPDX-License-Identifier: Apache-2.0
#include "kms/identity/wrapped_responses.h"

#include <atomic>
#include <memory>
#include <thread>

#include "tests/fakes/fault_plan.h"
#include "tests/kms/identity/login_world.h"

namespace kms {
namespace {

using testing::HasError;
using testing::IsOk;

constexpr std::string_view kData = R"({"secret_id":"e5a1"})";
constexpr std::string_view kAuth = R"({"client_token":"t"})";
constexpr std::string_view kNotValid = "wrapping token is not valid or does not exist";

class WrappedResponsesTest : public testing::LoginWorld {
 protected:
  WrappedResponsesTest() { Start(); }

  // Again: as a restart does.
  void Start() {
    wrapped_.reset();
    tokens_.reset();
    policies_ = PolicyStore::Open(sys_).value();
    tokens_ = TokenStore::Open(sys_, *policies_, clock_, "root-token-of-the-test", {}).value();
    wrapped_ = std::make_unique<WrappedResponses>(sys_, *tokens_, clock_);
  }

  WrapRequest Request(std::int64_t ttl_seconds = 300) const {
    return {.response = {.data = kData, .auth = kAuth, .warnings = warnings_},
            .creation_path = "prod/datakey/plaintext/app",
            .environment = "prod",
            .wrapped_accessor = "acc",
            .ttl_seconds = ttl_seconds};
  }
  std::string WrapOne() { return TextOf(wrapped_->Wrap(Request()).value()); }
  static std::string TextOf(const WrapInfo& info) { return std::string(AsText(info.token.View())); }
  Status Open(std::string_view token, std::string_view name_space = {}) {
    const Result<UnwrappedResponse> opened = wrapped_->Unwrap(token, name_space);
    if (!opened) {
      return opened.error();
    }
    EXPECT_EQ(opened->content.data, kData);
    return Ok();
  }
  static auto IsNotValid() { return HasError(ErrorCode::kInvalidArgument, kNotValid); }
  std::size_t Entries() const {
    std::size_t count = 0;
    for (const std::string& path : Paths()) {
      count += path.starts_with("wrapped/") ? 1U : 0U;
    }
    return count;
  }

  const std::vector<std::string> warnings_ = {"mind the gap"};
  std::unique_ptr<PolicyStore> policies_;
  std::unique_ptr<TokenStore> tokens_;
  std::unique_ptr<WrappedResponses> wrapped_;
};

TEST_F(WrappedResponsesTest, AnAnswerComesBackWhole) {
  const WrapInfo info = wrapped_->Wrap(Request()).value();
  EXPECT_EQ(info.description.creation_path, "prod/datakey/plaintext/app");
  EXPECT_EQ(info.description.ttl_seconds, 300);
  EXPECT_EQ(info.description.creation_time, clock_.Now());

  KMS_ASSERT_OK_AND_ASSIGN(const UnwrappedResponse opened, wrapped_->Unwrap(TextOf(info), {}));

  EXPECT_EQ(opened.content.data, kData);
  EXPECT_EQ(opened.content.auth, kAuth);
  EXPECT_EQ(opened.content.warnings, warnings_);
  EXPECT_EQ(opened.description.accessor, info.description.accessor);
  EXPECT_EQ(opened.description.wrapped_accessor, "acc");
}

TEST_F(WrappedResponsesTest, AnAnswerOpensOnce) {
  const std::string token = WrapOne();
  EXPECT_THAT(Open(token), IsOk());
  EXPECT_THAT(Open(token), IsNotValid());
  EXPECT_THAT(wrapped_->Lookup(token, {}), IsNotValid());
  EXPECT_THAT(wrapped_->Rewrap(token, {}), IsNotValid());
}

TEST_F(WrappedResponsesTest, OneOf50ThreadsGetsTheAnswer) {
  const std::string token = WrapOne();
  std::atomic<int> got{0};
  std::atomic<int> refused{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 50; ++i) {
    threads.emplace_back([&] {
      const auto opened = wrapped_->Unwrap(token, {});
      (opened ? got : refused) += 1;
      EXPECT_TRUE(opened || opened.error().public_message == kNotValid);
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(got, 1);
  EXPECT_EQ(refused, 49);
}

TEST_F(WrappedResponsesTest, NodesThatShareAStoreGiveItToOneOfThem) {
  const std::string token = WrapOne();
  WrappedResponses other(sys_, *tokens_, clock_);
  std::atomic<int> got{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 20; ++i) {
    threads.emplace_back(
        [&, i] { got += (i % 2 == 0 ? *wrapped_ : other).Unwrap(token, {}) ? 1 : 0; });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(got, 1);
}

TEST_F(WrappedResponsesTest, OutlivesARestartAndIsStillReadOnce) {
  const std::string token = WrapOne();
  Start();
  EXPECT_THAT(Open(token), IsOk());
  Start();
  EXPECT_THAT(Open(token), IsNotValid());
}

TEST_F(WrappedResponsesTest, OpensNothingOnceItsTimeIsOver) {
  const std::string token = WrapOne();
  clock_.Advance(std::chrono::seconds(299));
  EXPECT_THAT(wrapped_->Lookup(token, {}), IsOk());
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_THAT(Open(token), IsNotValid());
}

TEST_F(WrappedResponsesTest, EveryOtherTokenIsRefusedAlike) {
  const std::string token = WrapOne();
  TokenGrant plain;
  plain.policies = {"default"};
  TokenGrant alike;  // has the policy, wraps nothing
  alike.policies = {std::string(kResponseWrappingPolicy)};
  for (const TokenGrant& grant : {plain, alike}) {
    const IssuedToken issued = tokens_->Issue(grant).value();
    EXPECT_THAT(Open(AsText(issued.token.View())), IsNotValid());
  }
  for (const std::string& wrong :
       {std::string(), std::string("hvs.x"), token.substr(0, token.size() - 1), token + "x",
        std::string(100'000, 'a'), std::string("root-token-of-the-test"), std::string("a\0b", 3)}) {
    EXPECT_THAT(Open(wrong), IsNotValid()) << wrong.size();
  }
  EXPECT_THAT(Open(token), IsOk());
}

TEST_F(WrappedResponsesTest, U21_AWrappingTokenIsGoodForNothingElse) {
  const std::string token = WrapOne();
  EXPECT_EQ(tokens_->FindWarm(token, {.address = "10.0.0.1"}), nullptr);
  KMS_ASSERT_OK_AND_ASSIGN(const PrincipalHandle principal,
                           tokens_->Authenticate(token, {.address = "10.0.0.1"}));
  EXPECT_FALSE(principal->is_root);
  EXPECT_FALSE(principal->renewable);
  EXPECT_TRUE(principal->orphan);
  EXPECT_EQ(principal->num_uses, 1);
  EXPECT_TRUE(principal->acl->Decide("sys/wrapping/unwrap", Capability::kUpdate).allowed);
  for (const char* path : {"sys/wrapping/wrap", "sys/wrapping/rewrap", "auth/token/lookup-self",
                           "auth/token/create", "auth/token/renew-self", "prod/keys/app",
                           "prod/encrypt/app", "sys/mounts", "sys/approvals"}) {
    for (const Capability capability :
         {Capability::kCreate, Capability::kRead, Capability::kUpdate, Capability::kDelete,
          Capability::kList, Capability::kSudo}) {
      EXPECT_FALSE(principal->acl->Decide(path, capability).allowed) << path;
    }
  }
  EXPECT_THAT(Open(token), IsOk());
}

TEST_F(WrappedResponsesTest, U4_AnAnswerOfOneEnvironmentIsNotHandedOutAtAnother) {
  const std::string token = WrapOne();
  EXPECT_THAT(Open(token, "dev"), IsNotValid());
  EXPECT_THAT(wrapped_->Lookup(token, "dev"), IsNotValid());
  EXPECT_THAT(wrapped_->Rewrap(token, "dev"), IsNotValid());
  EXPECT_THAT(Open(token, "prod"), IsOk());
}

TEST_F(WrappedResponsesTest, RevokingItsAccessorClosesIt) {
  const WrapInfo info = wrapped_->Wrap(Request()).value();
  ASSERT_THAT(tokens_->RevokeAccessor(info.description.accessor), IsOk());
  EXPECT_THAT(Open(TextOf(info)), IsNotValid());
}

TEST_F(WrappedResponsesTest, RewrappingKillsTheOldTokenAndStartsTheTimeAnew) {
  const WrapInfo info = wrapped_->Wrap(Request()).value();
  clock_.Advance(std::chrono::seconds(200));

  KMS_ASSERT_OK_AND_ASSIGN(const WrapInfo again, wrapped_->Rewrap(TextOf(info), "prod"));

  EXPECT_THAT(Open(TextOf(info)), IsNotValid());
  EXPECT_EQ(again.description.ttl_seconds, 300);
  EXPECT_EQ(again.description.creation_path, info.description.creation_path);
  EXPECT_EQ(again.description.creation_time, clock_.Now());
  EXPECT_NE(again.description.accessor, info.description.accessor);
  clock_.Advance(std::chrono::seconds(200));
  EXPECT_THAT(Open(TextOf(again)), IsOk());
}

TEST_F(WrappedResponsesTest, LookingDoesNotSpend) {
  const std::string token = WrapOne();
  for (int i = 0; i < 3; ++i) {
    KMS_ASSERT_OK_AND_ASSIGN(const WrapDescription found, wrapped_->Lookup(token, {}));
    EXPECT_EQ(found.creation_path, "prod/datakey/plaintext/app");
  }
  EXPECT_THAT(Open(token), IsOk());
}

TEST_F(WrappedResponsesTest, RefusesWhatIsTooLargeOrTooLong) {
  const std::string large(kMaxWrappedBytes + 1, 'x');
  WrapRequest request = Request();
  request.response.data = large;
  EXPECT_THAT(wrapped_->Wrap(request), HasError(ErrorCode::kInvalidArgument));
  for (const std::int64_t ttl : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{2'764'801},
                                 std::numeric_limits<std::int64_t>::max()}) {
    EXPECT_THAT(wrapped_->Wrap(Request(ttl)), HasError(ErrorCode::kInvalidArgument)) << ttl;
  }
  EXPECT_EQ(Entries(), 0U);
  request.response.data = std::string_view(large).substr(0, kMaxWrappedBytes - 100);
  EXPECT_THAT(wrapped_->Wrap(request), IsOk());
}

// ---- failures -----------------------------------------------------------------------------------

TEST_F(WrappedResponsesTest, ALostCommitOfAReaderIsItsOwn) {
  const std::string token = WrapOne();
  store_.LoseNextCommitAnswer();
  EXPECT_THAT(Open(token), IsOk());
  EXPECT_THAT(Open(token), IsNotValid());
}

TEST_F(WrappedResponsesTest, ACommitThatDidNotHappenLeavesTheAnswerThere) {
  const std::string token = WrapOne();
  store_.FailCommit(1, ErrorCode::kOutcomeUnknown);
  EXPECT_THAT(Open(token), HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(Open(token), IsOk());
}

TEST_F(WrappedResponsesTest, UnwrappingSurvivesEveryStoreFault) {
  std::string token;
  const int faults = testing::FailEachCall({
      .arrange =
          [&](int n) {
            store_.Heal();
            token = WrapOne();
            store_.FailCall(n);
          },
      .run = [&] { return Open(token); },
      .check =
          [&](const Status& outcome) {
            const bool met_none = outcome.has_value();
            store_.Heal();
            if (!met_none) {
              EXPECT_EQ(outcome.error().code, ErrorCode::kUnavailable);
              EXPECT_THAT(Open(token), IsOk()) << "neither read nor readable";
            }
            EXPECT_THAT(Open(token), IsNotValid());
          },
  });
  EXPECT_GE(faults, 3);  // the token, the answer, the commit
}

TEST_F(WrappedResponsesTest, RewrappingSurvivesEveryStoreFault) {
  std::string token;
  std::string moved;
  testing::FailEachCall({
      .arrange =
          [&](int n) {
            store_.Heal();
            token = WrapOne();
            moved.clear();
            store_.FailCall(n);
          },
      .run = [&]() -> Status {
        const WrapInfo info = KMS_TRY(wrapped_->Rewrap(token, {}));
        moved = TextOf(info);
        return Ok();
      },
      .check =
          [&](const Status&) {
            store_.Heal();
            EXPECT_THAT(Open(moved.empty() ? token : moved), IsOk());
            EXPECT_THAT(Open(token), IsNotValid());
          },
  });
}

TEST_F(WrappedResponsesTest, ALostCommitOfARewrapLeavesOneTokenGood) {
  const std::string token = WrapOne();
  // The first commit makes the token, the second moves the answer.
  const int before = store_.commits();
  KMS_ASSERT_OK_AND_ASSIGN(const WrapInfo first, wrapped_->Rewrap(token, {}));
  ASSERT_GE(store_.commits() - before, 2);
  store_.LoseNextCommitAnswer();
  const Result<WrapInfo> second = wrapped_->Rewrap(TextOf(first), {});
  EXPECT_THAT(Open(second ? TextOf(*second) : TextOf(first)), IsOk());
}

TEST_F(WrappedResponsesTest, WrappingSurvivesEveryStoreFault) {
  std::string token;
  testing::FailEachCall({
      .arrange =
          [&](int n) {
            store_.Heal();
            token.clear();
            store_.FailCall(n);
          },
      .run = [&]() -> Status {
        const WrapInfo info = KMS_TRY(wrapped_->Wrap(Request()));
        token = TextOf(info);
        return Ok();
      },
      .check =
          [&](const Status& outcome) {
            store_.Heal();
            EXPECT_EQ(outcome.has_value(), !token.empty());
            if (!token.empty()) {
              EXPECT_THAT(Open(token), IsOk());
            }
          },
  });
}

TEST_F(WrappedResponsesTest, D10_AnAlteredEntryIsNotBelieved) {
  const std::string token = WrapOne();
  for (const auto& [path, stored] : store_.Contents()) {
    if (path.find("/wrapped/") != std::string::npos) {
      Bytes altered = stored.value;
      altered.back() ^= 1U;
      store_.Tamper(path, altered);
    }
  }
  EXPECT_THAT(wrapped_->Unwrap(token, {}), HasError(ErrorCode::kCorrupted));
}

// ---- tidying ------------------------------------------------------------------------------------

TEST_F(WrappedResponsesTest, TidyingTakesWhatIsOverAndNothingElse) {
  const std::string read = WrapOne();
  ASSERT_THAT(Open(read), IsOk());
  const std::string kept = TextOf(wrapped_->Wrap(Request(3600)).value());
  clock_.Advance(std::chrono::seconds(300));

  EXPECT_THAT(wrapped_->Tidy([] { return false; }), testing::IsOkAndHolds(std::size_t{1}));

  EXPECT_EQ(Entries(), 1U);
  EXPECT_THAT(wrapped_->Tidy([] { return false; }), testing::IsOkAndHolds(std::size_t{0}));
  EXPECT_THAT(Open(kept), IsOk());
}

TEST_F(WrappedResponsesTest, TidyingStopsWhenAskedTo) {
  WrapOne();
  clock_.Advance(std::chrono::hours(1));
  EXPECT_THAT(wrapped_->Tidy([] { return true; }), testing::IsOkAndHolds(std::size_t{0}));
  EXPECT_EQ(Entries(), 1U);
}

// ---- the stored form ----------------------------------------------------------------------------

TEST_F(WrappedResponsesTest, ReadsTheFrozenFormat1) {
  TokenGrant grant;
  grant.policies = {std::string(kResponseWrappingPolicy)};
  grant.num_uses = 1;
  grant.renewable = false;
  const IssuedToken issued = tokens_->Issue(grant).value();
  const Bytes frozen = testing::BytesOfHex(
      "5701"
      "01"
      "00000000000000000000000000000000"
      "00000003"
      "616363"  // accessor "acc"
      "00000004"
      "70726f64"  // environment "prod"
      "00000005"
      "782f792f7a"  // creation path "x/y/z"
      "00000001"
      "77"  // wrapped accessor "w"
      "18867251edfa0000"
      "000000000000003c"  // created, ttl
      "000000006955b93c"  // expires
      "00000001"
      "00000002"
      "6869"  // one warning "hi"
      "00000007"
      "7b2261223a317d"
      "00000002"
      "7b7d");  // data {"a":1}, auth {}
  std::vector<SealedMutation> mutations;
  mutations.push_back({.path = "wrapped/" + HexEncode(issued.principal->id),
                       .value = SecretBytes::CopyOf(frozen).value(),
                       .expected_revision = std::nullopt});
  ASSERT_THAT(sys_.Commit(std::move(mutations)), IsOk());

  KMS_ASSERT_OK_AND_ASSIGN(const UnwrappedResponse opened,
                           wrapped_->Unwrap(AsText(issued.token.View()), {}));

  EXPECT_EQ(opened.content.data, R"({"a":1})");
  EXPECT_EQ(opened.content.auth, "{}");
  EXPECT_THAT(opened.content.warnings, ::testing::ElementsAre("hi"));
  EXPECT_EQ(opened.description.creation_path, "x/y/z");
  EXPECT_EQ(opened.description.wrapped_accessor, "w");
  EXPECT_EQ(opened.description.ttl_seconds, 60);
  EXPECT_EQ(ToUnixSeconds(opened.description.creation_time), 1767225600);
}

TEST_F(WrappedResponsesTest, WritesTheFrozenFormat1) {
  const WrapInfo info = wrapped_
                            ->Wrap({.response = {.data = "{}"},
                                    .creation_path = "p",
                                    .environment = {},
                                    .wrapped_accessor = {},
                                    .ttl_seconds = 1})
                            .value();
  const PrincipalHandle principal = tokens_->Lookup(AsText(info.token.View())).value();
  const auto entry = sys_.Get("wrapped/" + HexEncode(principal->id)).value();
  const std::string& accessor = info.description.accessor;
  EXPECT_EQ(HexEncode(entry->value.View()),
            "5701"
            "01"
            "00000000000000000000000000000000"
            "000000" +
                HexEncode(Bytes{static_cast<std::uint8_t>(accessor.size())}) +
                HexEncode(AsBytes(accessor)) +
                "00000000"
                "00000001"
                "70"
                "00000000"
                "18867251edfa0000"
                "0000000000000001"
                "000000006955b901"
                "00000000"
                "00000002"
                "7b7d"
                "00000000");
}

}  // namespace
}  // namespace kms
