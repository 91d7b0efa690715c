// SPDX-License-Identifier: Apache-2.0
// The promises of EpochCounter, on the fake, on real tokens, through a worker and where a token
// takes no data objects.
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <functional>

#include "pkcs11/epoch_object.h"
#include "pkcs11/token.h"
#include "pkcs11/worker_device.h"
#include "tests/fakes/fake_master_key_device.h"
#include "tests/support/matchers.h"
#include "tests/support/softhsm_fixture.h"

namespace kms::pkcs11 {
namespace {

using ::testing::Eq;
using testing::FakeMasterKeyDevice;
using testing::HasError;
using testing::IsOk;
using testing::IsOkAndHolds;
using testing::SoftHsmToken;

constexpr const char* kNssModule = "/usr/lib/x86_64-linux-gnu/libsoftokn3.so";

Deadline InSeconds(int seconds) {
  return std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
}

// A token, and connections to it one after the other.
struct World {
  std::shared_ptr<void> keeps;
  std::function<std::unique_ptr<EpochCounter>()> connect;
};

std::unique_ptr<EpochCounter> ConnectToken(const TokenOptions& options) {
  auto token = Token::Start(options);
  EXPECT_THAT(token, IsOk());
  EXPECT_THAT((*token)->AwaitReady(InSeconds(20)), IsOk());
  return std::move(*token);
}

World FakeWorld() {
  auto token = std::make_shared<testing::FakeToken>();
  return {.keeps = token,
          .connect = [token] { return std::make_unique<FakeMasterKeyDevice>(token); }};
}

World SoftHsmWorld() {
  auto token = std::make_shared<SoftHsmToken>();
  return {.keeps = token, .connect = [token] { return ConnectToken(token->options()); }};
}

World WorkerWorld() {
  auto token = std::make_shared<SoftHsmToken>();
  return {.keeps = token, .connect = [token]() -> std::unique_ptr<EpochCounter> {
            WorkerOptions options;
            options.program = KMS_BINARY_DIR "/test_hsm_worker";
            options.arguments = {};
            options.token = token->options();
            auto device = WorkerDevice::Start(std::move(options));
            EXPECT_THAT(device, IsOk());
            EXPECT_THAT((*device)->AwaitReady(InSeconds(20)), IsOk());
            return std::move(*device);
          }};
}

World NssWorld() {
  auto directory = std::make_shared<testing::TemporaryDirectory>();
  const std::string pin_file = directory->path() + "/pin";
  testing::WriteTestFile(pin_file, testing::kTestPin);
  const std::string database = "sql:" + directory->path();
  EXPECT_EQ(std::system(("certutil -N -d " + database + " -f " + pin_file).c_str()), 0);
  TokenOptions options;
  options.module_path = kNssModule;
  options.module_init =
      "configdir='" + database + "' certPrefix='' keyPrefix='' secmod='secmod.db' flags=";
  options.token_label = "NSS Certificate DB";
  options.pin = {PinSource::Kind::kFile, pin_file};
  return {.keeps = directory, .connect = [options] { return ConnectToken(options); }};
}

struct Case {
  std::string name;
  World (*make)();
};
void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }

std::vector<Case> Cases() {
  std::vector<Case> cases = {{"Fake", FakeWorld}};
  if (testing::SoftHsmIsInstalled()) {
    cases.push_back({"SoftHsm", SoftHsmWorld});
    cases.push_back({"Worker", WorkerWorld});
  }
  if (std::filesystem::exists(kNssModule) && std::filesystem::exists("/usr/bin/certutil")) {
    cases.push_back({"Nss", NssWorld});
  }
  return cases;
}

class EpochCounterContract : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    world_ = GetParam().make();
    Reconnect();
  }
  void Reconnect() {
    counter_.reset();  // one connection to a module at a time
    counter_ = world_.connect();
    ASSERT_NE(counter_, nullptr);
  }
  Result<std::optional<std::uint64_t>> Read() { return counter_->ReadEpoch(id_, InSeconds(10)); }
  Result<std::uint64_t> Raise(std::uint64_t value) {
    return counter_->RaiseEpoch(id_, value, InSeconds(20));
  }

  World world_;
  std::unique_ptr<EpochCounter> counter_;
  const Uuid id_ = Uuid::Random();
};

using Epoch = std::optional<std::uint64_t>;

TEST_P(EpochCounterContract, ATokenHoldsNoneAtFirst) { EXPECT_THAT(Read(), IsOkAndHolds(Epoch())); }

TEST_P(EpochCounterContract, OnlyGrows) {
  EXPECT_THAT(Raise(41), IsOkAndHolds(41U));
  EXPECT_THAT(Raise(42), IsOkAndHolds(42U));
  EXPECT_THAT(Raise(7), IsOkAndHolds(42U));
  EXPECT_THAT(Raise(42), IsOkAndHolds(42U));
  EXPECT_THAT(Read(), IsOkAndHolds(Epoch(42U)));
  EXPECT_THAT(Raise(0xFFFFFFFFFFFFFFFFU), IsOkAndHolds(0xFFFFFFFFFFFFFFFFU));
}

TEST_P(EpochCounterContract, SurvivesTheConnection) {
  EXPECT_THAT(Raise(1'000'000), IsOk());
  Reconnect();
  EXPECT_THAT(Read(), IsOkAndHolds(Epoch(1'000'000U)));
  EXPECT_THAT(Raise(1'000'001), IsOkAndHolds(1'000'001U));
}

TEST_P(EpochCounterContract, IdsDoNotMix) {
  EXPECT_THAT(Raise(9), IsOk());
  EXPECT_THAT(counter_->ReadEpoch(Uuid::Random(), InSeconds(10)), IsOkAndHolds(Epoch()));
}

TEST_P(EpochCounterContract, IsDestroyedOnceAndForAll) {
  EXPECT_THAT(Raise(9), IsOk());
  EXPECT_THAT(counter_->DestroyEpoch(id_, InSeconds(10)), IsOk());
  EXPECT_THAT(Read(), IsOkAndHolds(Epoch()));
  EXPECT_THAT(counter_->DestroyEpoch(id_, InSeconds(10)), IsOk());
}

TEST_P(EpochCounterContract, ManyRaisesLeaveOneObject) {
  for (std::uint64_t value = 1; value <= 40; ++value) {
    ASSERT_THAT(Raise(value), IsOkAndHolds(value));
  }
  EXPECT_THAT(Read(), IsOkAndHolds(Epoch(40U)));
}

INSTANTIATE_TEST_SUITE_P(Each, EpochCounterContract, ::testing::ValuesIn(Cases()),
                         [](const auto& one) { return one.param.name; });

// What the token does itself, beside the service.
class EpochObjectTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::SoftHsmIsInstalled()) {
      GTEST_SKIP() << "SoftHSM is not installed";
    }
    counter_ = ConnectToken(token_.options());
  }
  std::vector<std::filesystem::path> ObjectFiles() {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(token_.tokens())) {
      if (entry.path().extension() == ".object" && entry.path().filename() != "token.object") {
        files.push_back(entry.path());
      }
    }
    return files;
  }

  SoftHsmToken token_;
  std::unique_ptr<EpochCounter> counter_;
  const Uuid id_ = Uuid::Random();
};

TEST_F(EpochObjectTest, D2_OfTwoObjectsThatACrashLeavesTheHigherOneCounts) {
  ASSERT_THAT(counter_->RaiseEpoch(id_, 5, InSeconds(10)), IsOk());
  std::vector<std::filesystem::path> files;
  for (const auto& file : ObjectFiles()) {
    std::filesystem::copy_file(file, file.string() + ".kept");
    files.push_back(file);
  }
  ASSERT_THAT(counter_->RaiseEpoch(id_, 6, InSeconds(10)), IsOk());
  counter_.reset();
  for (const auto& file : files) {  // the old one was never destroyed
    if (!std::filesystem::exists(file)) {
      std::filesystem::rename(file.string() + ".kept", file);
    }
  }
  counter_ = ConnectToken(token_.options());
  EXPECT_THAT(counter_->ReadEpoch(id_, InSeconds(10)),
              IsOkAndHolds(Eq(std::optional<std::uint64_t>(6U))));
  EXPECT_THAT(counter_->RaiseEpoch(id_, 7, InSeconds(10)), IsOkAndHolds(7U));
}

}  // namespace
}  // namespace kms::pkcs11
