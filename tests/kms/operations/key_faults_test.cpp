// SPDX-License-Identifier: Apache-2.0
// Every operation on a key, with each of its store calls failing in turn and with the answer of its
// commit lost: what was acknowledged before stays intact, and the operation can be repeated.
#include <functional>
#include <memory>

#include "tests/fakes/fault_plan.h"
#include "tests/kms/operations/key_world.h"

namespace kms {
namespace {

using testing::FailEachCall;
using testing::HasError;
using testing::IsOk;
using testing::KeyWorld;
using testing::Name;

struct KeyOperation {
  std::string name;
  std::function<void(KeyWorld&)> prepare;
  std::function<Status(KeyWorld&)> run;
  // Asserts what the finished operation leaves behind.
  std::function<void(KeyWorld&)> check_done;
};

Status Ignore(const Result<KeyHandle>& result) {
  return result.has_value() ? Ok() : Status(result.error());
}

std::vector<KeyOperation> Operations() {
  const auto four_versions = [](KeyWorld& world) { world.CreateVersions(4); };
  return {
      {.name = "Create",
       .prepare = [](KeyWorld&) {},
       .run = [](KeyWorld& world) -> Status {
         KMS_TRY(CreateKey(world.environment(), Name("app"), {}));
         return Ok();
       },
       .check_done =
           [](KeyWorld& world) {
             ASSERT_NE(world.Find(), nullptr);
             EXPECT_EQ(world.Find()->policy().latest_version, 1U);
           }},
      {.name = "Rotate",
       .prepare = four_versions,
       .run = [](KeyWorld& world) { return Ignore(RotateKey(world.environment(), Name("app"))); },
       .check_done =
           [](KeyWorld& world) { EXPECT_GE(world.Find()->policy().latest_version, 5U); }},
      {.name = "RaiseMinimum",
       .prepare = four_versions,
       .run = [](KeyWorld& world) { return world.Configure(3, 4); },
       .check_done =
           [](KeyWorld& world) { EXPECT_EQ(world.Find()->policy().min_decryption_version, 3U); }},
      {.name = "LowerMinimum",
       .prepare =
           [](KeyWorld& world) {
             world.CreateVersions(4);
             ASSERT_THAT(world.Configure(4, 4), IsOk());
           },
       .run = [](KeyWorld& world) { return world.Configure(1, 4); },
       .check_done =
           [](KeyWorld& world) { EXPECT_EQ(world.Find()->versions().size(), 4U); }},
      {.name = "Trim",
       .prepare =
           [](KeyWorld& world) {
             world.CreateVersions(4);
             ASSERT_THAT(world.Configure(3, 3), IsOk());
           },
       .run = [](KeyWorld& world) { return Ignore(TrimKey(world.environment(), Name("app"), 3)); },
       .check_done =
           [](KeyWorld& world) {
             EXPECT_EQ(world.Find()->policy().min_available_version, 3U);
             EXPECT_EQ(world.Stored("archive/").size(), 2U);
           }},
      {.name = "Delete",
       .prepare =
           [](KeyWorld& world) {
             world.CreateVersions(4);
             ASSERT_THAT(world.Configure(1, 0), IsOk());
           },
       .run = [](KeyWorld& world) { return DeleteKey(world.environment(), Name("app")); },
       .check_done =
           [](KeyWorld& world) {
             EXPECT_EQ(world.Find(), nullptr);
             EXPECT_TRUE(world.Stored("").empty());
           }},
  };
}

class KeyFaults : public ::testing::TestWithParam<KeyOperation> {
 protected:
  // What must hold after the operation, whatever came of it, for this process and for the next.
  static void ExpectIntact(KeyWorld& world) {
    for (const bool restart : {false, true}) {
      if (restart) {
        world.Restart();
      }
      if (!world.promises.empty() && world.Find() != nullptr) {
        world.ExpectPromisesKept();
      }
    }
  }

  // The operation is repeated on a healed store until it is done.
  static void ExpectRepeatable(KeyWorld& world, const Status& outcome) {
    if (!outcome.has_value()) {
      const Status again = GetParam().run(world);
      // A deletion that happened although it failed cannot be repeated, and says so.
      EXPECT_TRUE(again.has_value() || world.Find() == nullptr) << Describe(again.error());
    }
    GetParam().check_done(world);
    ExpectIntact(world);
  }

  static std::unique_ptr<KeyWorld> Prepared() {
    auto world = std::make_unique<KeyWorld>();
    GetParam().prepare(*world);
    world->Restart();
    return world;
  }
};

TEST_P(KeyFaults, D2_EachStoreCallMayFail) {
  for (const ErrorCode code : {ErrorCode::kUnavailable, ErrorCode::kCorrupted}) {
    std::unique_ptr<KeyWorld> world;
    FailEachCall({.arrange =
                      [&](int n) {
                        world = Prepared();
                        world->store.FailCall(n, code);
                      },
                  .run = [&] { return GetParam().run(*world); },
                  .check =
                      [&](const Status& outcome) {
                        world->store.Heal();
                        ExpectIntact(*world);
                        ExpectRepeatable(*world, outcome);
                      }});
  }
}

TEST_P(KeyFaults, D19_TheCommitsAnswerMayBeLost) {
  const std::unique_ptr<KeyWorld> world = Prepared();
  world->store.LoseNextCommitAnswer();

  EXPECT_THAT(GetParam().run(*world), IsOk());

  GetParam().check_done(*world);
  ExpectIntact(*world);
}

TEST_P(KeyFaults, D6_AFailedCommitIsNotTakenForOneThatHappened) {
  const std::unique_ptr<KeyWorld> world = Prepared();
  const auto before = world->Stored("");
  world->store.FailCommit(1, ErrorCode::kOutcomeUnknown);

  const Status outcome = GetParam().run(*world);

  EXPECT_THAT(outcome, HasError(ErrorCode::kUnavailable));
  EXPECT_EQ(world->Stored(""), before);
  ExpectIntact(*world);
  ExpectRepeatable(*world, outcome);
}

TEST_P(KeyFaults, D6_AnUnreadableStoreAfterAnUnknownCommitStaysUnknown) {
  const std::unique_ptr<KeyWorld> rehearsal = Prepared();
  const int before = rehearsal->store.calls();
  rehearsal->store.FailCommit(1, ErrorCode::kOutcomeUnknown);
  EXPECT_THAT(GetParam().run(*rehearsal), HasError(ErrorCode::kUnavailable));
  const int reread = rehearsal->store.calls() - before;  // the call that settles it comes last

  const std::unique_ptr<KeyWorld> world = Prepared();
  world->store.FailCommit(1, ErrorCode::kOutcomeUnknown);
  world->store.FailCall(reread);
  EXPECT_THAT(GetParam().run(*world), HasError(ErrorCode::kOutcomeUnknown));

  world->store.Heal();
  ExpectIntact(*world);
}

INSTANTIATE_TEST_SUITE_P(Operations, KeyFaults, ::testing::ValuesIn(Operations()),
                         [](const auto& parameter) { return parameter.param.name; });

TEST(KeyEntries, D9_SwappedBetweenNamesAreDamaged) {
  KeyWorld world;
  world.Create("a");
  world.Create("b");
  const Bytes a = world.store.Contents().at(world.Prefix() + "keys/a").value;
  world.store.Tamper(world.Prefix() + "keys/a",
                     world.store.Contents().at(world.Prefix() + "keys/b").value);
  world.store.Tamper(world.Prefix() + "keys/b", a);
  world.Create("c");
  world.Restart();

  for (const char* name : {"a", "b"}) {
    EXPECT_THAT(world.environment().FindKey(Name(name)),
                HasError(ErrorCode::kCorrupted, "damaged entry"));
    EXPECT_THAT(RotateKey(world.environment(), Name(name)), HasError(ErrorCode::kCorrupted));
  }
  EXPECT_NE(world.Find("c"), nullptr) << "a damaged neighbour harms nobody else";
}

TEST(KeyEntries, D32_HoldNoKeyBytes) {
  KeyWorld world;
  world.CreateVersions(3);
  std::vector<std::string> planted;
  for (const KeyVersion& version : world.Find()->versions()) {
    planted.emplace_back(AsText(version.material.View()));
    planted.emplace_back(AsText(version.hmac_key.View()));
  }

  for (const auto& [path, stored] : world.store.Contents()) {
    for (const std::string& secret : planted) {
      for (std::size_t offset = 0; offset + 8 <= secret.size(); ++offset) {
        ASSERT_EQ(AsText(stored.value).find(secret.substr(offset, 8)), std::string_view::npos)
            << path;
      }
    }
  }
}

}  // namespace
}  // namespace kms
