// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/environments.h"

#include <thread>

#include "tests/kms/operations/world.h"

namespace kms {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing::EnvName;
using testing::HasError;
using testing::IsOk;
using testing::To;
using testing::World;

class EnvironmentsTest : public ::testing::Test {
 protected:
  EnvironmentsTest() { world_.Start(); }

  World world_;
};

TEST_F(EnvironmentsTest, ANewStoreGetsSysAndNothingElse) {
  EXPECT_THAT(world_.environments().List(), IsEmpty());
  EXPECT_FALSE(world_.environments().sys()->sealed());
  EXPECT_THAT(world_.device.master_key_ids(), SizeIs(1));
  EXPECT_EQ(world_.MasterOf(*world_.environments().sys()).label, "kms/sys/1");
  EXPECT_EQ(world_.environments().Find("sys"), nullptr);
}

TEST_F(EnvironmentsTest, ARestartFindsEverythingAgain) {
  const Uuid id = world_.Make("prod")->identity().id;
  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle key, world_.MakeKey("prod", "app"));
  world_.Start();

  const auto found = world_.environments().Find("prod");
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->identity().id, id);
  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle again, world_.FindKey("prod", "app"));
  EXPECT_EQ(again->policy().incarnation, key->policy().incarnation);
  EXPECT_THAT(world_.device.master_key_ids(), SizeIs(2));
}

TEST_F(EnvironmentsTest, KeepsIdentityAndSettings) {
  CreateEnvironmentRequest request;
  request.settings = {.description = "payments",
                      .is_protected = true,
                      .disable_upsert = true,
                      .default_lease_ttl_seconds = 60,
                      .max_lease_ttl_seconds = 3600,
                      .options = {{"colour", "blue"}}};
  KMS_ASSERT_OK_AND_ASSIGN(const auto made,
                           world_.environments().Create(EnvName("team/prod"), request));
  const EnvironmentIdentity identity = made->identity();
  EXPECT_EQ(identity.created_unix_seconds, ToUnixSeconds(world_.clock.Now()));
  EXPECT_EQ(identity.accessor.size(), 16U);
  EXPECT_EQ(world_.MasterOf(*made).label, "kms/team/prod/1");
  world_.clock.Advance(std::chrono::hours(1));
  world_.Start();

  const auto found = world_.environments().Find("team/prod");
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->identity().accessor, identity.accessor);
  EXPECT_EQ(found->identity().created_unix_seconds, identity.created_unix_seconds);
  const EnvironmentSettings settings = found->settings();
  EXPECT_EQ(settings.description, "payments");
  EXPECT_TRUE(settings.is_protected && settings.disable_upsert);
  EXPECT_EQ(settings.default_lease_ttl_seconds, 60);
  EXPECT_EQ(settings.max_lease_ttl_seconds, 3600);
  EXPECT_EQ(settings.options, (std::map<std::string, std::string>{{"colour", "blue"}}));
}

TEST_F(EnvironmentsTest, FindsTheEnvironmentOfAPath) {
  world_.Make("prod");
  world_.Make("team/dev");
  const auto found = [&](std::string_view path) -> std::pair<std::string, std::string> {
    std::string_view rest;
    const auto environment = world_.environments().FindByPath(path, rest);
    return {environment == nullptr ? "" : environment->identity().name, std::string(rest)};
  };
  using Pair = std::pair<std::string, std::string>;

  EXPECT_EQ(found("prod/encrypt/app"), Pair("prod", "encrypt/app"));
  EXPECT_EQ(found("team/dev/keys"), Pair("team/dev", "keys"));
  EXPECT_EQ(found("prod"), Pair("prod", ""));
  EXPECT_EQ(found("prod/"), Pair("prod", ""));
  for (const char* none : {"", "/", "/prod/x", "production/x", "pro", "team", "team/",
                           "team//dev/x", "PROD/x", "sys/mounts", "x/prod/y"}) {
    EXPECT_EQ(found(none), Pair("", "")) << none;
  }
}

TEST_F(EnvironmentsTest, RefusesNamesInUseAndNestedOnes) {
  world_.Make("a/b");

  EXPECT_THAT(world_.environments().Create(EnvName("a/b"), {}),
              HasError(ErrorCode::kAlreadyExists, "path is already in use at a/b/"));
  EXPECT_THAT(world_.environments().Create(EnvName("a"), {}),
              HasError(ErrorCode::kInvalidArgument, "path is already in use at a/b/"));
  EXPECT_THAT(world_.environments().Create(EnvName("a/b/c"), {}),
              HasError(ErrorCode::kInvalidArgument, "path is already in use at a/b/"));
  EXPECT_THAT(world_.environments().Create(EnvName("a/bc"), {}), IsOk());
  EXPECT_THAT(world_.environments().Create(EnvName("ab"), {}), IsOk());
}

TEST_F(EnvironmentsTest, ListsByName) {
  for (const char* name : {"staging", "dev", "prod"}) {
    world_.Make(name);
  }
  std::vector<std::string> names;
  for (const auto& environment : world_.environments().List()) {
    names.push_back(environment->identity().name);
  }

  EXPECT_EQ(names, (std::vector<std::string>{"dev", "prod", "staging"}));
}

// Two administrators at once: one protects, the other describes; neither is undone.
TEST_F(EnvironmentsTest, ConcurrentTuningLosesNothing) {
  world_.Make("prod");
  constexpr int kRounds = 200;
  std::thread other([&] {
    for (int round = 0; round < kRounds; ++round) {
      EXPECT_THAT(world_.environments().Tune(EnvName("prod"),
                                             [&](EnvironmentSettings& settings) {
                                               settings.default_lease_ttl_seconds += 1;
                                               return Ok();
                                             }),
                  IsOk());
    }
  });
  for (int round = 0; round < kRounds; ++round) {
    EXPECT_THAT(world_.environments().Tune(EnvName("prod"),
                                           [&](EnvironmentSettings& settings) {
                                             settings.max_lease_ttl_seconds += 1;
                                             return Ok();
                                           }),
                IsOk());
  }
  other.join();
  const EnvironmentSettings settings = world_.environments().Find("prod")->settings();
  EXPECT_EQ(settings.default_lease_ttl_seconds, kRounds);
  EXPECT_EQ(settings.max_lease_ttl_seconds, kRounds);
}

TEST_F(EnvironmentsTest, AChangeThatFailsStoresNothing) {
  world_.Make("prod");
  EXPECT_THAT(world_.environments().Tune(EnvName("prod"),
                                         [](EnvironmentSettings& settings) -> Status {
                                           settings.is_protected = true;
                                           return InvalidArgument("no");
                                         }),
              HasError(ErrorCode::kInvalidArgument));
  EXPECT_FALSE(world_.environments().Find("prod")->settings().is_protected);
}

TEST_F(EnvironmentsTest, TuningIsStored) {
  world_.Make("prod");
  EnvironmentSettings settings;
  settings.description = "tuned";
  settings.is_protected = true;
  ASSERT_THAT(world_.environments().Tune(EnvName("prod"), To(settings)), IsOk());
  EXPECT_EQ(world_.environments().Find("prod")->settings().description, "tuned");
  world_.Start();

  EXPECT_TRUE(world_.environments().Find("prod")->settings().is_protected);
  EXPECT_THAT(world_.environments().Tune(EnvName("none"), To(settings)),
              HasError(ErrorCode::kNotFound, "no such environment"));
}

TEST_F(EnvironmentsTest, DeletionLeavesNothingBehind) {
  const auto before = world_.store.Contents();
  world_.Make("dev");
  ASSERT_THAT(world_.MakeKey("dev", "app"), IsOk());
  const auto dev = world_.environments().Find("dev");

  ASSERT_THAT(world_.environments().Delete(EnvName("dev")), IsOk());

  EXPECT_EQ(world_.environments().Find("dev"), nullptr);
  EXPECT_TRUE(dev->sealed());
  EXPECT_EQ(world_.store.Contents().size(), before.size());
  EXPECT_THAT(world_.device.master_key_ids(), SizeIs(1));
  EXPECT_THAT(world_.environments().Delete(EnvName("dev")), IsOk());
}

TEST_F(EnvironmentsTest, AProtectedEnvironmentSaysHowItCouldBeDeleted) {
  CreateEnvironmentRequest request;
  request.settings.is_protected = true;
  ASSERT_THAT(world_.environments().Create(EnvName("prod"), request), IsOk());

  EXPECT_THAT(world_.environments().Delete(EnvName("prod")),
              HasError(ErrorCode::kFailedPrecondition,
                       AllOf(HasSubstr("protected"), HasSubstr("sys/mounts/prod/tune"))));
  ASSERT_THAT(world_.environments().Tune(EnvName("prod"), To({})), IsOk());
  EXPECT_THAT(world_.environments().Delete(EnvName("prod")), IsOk());
}

TEST_F(EnvironmentsTest, AReCreatedEnvironmentIsAnother) {
  const Uuid first = world_.Make("dev")->identity().id;
  ASSERT_THAT(world_.MakeKey("dev", "app"), IsOk());
  ASSERT_THAT(world_.environments().Delete(EnvName("dev")), IsOk());

  EXPECT_NE(world_.Make("dev")->identity().id, first);
  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle none, world_.FindKey("dev", "app"));
  EXPECT_EQ(none, nullptr);
}

TEST_F(EnvironmentsTest, D9_WrapsDoNotOpenInAnotherEnvironment) {
  const auto path_of = [](const std::shared_ptr<Environment>& environment) {
    return WrappedPath(environment->identity().id, 1, kDefaultHsm, 1);
  };
  const auto dev = world_.Make("dev");
  const auto prod = world_.Make("prod");
  world_.store.Tamper(path_of(dev), world_.store.Contents().at(path_of(prod)).value);
  const auto master_of = [](const std::shared_ptr<Environment>& environment) {
    return MasterPath(environment->identity().id, kDefaultHsm, 1);
  };
  world_.store.Tamper(master_of(dev), world_.store.Contents().at(master_of(prod)).value);
  world_.Start();

  EXPECT_TRUE(world_.environments().Find("dev")->sealed());
  EXPECT_FALSE(world_.environments().Find("prod")->sealed());
}

TEST_F(EnvironmentsTest, D10_ADamagedListEntryKeepsItsNameAndHarmsNobody) {
  const auto dev = world_.Make("dev");
  world_.Make("prod");
  const std::string prefix = "e/" + world_.environments().sys()->identity().id.ToString();
  const std::string path = prefix + "/environments/dev";
  world_.store.Tamper(path, world_.store.Contents().at(prefix + "/environments/prod").value);
  world_.Start();
  world_.ProveLeases();

  EXPECT_THAT(world_.StatusOf("dev").reason, HasSubstr("damaged"));
  EXPECT_TRUE(world_.StatusOf("dev").sealed);
  EXPECT_FALSE(world_.StatusOf("prod").sealed);
  EXPECT_THAT(world_.environments().Create(EnvName("dev"), {}),
              HasError(ErrorCode::kAlreadyExists));
}

TEST_F(EnvironmentsTest, H11_AMissingMasterKeyIsNamedAndNeverMadeAgain) {
  const auto prod = world_.Make("prod");
  world_.Make("dev");
  world_.device.RemoveMasterKey(world_.MasterOf(*prod).id);
  world_.Start();
  world_.ProveLeases();

  const EnvironmentStatus status = world_.StatusOf("prod");
  EXPECT_TRUE(status.sealed);
  EXPECT_THAT(status.reason, AllOf(HasSubstr("environment prod"), HasSubstr("kms/prod/1"),
                                   HasSubstr("never made again")));
  EXPECT_EQ(status.master_key_label, "kms/prod/1");
  EXPECT_FALSE(world_.StatusOf("dev").sealed);
  EXPECT_THAT(world_.device.master_key_ids(), SizeIs(2));
}

TEST_F(EnvironmentsTest, H11_SysItselfIsNeverMadeAgain) {
  world_.device.RemoveMasterKey(world_.MasterOf(*world_.environments().sys()).id);

  EXPECT_THAT(world_.TryStart(),
              HasError(ErrorCode::kFailedPrecondition,
                       AllOf(HasSubstr("environment sys"), HasSubstr("never made again"))));
  EXPECT_THAT(world_.device.master_key_ids(), IsEmpty());
}

TEST_F(EnvironmentsTest, H11_AStoreWithoutItsFirstRecordIsNotTakenForANewOne) {
  world_.store.TamperDelete("root");

  EXPECT_THAT(world_.TryStart(), HasError(ErrorCode::kCorrupted, HasSubstr("backup")));
  EXPECT_THAT(world_.device.master_key_ids(), SizeIs(1));
}

TEST_F(EnvironmentsTest, H12_AnAmbiguousMasterKeySealsItsEnvironmentAlone) {
  world_.Make("dev");
  world_.Make("prod");
  // Opening asks for the wrap: of sys, of dev, of prod.
  world_.device.FailCall(2, FailedPrecondition("2 keys match id and label"));
  world_.Start();

  EXPECT_THAT(world_.StatusOf("dev").reason, HasSubstr("2 keys match"));
  EXPECT_FALSE(world_.StatusOf("prod").sealed);
}

TEST_F(EnvironmentsTest, H13_ADifferentMasterKeyOpensNothing) {
  const auto prod = world_.Make("prod");
  world_.Make("dev");
  world_.device.ReplaceMasterKey(world_.MasterOf(*prod).id);
  world_.Start();

  EXPECT_TRUE(world_.StatusOf("prod").sealed);
  EXPECT_THAT(world_.StatusOf("prod").reason, HasSubstr("not the recorded one"));
  EXPECT_THAT(world_.MakeKey("prod", "app"), HasError(ErrorCode::kUnavailable));
  EXPECT_FALSE(world_.StatusOf("dev").sealed);
}

TEST_F(EnvironmentsTest, H20_AWrapThatDoesNotOpenIsNotKept) {
  world_.device.CorruptNextWrap();

  EXPECT_THAT(world_.environments().Create(EnvName("dev"), {}),
              HasError(ErrorCode::kUnavailable, HasSubstr("does not open")));

  EXPECT_EQ(world_.environments().Find("dev"), nullptr);
  EXPECT_THAT(world_.environments().Create(EnvName("dev"), {}), IsOk());
  EXPECT_THAT(world_.device.master_key_ids(), SizeIs(2));
}

TEST_F(EnvironmentsTest, StartsSealedWithoutTheHsmAndOpensByItself) {
  world_.Make("prod");
  ASSERT_THAT(world_.MakeKey("prod", "app"), IsOk());
  world_.device.FailCall(2, Unavailable("HSM is away"));
  world_.Start();
  ASSERT_TRUE(world_.StatusOf("prod").sealed);
  EXPECT_THAT(world_.StatusOf("prod").reason, HasSubstr("opens by itself"));
  world_.device.ClearFaults();

  world_.ProveLeases();

  EXPECT_FALSE(world_.StatusOf("prod").sealed);
  EXPECT_THAT(world_.FindKey("prod", "app"), IsOk());
}

TEST_F(EnvironmentsTest, SysThatCannotOpenFailsTheStart) {
  world_.device.SetPresent(false);
  EXPECT_THAT(world_.TryStart(), HasError(ErrorCode::kUnavailable));
  world_.device.SetState(DeviceState::kLockedOut, "PIN was refused");
  EXPECT_THAT(world_.TryStart(), HasError(ErrorCode::kFailedPrecondition));
}

TEST_F(EnvironmentsTest, StatusesTellWhatOpensEachEnvironment) {
  world_.Make("prod");
  world_.clock.Advance(std::chrono::milliseconds(1500));

  const std::vector<EnvironmentStatus> statuses = world_.environments().Statuses();

  ASSERT_THAT(statuses, SizeIs(2));
  EXPECT_EQ(statuses[0].name, "sys");
  EXPECT_EQ(statuses[1].name, "prod");
  EXPECT_FALSE(statuses[1].sealed);
  EXPECT_EQ(statuses[1].reason, "");
  EXPECT_EQ(statuses[1].master_key_label, "kms/prod/1");
  EXPECT_EQ(statuses[1].master_key_version, 1U);
  EXPECT_EQ(statuses[1].environment_key_version, 1U);
  EXPECT_EQ(statuses[1].wrap_mechanism, "gcm-encrypt");
  EXPECT_EQ(statuses[1].lease_age_ms, 1500);
}

}  // namespace
}  // namespace kms
