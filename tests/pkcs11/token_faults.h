// SPDX-License-Identifier: Apache-2.0
// TokenFaults: a Token on SoftHSM behind the fault module, for tests of what goes wrong.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <vector>

#include "pkcs11/module.h"
#include "pkcs11/session.h"
#include "pkcs11/token.h"
#include "tests/support/faulty_module.h"
#include "tests/support/matchers.h"
#include "tests/support/softhsm_fixture.h"

namespace kms::pkcs11 {

inline Deadline InSeconds(int seconds) {
  return std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
}

inline TokenTimings QuickTimings() {
  TokenTimings timings;
  timings.first_backoff = std::chrono::milliseconds(10);
  timings.longest_backoff = std::chrono::milliseconds(50);
  timings.pin_poll_interval = std::chrono::milliseconds(10);
  timings.refused_pause = std::chrono::milliseconds(50);
  return timings;
}

class TokenFaults : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!::kms::testing::SoftHsmIsInstalled()) GTEST_SKIP() << "SoftHSM is not installed";
    world_ = std::make_unique<::kms::testing::SoftHsmToken>();
    ASSERT_TRUE(world_->ok());
    faults_ = std::make_unique<::kms::testing::FaultyModule>(world_->directory(),
                                                               ::kms::testing::kSoftHsmModule);
    options_ = world_->options();
    options_.module_path = faults_->path();
  }

  // Starts without waiting.
  void Start() {
    auto token = Token::Start(options_, QuickTimings());
    ASSERT_THAT(token, ::kms::testing::IsOk());
    token_ = std::move(*token);
  }
  void StartReady() {
    ASSERT_NO_FATAL_FAILURE(Start());
    ASSERT_THAT(token_->AwaitReady(InSeconds(20)), ::kms::testing::IsOk());
  }
  MasterKeyRecord MakeMaster() {
    auto record = token_->GenerateMasterKey(Uuid::Random(), 1, "master", InSeconds(10));
    EXPECT_THAT(record, ::kms::testing::IsOk());
    return record.value_or(MasterKeyRecord{});
  }
  Result<WrappedKey> Wrap(const MasterKeyRecord& master) {
    return token_->Wrap(master, key_, context_, InSeconds(10));
  }
  // Tries until it succeeds or `deadline` passes.
  bool WrapsBefore(const MasterKeyRecord& master, Deadline deadline) {
    while (std::chrono::steady_clock::now() < deadline) {
      IgnoreError(token_->AwaitReady(deadline), "the wrap tells");
      if (Wrap(master).has_value()) return true;
    }
    return false;
  }

  // Runs `act` with a logged-in session of SoftHSM itself. With a Token, they share the login.
  template <typename Act>
  void WithRawSession(Act act) {
    const bool alone = token_ == nullptr;
    KMS_ASSERT_OK_AND_ASSIGN(const auto module, Module::Load(::kms::testing::kSoftHsmModule));
    ASSERT_TRUE(module->Initialize("").ok());
    std::vector<TokenFacts> tokens;
    ASSERT_TRUE(module->ListTokens(tokens).ok());
    {
      KMS_ASSERT_OK_AND_ASSIGN(Session session, Session::Open(*module, tokens.front().slot));
      const SecretBytes pin = SecretBytes::CopyOf(AsBytes(::kms::testing::kTestPin)).value();
      if (alone) {
        ASSERT_TRUE(session.Login(CKU_USER, pin).ok());
      }
      act(session);
    }
    if (alone) {
      ASSERT_TRUE(module->Finalize().ok());
    }
  }
  void LogOutBehindItsBack() {
    WithRawSession([](Session& session) {
      EXPECT_EQ(session.module().functions().C_Logout(session.handle()), CKR_OK);
    });
  }
  std::vector<std::filesystem::path> ObjectFiles(bool token_objects) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(world_->tokens())) {
      const bool is_token = entry.path().filename() == "token.object";
      if (entry.path().extension() == ".object" && is_token == token_objects) {
        files.push_back(entry.path());
      }
    }
    return files;
  }

  std::unique_ptr<::kms::testing::SoftHsmToken> world_;
  std::unique_ptr<::kms::testing::FaultyModule> faults_;
  TokenOptions options_;
  std::unique_ptr<Token> token_;
  SecretBytes key_ = SecretBytes::CopyOf(Bytes(32, 7)).value();
  const Bytes context_ = {1, 2, 3};
};

}  // namespace kms::pkcs11
