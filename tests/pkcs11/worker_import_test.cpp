// SPDX-License-Identifier: Apache-2.0
// Import keys over a real worker process: what making them costs when the worker dies or the
// library takes its time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "pkcs11/oaep.h"
#include "pkcs11/worker_device.h"
#include "tests/support/faulty_module.h"
#include "tests/support/matchers.h"
#include "tests/support/softhsm_fixture.h"

namespace kms::pkcs11 {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::FaultyModule;
using testing::HasError;
using testing::IsOk;
using testing::SoftHsmToken;
using ::testing::HasSubstr;

constexpr HashAlgorithm kHash = HashAlgorithm::kSha2_256;

Deadline InSeconds(int seconds) { return steady_clock::now() + std::chrono::seconds(seconds); }

bool Eventually(const std::function<bool()>& condition) {
  const Deadline deadline = InSeconds(20);
  while (!condition()) {
    if (steady_clock::now() > deadline) {
      return false;
    }
    std::this_thread::yield();
  }
  return true;
}

class WorkerImportKeys : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(token_.ok()); }

  void StartReady(milliseconds stuck_call_grace = milliseconds(5000)) {
    WorkerOptions options;
    options.program = KMS_BINARY_DIR "/test_hsm_worker";
    options.arguments = {};
    options.token = token_.options();
    options.token.module_path = module_.path();
    options.stuck_call_grace = stuck_call_grace;
    auto device = WorkerDevice::Start(std::move(options));
    ASSERT_THAT(device, IsOk());
    device_ = *std::move(device);
    ASSERT_THAT(device_->AwaitReady(InSeconds(20)), IsOk());
  }
  Result<std::optional<ImportKeyRecord>> Generate(const Uuid& id, Deadline deadline) {
    return device_->GenerateImportKey(id, "import", deadline);
  }
  void ExpectOpens(const ImportKeyRecord& key) {
    const Bytes secret(32, 7);
    KMS_ASSERT_OK_AND_ASSIGN(const Bytes ciphertext, EncryptOaep(key.public_key, kHash, secret));
    KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes opened,
                             device_->DecryptImport(key, kHash, ciphertext, InSeconds(20)));
    EXPECT_TRUE(EqualInConstantTime(opened.View(), secret));
  }
  int KeysInToken() {
    int keys = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(token_.tokens())) {
      const std::filesystem::path& path = entry.path();
      keys += path.extension() == ".object" && path.filename() != "token.object" ? 1 : 0;
    }
    return keys;
  }

  SoftHsmToken token_;
  FaultyModule module_{token_.directory(), testing::kSoftHsmModule};
  std::unique_ptr<WorkerDevice> device_;
};

class WorkerImportKeySteps : public WorkerImportKeys,
                             public ::testing::WithParamInterface<const char*> {};

TEST_P(WorkerImportKeySteps, H25_AWorkerKilledWhileItMakesAKeyLeavesOneAndTheCallerSeesNothing) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  module_.SetRules(std::string(GetParam()) + " once signal=9");
  const auto made = Generate(Uuid::Random(), InSeconds(90));
  ASSERT_THAT(made, IsOk());
  ASSERT_TRUE(made->has_value());
  ExpectOpens(**made);
  EXPECT_EQ(KeysInToken(), 1);
  EXPECT_EQ(device_->Statistics().worker_restarts, 1U);
}

INSTANTIATE_TEST_SUITE_P(Killed, WorkerImportKeySteps,
                         ::testing::Values("C_GenerateKeyPair", "C_CopyObject", "C_DecryptInit"),
                         [](const auto& parameter) { return std::string(parameter.param); });

TEST_F(WorkerImportKeys, H6_SlowMakingWithinItsDeadlineCostsNoWorkerAndStopsNoCall) {
  ASSERT_NO_FATAL_FAILURE(StartReady(/*stuck_call_grace=*/milliseconds(50)));
  module_.SetRules("C_GenerateKeyPair hang");
  Result<std::optional<ImportKeyRecord>> made = Unavailable("not made yet");
  std::jthread maker([&] { made = Generate(Uuid::Random(), InSeconds(90)); });
  ASSERT_TRUE(Eventually([&] { return device_->Statistics().sessions_in_use > 0; }));
  EXPECT_THAT(device_->GenerateMasterKey(Uuid::Random(), 1, "meanwhile", InSeconds(20)), IsOk());
  EXPECT_THAT(Generate(Uuid::Random(), steady_clock::now() + milliseconds(50)),
              HasError(ErrorCode::kUnavailable, HasSubstr("another import key")));
  EXPECT_THAT(device_->Random(16, InSeconds(20)), IsOk());
  module_.SetRules("");
  maker.join();
  EXPECT_THAT(made, IsOk());
  EXPECT_EQ(device_->Statistics().worker_restarts, 0U);
}

TEST_F(WorkerImportKeys, H6_MakingThatNeverEndsCostsTheWorkerAndIsTakenUpAgain) {
  ASSERT_NO_FATAL_FAILURE(StartReady(/*stuck_call_grace=*/milliseconds(50)));
  const Uuid id = Uuid::Random();
  module_.SetRules("C_GenerateKeyPair hang");
  EXPECT_THAT(Generate(id, steady_clock::now() + milliseconds(300)),
              HasError(ErrorCode::kUnavailable));
  EXPECT_TRUE(Eventually([&] { return device_->Statistics().worker_restarts > 0; }));
  module_.SetRules("");
  const auto made = Generate(id, InSeconds(90));
  ASSERT_THAT(made, IsOk());
  ASSERT_TRUE(made->has_value());
  ExpectOpens(**made);
  EXPECT_EQ(KeysInToken(), 1);
}

}  // namespace
}  // namespace kms::pkcs11
