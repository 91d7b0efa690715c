// SPDX-License-Identifier: Apache-2.0
// BackupWorld: a service over a store on disk and HSM tokens in memory, with its guard and backups.
#pragma once

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kms/audit/chained_audit_log.h"
#include "kms/backup/backups.h"
#include "kms/backup/store_guard.h"
#include "kms/operations/create_key.h"
#include "kms/store/sqlite_store.h"
#include "tests/fakes/fake_master_key_device.h"
#include "tests/fakes/fake_rsa_device.h"
#include "tests/support/matchers.h"
#include "tests/support/temporary_directory.h"

namespace kms::testing {

class BackupWorld {
 public:
  static constexpr std::chrono::milliseconds kTimeout{2000};

  BackupWorld() { AddToken("default"); }
  ~BackupWorld() { Stop(); }

  std::shared_ptr<FakeToken> AddToken(const std::string& name) {
    auto token = std::make_shared<FakeToken>();
    token->serial = "serial-" + name;
    tokens[name] = token;
    return token;
  }
  void Connect(HsmRegistry& registry) {
    for (const auto& [name, token] : tokens) {
      if (unplugged.contains(name)) {
        continue;
      }
      const std::shared_ptr<FakeMasterKeyDevice> device =
          has_rsa_tokens ? std::make_shared<FakeRsaDevice>(token)
                         : std::make_shared<FakeMasterKeyDevice>(token);
      ASSERT_THAT(registry.Add(name, {.owner = device,
                                      .master_keys = device.get(),
                                      .resident_keys = nullptr,
                                      .epochs = device.get()}),
                  IsOk());
    }
  }

  // As kmsd does it, in the same order.
  Status TryStart(bool accept_rollback = false) {
    Stop();
    hsms = std::make_unique<HsmRegistry>(clock);
    Connect(*hsms);
    store = KMS_TRY(SqliteStore::Open(store_path()));
    AuditOptions options;
    options.path = log_path();
    options.store_revision = [this] { return seen_.load(); };
    store->Subscribe(
        [this](Revision revision, const std::vector<std::string>&) { seen_ = revision; });
    seen_ = KMS_TRY(store->CurrentRevision());
    audit = KMS_TRY(ChainedAuditLog::Open(std::move(options), clock));
    StoreGuardOptions guarding;
    guarding.accept_rollback = accept_rollback;
    guarding.hsm_timeout = kTimeout;
    guarding.alarm = [this](std::string_view what) { alarms.emplace_back(what); };
    guard = KMS_TRY(StoreGuard::Judge(*store, *hsms, *audit, std::move(guarding)));
    environments = KMS_TRY(Environments::Open(*store, *hsms, clock, EnvironmentsOptions{}));
    rolled_back = guard->rolled_back();
    KMS_TRY(guard->Settle(*environments));
    BackupsOptions backing_up;
    backing_up.copy_store = [this](const std::string& path) { return store->CopyTo(path); };
    backing_up.directory = directory.path();
    backing_up.epochs = &guard->epochs();
    backups = std::make_unique<Backups>(*store, *environments, clock, std::move(backing_up));
    return Ok();
  }
  void Start(bool accept_rollback = false) { ASSERT_THAT(TryStart(accept_rollback), IsOk()); }
  // The log sees the store as it is now.
  void Log() {
    const auto ticket = audit->Append(R"("type":"test")");
    ASSERT_THAT(ticket, IsOk());
    ASSERT_THAT(audit->Await(*ticket, std::chrono::steady_clock::now() + std::chrono::seconds(5)),
                IsOk());
  }
  void Stop() {
    backups.reset();
    environments.reset();
    guard.reset();
    audit.reset();
    store.reset();
    hsms.reset();
  }

  void Make(std::string_view environment, std::string_view key = {}) {
    if (environments->Find(environment) == nullptr) {
      ASSERT_THAT(environments->Create(*EnvironmentName::Parse(environment), {}), IsOk());
    }
    if (!key.empty()) {
      ASSERT_THAT(CreateKey(*environments->Find(environment), *KeyName::Parse(key), {}), IsOk());
    }
  }
  bool Has(std::string_view environment, std::string_view key) {
    const std::shared_ptr<Environment> found = environments->Find(environment);
    if (found == nullptr) {
      return false;
    }
    const auto handle = found->FindKey(*KeyName::Parse(key));
    return handle.has_value() && *handle != nullptr;
  }

  std::string WriteBackup(const std::string& name,
                          std::chrono::seconds keep = std::chrono::hours(1)) {
    auto made = backups->Make(keep);
    EXPECT_THAT(made, IsOk());
    const std::string path = directory.path() + "/" + name;
    std::ofstream(path, std::ios::binary) << (made.has_value() ? made->bytes : std::string());
    return path;
  }

  // Copies of what is on disk; the service is stopped.
  void SaveStore(const std::string& as) { Copy(store_path(), directory.path() + "/" + as); }
  void BringBackStore(const std::string& from) {
    Copy(directory.path() + "/" + from, store_path());
  }
  static void Copy(const std::string& from, const std::string& to) {
    for (const char* suffix : {"", "-wal", "-shm"}) {
      std::filesystem::remove(to + suffix);
      if (std::filesystem::exists(from + suffix)) {
        std::filesystem::copy_file(from + suffix, to + suffix);
      }
    }
  }

  [[nodiscard]] std::string store_path() const { return directory.path() + "/store.db"; }
  [[nodiscard]] std::string log_path() const { return directory.path() + "/audit.log"; }

  TemporaryDirectory directory;
  SystemClock clock;
  std::map<std::string, std::shared_ptr<FakeToken>> tokens;
  std::set<std::string> unplugged;
  bool has_rsa_tokens = false;  // set before Start
  std::unique_ptr<HsmRegistry> hsms;
  std::unique_ptr<SqliteStore> store;
  std::unique_ptr<ChainedAuditLog> audit;
  std::unique_ptr<StoreGuard> guard;
  std::unique_ptr<Environments> environments;
  std::unique_ptr<Backups> backups;
  std::vector<std::string> alarms;
  bool rolled_back = false;

 private:
  std::atomic<Revision> seen_{0};
};

inline std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace kms::testing
