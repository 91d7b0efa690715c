// SPDX-License-Identifier: Apache-2.0
// WorkerHealing: a worker whose token and module the test can reach behind its back, and load on
// it.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "pkcs11/module.h"
#include "pkcs11/session.h"
#include "tests/pkcs11/worker_faults.h"

namespace kms::pkcs11 {

// Calls from several threads, judged one by one.
class Load {
 public:
  Load(WorkerDevice& device, const MasterKeyRecord& master, int threads = 4) {
    for (int thread = 0; thread < threads; ++thread) {
      threads_.emplace_back([this, &device, &master] {
        while (!stop_) Once(device, master);
      });
    }
  }
  void End() {
    stop_ = true;
    threads_.clear();
  }

  std::atomic<int> right = 0;
  std::atomic<int> wrong = 0;
  std::atomic<int> failed = 0;

 private:
  void Once(WorkerDevice& device, const MasterKeyRecord& master) {
    const SecretBytes key = testing::RandomKey(32);
    const auto wrapped = device.Wrap(master, key, {}, testing::InSeconds(20));
    const auto opened = wrapped.has_value()
                            ? device.Unwrap(master, *wrapped, {}, testing::InSeconds(20))
                            : Result<SecretBytes>(wrapped.error());
    right += opened.has_value() && *opened == key ? 1 : 0;
    wrong += opened.has_value() && !(*opened == key) ? 1 : 0;
    failed += opened.has_value() ? 0 : 1;
  }

  std::atomic<bool> stop_ = false;
  std::vector<std::jthread> threads_;
};

class WorkerHealing : public WorkerFaults {
 protected:
  // Runs `act` on the token itself, with a logged-in session; the worker must be gone.
  template <typename Act>
  void WithRawSession(Act act) {
    ASSERT_EQ(device_, nullptr);
    ::setenv("SOFTHSM2_CONF", options_.token.softhsm_config.c_str(), 1);
    KMS_ASSERT_OK_AND_ASSIGN(const auto module, Module::Load(testing::kSoftHsmModule));
    ASSERT_TRUE(module->Initialize("").ok());
    std::vector<TokenFacts> tokens;
    ASSERT_TRUE(module->ListTokens(tokens).ok());
    {
      KMS_ASSERT_OK_AND_ASSIGN(Session session, Session::Open(*module, tokens.front().slot));
      const SecretBytes pin = SecretBytes::CopyOf(AsBytes(testing::kTestPin)).value();
      ASSERT_TRUE(session.Login(CKU_USER, pin).ok());
      act(session);
    }
    ASSERT_TRUE(module->Finalize().ok());
  }
  void StartAgain() {
    device_.reset();
    ASSERT_NO_FATAL_FAILURE(Start());
    ASSERT_THAT(device_->AwaitReady(testing::InSeconds(20)), testing::IsOk());
  }
  // SoftHSM's configuration with one more line, as of the next initialisation.
  void Configure(const std::string& line) {
    std::ofstream(options_.token.softhsm_config, std::ios::app) << line << "\n";
  }
  void KillWorkers() {
    for (const pid_t worker : Workers()) ::kill(worker, SIGKILL);
  }
};

}  // namespace kms::pkcs11
