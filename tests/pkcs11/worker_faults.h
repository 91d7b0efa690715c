// SPDX-License-Identifier: Apache-2.0
// WorkerFaults: a WorkerDevice over a real worker process whose library is SoftHSM behind the fault
// module, for tests of what goes wrong.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "pkcs11/worker_device.h"
#include "tests/contract/master_key_device_contract.h"
#include "tests/support/faulty_module.h"
#include "tests/support/softhsm_fixture.h"

namespace kms::pkcs11 {

inline constexpr const char* kWorkerProgram = KMS_BINARY_DIR "/test_hsm_worker";

// Polls until `condition` holds; false after twenty seconds.
inline bool Eventually(const std::function<bool()>& condition) {
  const Deadline deadline = ::kms::testing::InSeconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) {
      return false;
    }
    std::this_thread::yield();
  }
  return true;
}

inline Deadline InMilliseconds(int count) {
  return std::chrono::steady_clock::now() + std::chrono::milliseconds(count);
}

// Workers of a token as it is.
inline WorkerOptions WorkerOptionsFor(const TokenOptions& token) {
  WorkerOptions options;
  options.program = kWorkerProgram;
  options.arguments = {};
  options.token = token;
  return options;
}

// Process ids of this process's children: the workers, unless a test starts others.
inline std::vector<pid_t> Workers() {
  std::vector<pid_t> pids;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream list(task.path() / "children");
    pid_t pid = 0;
    while (list >> pid) {
      pids.push_back(pid);
    }
  }
  return pids;
}

class WorkerFaults : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!::kms::testing::SoftHsmIsInstalled()) GTEST_SKIP() << "SoftHSM is not installed";
    ASSERT_TRUE(token_.ok());
    options_ = WorkerOptionsFor(token_.options());
    options_.token.module_path = module_.path();
  }

  // Starts with options_, without waiting.
  void Start() {
    auto device = WorkerDevice::Start(options_);
    ASSERT_THAT(device, ::kms::testing::IsOk());
    device_ = *std::move(device);
  }
  void StartReady() {
    ASSERT_NO_FATAL_FAILURE(Start());
    ASSERT_THAT(device_->AwaitReady(::kms::testing::InSeconds(20)), ::kms::testing::IsOk());
    auto master =
        device_->GenerateMasterKey(Uuid::Random(), 1, "kms-test-1", ::kms::testing::InSeconds(20));
    ASSERT_THAT(master, ::kms::testing::IsOk());
    master_ = *std::move(master);
  }
  void StartReady(std::chrono::milliseconds stuck_call_grace) {
    options_.stuck_call_grace = stuck_call_grace;
    StartReady();
  }
  Status Check(Deadline deadline = ::kms::testing::InSeconds(20)) {
    return device_->CheckSentinel(master_, deadline);
  }
  // Tries until the sentinel opens; false after twenty seconds.
  bool Heals() {
    return Eventually([this] { return Check(::kms::testing::InSeconds(2)).has_value(); });
  }
  Result<WrappedKey> Wrap(const SecretBytes& key) {
    return device_->Wrap(master_, key, {}, ::kms::testing::InSeconds(20));
  }

  ::kms::testing::SoftHsmToken token_;
  ::kms::testing::FaultyModule module_{token_.directory(), ::kms::testing::kSoftHsmModule};
  WorkerOptions options_;
  std::unique_ptr<WorkerDevice> device_;
  MasterKeyRecord master_;
};

}  // namespace kms::pkcs11
