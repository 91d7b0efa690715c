// SPDX-License-Identifier: Apache-2.0
// TaskWorld: a service of two HSM tokens with an environment `prod` whose ciphertexts were
// acknowledged, and a runner of tasks over it that can be killed and started again.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "kms/operations/decrypt.h"
#include "kms/tasks/task_runner.h"
#include "tests/fakes/memory_audit_log.h"
#include "tests/kms/operations/key_world.h"
#include "tests/kms/operations/world.h"

namespace kms::testing {

class TaskWorld : public World {
 public:
  static constexpr std::size_t kKeys = 5;

  TaskWorld() {
    more.emplace("second", std::make_unique<FakeMasterKeyDevice>(SecondToken(), &clock));
    options.hsm_timeout = std::chrono::milliseconds(2000);
    task_options.max_failures = 0;
    task_options.first_pause = std::chrono::milliseconds(1);
    task_options.longest_pause = std::chrono::milliseconds(5);
    task_options.page = 4;
    task_options.audit = &audit;
  }

  // `prod` on both tokens, with keys and a promise under each.
  void Begin(std::vector<std::string> hsms = {"default", "second"}) {
    Start();
    CreateEnvironmentRequest request;
    request.hsms = std::move(hsms);
    ASSERT_THAT(environments().Create(EnvName("prod"), request), IsOk());
    for (std::size_t index = 0; index < kKeys; ++index) {
      const std::string name = "key" + std::to_string(index);
      ASSERT_THAT(MakeKey("prod", name), IsOk());
      Promise promise{.version = 1, .ciphertext = {}, .plaintext = "of " + name};
      ASSERT_THAT(EncryptUnder(prod(), name, promise.plaintext, promise.ciphertext), IsOk());
      promises.emplace_back(name, promise);
    }
    Run();
  }

  // A new process: whatever ran is cut short.
  void Restart() {
    runner.reset();
    Start();
    Run();
  }
  void Run() {
    Result<std::unique_ptr<TaskRunner>> opened =
        TaskRunner::Open(environments(), clock, task_options);
    ASSERT_THAT(opened, IsOk());
    runner = *std::move(opened);
    runner->Start();
  }
  void Stop() { runner.reset(); }

  Environment& prod() { return *environments().Find("prod"); }
  FakeMasterKeyDevice& second() { return *more.at("second"); }

  // As it is when it is over; as it is now when that takes too long.
  TaskRecord Await(const Uuid& id) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (std::chrono::steady_clock::now() < until) {
      const std::optional<TaskRecord> record = runner->Find(id);
      if (!record || record->state != TaskState::kRunning) {
        return record.value_or(TaskRecord{});
      }
      std::this_thread::yield();
    }
    ADD_FAILURE() << "the task does not end";
    return *runner->Find(id);
  }
  Result<TaskRecord> Submit(TaskKind kind, std::map<std::string, std::string> parameters = {}) {
    return runner->Submit({.kind = kind,
                           .environment = "prod",
                           .parameters = std::move(parameters),
                           .rate_limit = 0,
                           .asked_by = "root",
                           .accessor = "accessor"});
  }
  // Submits and waits; kDone is what everybody hopes for.
  TaskRecord Do(TaskKind kind, std::map<std::string, std::string> parameters = {}) {
    const Result<TaskRecord> record = Submit(kind, std::move(parameters));
    EXPECT_THAT(record, IsOk());
    return record.has_value() ? Await(record->id) : TaskRecord{};
  }

  // Everything that was acknowledged decrypts.
  void ExpectPromisesKept() {
    for (const auto& [name, promise] : promises) {
      const Result<KeyHandle> key = FindKey("prod", name);
      ASSERT_THAT(key, IsOk()) << name;
      PlaintextBuffer plaintext;
      ASSERT_THAT(
          Decrypt(**key, {.ciphertext = promise.ciphertext, .associated_data = {}}, plaintext),
          IsOk())
          << name;
      EXPECT_EQ(AsText(plaintext.View()), promise.plaintext);
    }
  }
  // All entries of `prod` are under this version, and no other is kept.
  void ExpectOnlyEnvironmentKey(EnvironmentKeyVersion version) {
    KMS_ASSERT_OK_AND_ASSIGN(const auto counts, environments().CountEntries("prod"));
    ASSERT_EQ(counts.size(), 1U);
    EXPECT_EQ(counts.begin()->first, version);
    KMS_ASSERT_OK_AND_ASSIGN(const GroupMaterial keys, environments().ReadKeys("prod"));
    EXPECT_EQ(keys.Versions(), std::vector<EnvironmentKeyVersion>{version});
  }

  MemoryAuditLog audit;
  TaskRunnerOptions task_options;
  std::unique_ptr<TaskRunner> runner;
  std::vector<std::pair<std::string, Promise>> promises;  // by key

 private:
  static std::shared_ptr<FakeToken> SecondToken() {
    auto token = std::make_shared<FakeToken>();
    token->label = "fake two";
    token->serial = "0002";
    return token;
  }
};

}  // namespace kms::testing
