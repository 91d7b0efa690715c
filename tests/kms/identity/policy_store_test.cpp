// SPDX-License-Identifier: Apache-2.0
#include "kms/identity/policy_store.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "kms/identity/built_in_policies.h"
#include "tests/fakes/fault_plan.h"
#include "tests/fakes/memory_store.h"
#include "tests/support/matchers.h"

namespace kms {
namespace {

using ::testing::ElementsAre;
using testing::FailEachCall;
using testing::HasError;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::MemoryStore;
using ::testing::Not;
using enum Capability;

constexpr std::string_view kReads = R"(path "a" { capabilities = ["read"] })";
constexpr std::string_view kUpdates = R"(path "a" { capabilities = ["update"] })";

IdentityName NameOf(std::string_view name) { return IdentityName::Parse(name).value(); }

class PolicyStoreTest : public ::testing::Test {
 protected:
  PolicyStoreTest() {
    EXPECT_THAT(keys_.Add(1, SecretBytes::CopyOf(Bytes(32, 0x11)).value()), IsOk());
    Reopen();
  }

  // As after a restart.
  void Reopen() {
    auto opened = PolicyStore::Open(sealed_);
    ASSERT_TRUE(opened.has_value()) << Describe(opened.error());
    policies_ = std::move(*opened);
  }
  Status Put(std::string_view name, std::string_view text) {
    return policies_->Put(NameOf(name), text);
  }
  [[nodiscard]] std::optional<std::string> TextOf(std::string_view name) const {
    const auto stored = policies_->Get(NameOf(name));
    return stored ? std::optional(stored->text) : std::nullopt;
  }
  [[nodiscard]] bool Allows(const std::vector<std::string>& names, std::string_view path,
                            Capability capability) const {
    return policies_->AclFor(names, {})->Decide(path, capability).allowed;
  }
  void Store(std::string_view name, ByteView bytes) {
    std::vector<SealedMutation> mutations;
    mutations.push_back({.path = "policies/" + std::string(name),
                         .value = SecretBytes::CopyOf(bytes).value(),
                         .expected_revision = {}});
    ASSERT_THAT(sealed_.Commit(std::move(mutations)), IsOk());
  }

  MemoryStore store_;
  EnvironmentKeyring keys_;
  SealedStore sealed_{store_, keys_, Uuid::Parse("6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11").value()};
  std::unique_ptr<PolicyStore> policies_;
};

TEST_F(PolicyStoreTest, BeginsWithWhatIsBuiltIn) {
  EXPECT_THAT(policies_->List(), ElementsAre("default", "root"));
  EXPECT_EQ(TextOf("root"), "");
  EXPECT_EQ(TextOf("default"), kDefaultPolicyText);
  EXPECT_EQ(TextOf("response-wrapping"), kResponseWrappingPolicyText);
  EXPECT_EQ(TextOf("app"), std::nullopt);
  EXPECT_TRUE(policies_->Exists("root"));
  EXPECT_TRUE(policies_->Exists("response-wrapping"));
  EXPECT_FALSE(policies_->Exists("app"));
  EXPECT_EQ(store_.commits(), 0);
}

TEST_F(PolicyStoreTest, TheDefaultPolicyLetsATokenLookAfterItself) {
  EXPECT_TRUE(Allows({"default"}, "auth/token/lookup-self", kRead));
  EXPECT_TRUE(Allows({"default"}, "auth/token/renew-self", kUpdate));
  EXPECT_TRUE(Allows({"default"}, "auth/token/revoke-self", kUpdate));
  EXPECT_TRUE(Allows({"default"}, "sys/capabilities-self", kUpdate));
  EXPECT_TRUE(Allows({"default"}, "sys/wrapping/unwrap", kUpdate));
  EXPECT_FALSE(Allows({"default"}, "auth/token/create", kUpdate));
  EXPECT_FALSE(Allows({"default"}, "sys/capabilities", kUpdate));
  EXPECT_FALSE(Allows({"default"}, "dev/keys/app", kRead));
  EXPECT_FALSE(Allows({"response-wrapping"}, "auth/token/lookup-self", kRead));
}

TEST_F(PolicyStoreTest, TheNameRootInASetAllowsNothing) {
  EXPECT_TRUE(policies_->AclFor({"root"}, {})->empty());
}

TEST_F(PolicyStoreTest, KeepsTheTextAsItWasWritten) {
  const std::string text = "# why\n" + std::string(kReads) + "\n\n";
  ASSERT_THAT(Put("app", text), IsOk());
  EXPECT_EQ(TextOf("app"), text);
  Reopen();
  EXPECT_EQ(TextOf("app"), text);
  EXPECT_THAT(policies_->List(), ElementsAre("app", "default", "root"));
  EXPECT_TRUE(Allows({"app"}, "a", kRead));
}

TEST_F(PolicyStoreTest, KeepsTheLargestDocument) {
  std::string text(kReads);
  text.append(kMaxPolicyBytes - text.size(), '\n');
  ASSERT_THAT(Put("app", text), IsOk());
  Reopen();
  EXPECT_EQ(TextOf("app"), text);
}

TEST_F(PolicyStoreTest, ListsMoreThanOnePage) {
  for (int number = 0; number < 300; ++number) {
    ASSERT_THAT(Put("p" + std::to_string(number), kReads), IsOk());
  }
  Reopen();
  EXPECT_EQ(policies_->List().size(), 302U);
}

TEST_F(PolicyStoreTest, RefusesWhatDoesNotParse) {
  ASSERT_THAT(Put("app", kReads), IsOk());
  EXPECT_THAT(
      Put("app", "path \"a\" {\n capabilities = [\"all\"] }"),
      HasError(ErrorCode::kInvalidArgument,
               HasSubstr("failed to parse policy: line 2: path \"a\": invalid capability")));
  EXPECT_EQ(TextOf("app"), kReads);
  EXPECT_TRUE(Allows({"app"}, "a", kRead));
}

TEST_F(PolicyStoreTest, U6_ProtectedPoliciesAreProtectedInEverySpelling) {
  for (const char* name :
       {"root", "Root", "ROOT", "response-wrapping", "Response-Wrapping", "control-group"}) {
    const std::string canonical = NameOf(name).text();
    EXPECT_THAT(Put(name, kReads), HasError(ErrorCode::kInvalidArgument,
                                            "cannot update \"" + canonical + "\" policy"));
    EXPECT_THAT(
        policies_->Delete(NameOf(name)),
        HasError(ErrorCode::kInvalidArgument, "cannot delete \"" + canonical + "\" policy"));
  }
  for (const char* name :
       {" root", "root ", "root\n", "ro ot", "root/", "r\xC3\xB6ot", "root%00"}) {
    EXPECT_FALSE(IdentityName::Parse(name).has_value()) << name;
  }
  EXPECT_FALSE(IdentityName::Parse(std::string_view("root\0", 5)).has_value());
}

TEST_F(PolicyStoreTest, TheDefaultPolicyMayBeRewrittenButNotDeleted) {
  ASSERT_THAT(Put("default", kReads), IsOk());
  EXPECT_THAT(policies_->Delete(NameOf("default")),
              HasError(ErrorCode::kInvalidArgument, "cannot delete default policy"));
  Reopen();
  EXPECT_EQ(TextOf("default"), kReads);
  EXPECT_FALSE(Allows({"default"}, "auth/token/lookup-self", kRead));
}

TEST_F(PolicyStoreTest, DeletesForGood) {
  ASSERT_THAT(Put("app", kReads), IsOk());
  ASSERT_THAT(policies_->Delete(NameOf("app")), IsOk());
  EXPECT_EQ(TextOf("app"), std::nullopt);
  EXPECT_FALSE(Allows({"app"}, "a", kRead));
  EXPECT_THAT(policies_->Delete(NameOf("app")), IsOk());
  Reopen();
  EXPECT_THAT(policies_->List(), ElementsAre("default", "root"));
}

// ---- sets of policies ---------------------------------------------------------------------------

TEST_F(PolicyStoreTest, ASetIsSharedAndEveryChangeMakesANewOne) {
  ASSERT_THAT(Put("app", kReads), IsOk());
  const std::uint64_t before = policies_->generation();
  const AclHandle first = policies_->AclFor({"app", "default"}, {});
  EXPECT_EQ(first, policies_->AclFor({"app", "default"}, {.entity_id = "someone"}));
  EXPECT_NE(first, policies_->AclFor({"app"}, {}));
  EXPECT_EQ(policies_->generation(), before);

  ASSERT_THAT(Put("app", kUpdates), IsOk());
  EXPECT_GT(policies_->generation(), before);
  EXPECT_FALSE(Allows({"app", "default"}, "a", kRead));
  EXPECT_TRUE(Allows({"app", "default"}, "a", kUpdate));
  EXPECT_TRUE(first->Decide("a", kRead).allowed) << "what was handed out lives on, stale";
}

TEST_F(PolicyStoreTest, ASetWithTemplatesIsNotShared) {
  ASSERT_THAT(Put("own", R"(path "a/{{identity.entity.id}}" { capabilities = ["read"] })"), IsOk());
  ASSERT_THAT(Put("context", R"(path "b" { capabilities = ["update"]
                                           required_context = "{{identity.entity.id}}" })"),
              IsOk());
  for (const char* who : {"one", "two"}) {
    const AclHandle acl = policies_->AclFor({"context", "own"}, {.entity_id = who});
    EXPECT_TRUE(acl->Decide("a/" + std::string(who), kRead).allowed);
    EXPECT_FALSE(acl->Decide("a/other", kRead).allowed);
    EXPECT_THAT(acl->Decide("b", kUpdate).rule->required_context, ElementsAre(who));
  }
}

TEST_F(PolicyStoreTest, NamesWithoutAPolicyAllowNothing) {
  ASSERT_THAT(Put("app", kReads), IsOk());
  EXPECT_TRUE(Allows({"app", "missing"}, "a", kRead));
  EXPECT_TRUE(policies_->AclFor({"missing"}, {})->empty());
  EXPECT_TRUE(policies_->AclFor({}, {})->empty());
}

// ---- failures -----------------------------------------------------------------------------------

TEST_F(PolicyStoreTest, FailedCallsChangeNothingInMemoryOrStore) {
  for (const bool deletes : {false, true}) {
    FailEachCall(
        {.arrange =
             [&](int n) {
               store_.Heal();
               ASSERT_THAT(Put("app", kReads), IsOk());
               store_.FailCall(n);
             },
         .run = [&] { return deletes ? policies_->Delete(NameOf("app")) : Put("app", kUpdates); },
         .check =
             [&](const Status& outcome) {
               store_.Heal();
               const auto in_memory = TextOf("app");
               EXPECT_EQ(in_memory == std::optional<std::string>(kReads), !outcome.has_value());
               Reopen();
               EXPECT_EQ(TextOf("app"), in_memory);
             }});
  }
}

TEST_F(PolicyStoreTest, AnUnknownOutcomeIsReadAgain) {
  store_.LoseNextCommitAnswer();
  EXPECT_THAT(Put("app", kReads), IsOk());
  EXPECT_TRUE(Allows({"app"}, "a", kRead));
  store_.FailCommit(1, ErrorCode::kOutcomeUnknown);
  EXPECT_THAT(Put("app", kUpdates), HasError(ErrorCode::kUnavailable));
  EXPECT_TRUE(Allows({"app"}, "a", kRead));
  store_.LoseNextCommitAnswer();
  EXPECT_THAT(policies_->Delete(NameOf("app")), IsOk());
  EXPECT_EQ(TextOf("app"), std::nullopt);
}

// What a policy without its deny would allow must not be allowed while nobody knows whether it has
// it.
TEST_F(PolicyStoreTest, SetsWithAPolicyThatNobodyCanReadAllowNothingUntilItCanBeRead) {
  ASSERT_THAT(Put("all", R"(path "*" { capabilities = ["read"] })"), IsOk());
  ASSERT_THAT(Put("app", kReads), IsOk());
  const std::uint64_t before = policies_->generation();
  store_.LoseNextCommitAnswer();
  store_.FailCall(2);  // the read after it
  EXPECT_THAT(Put("app", R"(path "a" { capabilities = ["deny"] })"),
              HasError(ErrorCode::kUnavailable));
  EXPECT_GT(policies_->generation(), before);

  store_.FailEverything();
  EXPECT_FALSE(Allows({"all", "app"}, "a", kRead));
  EXPECT_FALSE(Allows({"all", "app"}, "b", kRead));
  EXPECT_TRUE(Allows({"all"}, "b", kRead));
  store_.Heal();
  const std::uint64_t unknown = policies_->generation();
  EXPECT_TRUE(Allows({"all", "app"}, "b", kRead));
  EXPECT_FALSE(Allows({"all", "app"}, "a", kRead));
  EXPECT_GT(policies_->generation(), unknown);
}

TEST_F(PolicyStoreTest, OpenFailsWhenAnyOfItsReadsDoes) {
  ASSERT_THAT(Put("app", kReads), IsOk());
  FailEachCall({.arrange =
                    [&](int n) {
                      store_.Heal();
                      store_.FailCall(n);
                    },
                .run = [&]() -> Status {
                  KMS_TRY(PolicyStore::Open(sealed_));
                  return Ok();
                },
                .check = [](const Status&) {}});
}

TEST_F(PolicyStoreTest, DamagedRecordsAreCorruption) {
  const Bytes good = {'P', 1, 0, 0, 0, 1, '#'};
  Store("app", good);
  Reopen();
  EXPECT_EQ(TextOf("app"), "#");
  for (std::size_t size = 0; size < good.size(); ++size) {
    Store("app", ByteView(good).first(size));
    EXPECT_THAT(PolicyStore::Open(sealed_), HasError(ErrorCode::kCorrupted));
  }
  for (const Bytes& bad : {Bytes{'P', 2, 0, 0, 0, 1, '#'}, Bytes{'X', 1, 0, 0, 0, 1, '#'},
                           Bytes{'P', 1, 0, 0, 0, 1, '#', '#'}, Bytes{'P', 1, 0, 0, 0, 1, '@'}}) {
    Store("app", bad);
    EXPECT_THAT(PolicyStore::Open(sealed_), HasError(ErrorCode::kCorrupted));
  }
}

TEST_F(PolicyStoreTest, WritesTheFrozenFormat1) {
  ASSERT_THAT(Put("app", "# ok\n"), IsOk());
  const auto entry = sealed_.Get("policies/app");
  ASSERT_TRUE(entry.has_value() && entry->has_value());
  EXPECT_EQ(AsText((*entry)->value.View()), std::string_view("P\x01\0\0\0\x05# ok\n", 11));
}

// ---- threads ------------------------------------------------------------------------------------

TEST_F(PolicyStoreTest, ReadersSeeOneWholeStateWhileWritersChangeIt) {
  constexpr int kRounds = 200;
  ASSERT_THAT(Put("app", kReads), IsOk());
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (int round = 0; round < kRounds; ++round) {
      EXPECT_THAT(Put("app", round % 2 == 0 ? kUpdates : kReads), IsOk());
    }
    stop = true;
  });
  while (!stop) {
    const AclHandle acl = policies_->AclFor({"app"}, {});
    EXPECT_NE(acl->Decide("a", kRead).allowed, acl->Decide("a", kUpdate).allowed);
  }
  writer.join();
  EXPECT_EQ(TextOf("app"), kReads);
  EXPECT_TRUE(Allows({"app"}, "a", kRead));
}

}  // namespace
}  // namespace kms
