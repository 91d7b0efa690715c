// SPDX-License-Identifier: Apache-2.0
// Backups and what becomes of them: nothing but a whole, genuine one of this cluster touches the
// live store, and a restore that is cut short leaves the old or the new one.
#include "kms/backup/restore_store.h"

#include <sys/wait.h>
#include <unistd.h>

#include "kms/crypto/backup_envelope.h"
#include "tests/kms/backup/backup_world.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class RestoreStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    world_.Start();
    world_.Make("prod", "before");
    backup_ = world_.WriteBackup("kms.backup");
    world_.Make("prod", "after");
    world_.guard->Raise(*world_.environments);
  }
  Result<RestoreReport> Restore(RestoreOptions options = {}) {
    world_.Stop();
    HsmRegistry hsms(world_.clock);
    world_.Connect(hsms);
    options.backup_path = options.backup_path.empty() ? backup_ : options.backup_path;
    options.store_path = world_.store_path();
    options.hsm_timeout = BackupWorld::kTimeout;
    return RestoreStore(options, hsms);
  }
  std::string WriteFile(const std::string& name, const std::string& bytes) {
    const std::string path = world_.directory.path() + "/" + name;
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  // The live store and its neighbours.
  std::map<std::string, std::string> Files() {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(world_.directory.path())) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with("store.db") && !name.ends_with(".lock")) {
        files[name] = ReadAll(entry.path().string());
      }
    }
    return files;
  }

  BackupWorld world_;
  std::string backup_;
};

TEST_F(RestoreStoreTest, ARestoredStoreHasWhatItHadThen) {
  KMS_ASSERT_OK_AND_ASSIGN(const RestoreReport report, Restore({.accept_rollback = true}));
  EXPECT_EQ(report.kept, world_.store_path() + ".before-restore");
  ASSERT_THAT(world_.TryStart(), HasError(ErrorCode::kCorrupted, HasSubstr("older")))
      << "the service asks again";
  ASSERT_THAT(world_.TryStart(/*accept_rollback=*/true), IsOk());
  EXPECT_TRUE(world_.Has("prod", "before"));
  EXPECT_FALSE(world_.Has("prod", "after"));
  ASSERT_THAT(world_.TryStart(), IsOk());
}

TEST_F(RestoreStoreTest, D28_ARestoreThatIsRunAgainKeepsTheStoreThatWasThereFirst) {
  world_.Stop();
  const std::string before = ReadAll(world_.store_path());
  KMS_ASSERT_OK_AND_ASSIGN(const RestoreReport first, Restore({.accept_rollback = true}));
  KMS_ASSERT_OK_AND_ASSIGN(const RestoreReport again, Restore({.accept_rollback = true}));
  EXPECT_EQ(again.kept, first.kept);
  EXPECT_EQ(ReadAll(again.kept), before);
}

TEST_F(RestoreStoreTest, D28_WhatAnInterruptedRestoreLeftIsRemoved) {
  world_.Stop();
  const auto before = Files();
  for (const char* suffix : {"", "-wal", "-shm"}) {
    WriteFile(std::string("store.db.restoring") + suffix, "half");
  }
  RemoveInterruptedRestore(world_.store_path());
  EXPECT_EQ(Files(), before);
}

TEST_F(RestoreStoreTest, D12_AnOlderBackupNeedsToBeAcceptedAndNamesBothFigures) {
  world_.Stop();
  const auto before = Files();
  const std::uint64_t epoch = world_.tokens.at("default")->epochs.begin()->second;
  EXPECT_THAT(Restore(), HasError(ErrorCode::kFailedPrecondition,
                                  AllOf(HasSubstr("the backup is older: it is of revision"),
                                        HasSubstr("--accept-rollback"))));
  EXPECT_EQ(Files(), before);
  std::filesystem::remove(world_.store_path());
  EXPECT_THAT(Restore(), HasError(ErrorCode::kFailedPrecondition,
                                  HasSubstr("the epoch in the HSM is " + std::to_string(epoch))));
}

TEST_F(RestoreStoreTest, ADryRunChangesNothing) {
  world_.Stop();
  const auto before = Files();
  EXPECT_THAT(Restore({.accept_rollback = true, .dry_run = true}), IsOk());
  EXPECT_EQ(Files(), before);
}

TEST_F(RestoreStoreTest, D27_EveryRegionFlippedIsRefusedBeforeTheStoreIsTouched) {
  world_.Stop();
  const auto before = Files();
  const std::string good = ReadAll(backup_);
  const std::size_t head =
      *BackupHeadBytes(AsBytes(std::string_view(good).substr(0, kBackupFixedBytes)));
  std::vector<std::size_t> places;
  for (std::size_t at = 0; at < head; at += 7) {
    places.push_back(at);
  }
  for (std::size_t at = head; at < good.size(); at += good.size() / 23) {
    places.push_back(at);
  }
  places.push_back(good.size() - 1);
  for (const std::size_t at : places) {
    std::string flipped = good;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x20);
    RestoreOptions options{.accept_rollback = true};
    options.backup_path = WriteFile("flipped", flipped);
    EXPECT_FALSE(Restore(options).has_value()) << "byte " << at;
  }
  EXPECT_EQ(Files(), before);
}

TEST_F(RestoreStoreTest, D27_EveryTruncationIsRefused) {
  world_.Stop();
  const auto before = Files();
  const std::string good = ReadAll(backup_);
  for (std::size_t size = 0; size < good.size(); size += 1 + good.size() / 40) {
    RestoreOptions options{.accept_rollback = true};
    options.backup_path = WriteFile("short", good.substr(0, size));
    EXPECT_THAT(Restore(options), HasError(ErrorCode::kCorrupted)) << size;
  }
  RestoreOptions longer{.accept_rollback = true};
  longer.backup_path = WriteFile("long", good + "x");
  EXPECT_THAT(Restore(longer), HasError(ErrorCode::kCorrupted, HasSubstr("follows its end")));
  EXPECT_EQ(Files(), before);
}

TEST_F(RestoreStoreTest, D27_ABackupOfAnotherClusterIsRefused) {
  BackupWorld other;
  other.Start();
  const std::string foreign = other.WriteBackup("kms.backup");
  world_.Stop();
  const auto before = Files();
  RestoreOptions options{.accept_rollback = true};
  options.backup_path = foreign;
  EXPECT_THAT(Restore(options),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("another cluster")));
  std::filesystem::remove(world_.store_path());
  EXPECT_FALSE(Restore(options).has_value()) << "no token of ours opens it";
  EXPECT_EQ(before.count("store.db"), 1U);
  EXPECT_FALSE(std::filesystem::exists(world_.store_path()));
}

TEST_F(RestoreStoreTest, AForgedBackupWithAGoodChecksumIsRefused) {
  const std::string good = ReadAll(backup_);
  const ByteView all = AsBytes(good);
  const std::size_t head = *BackupHeadBytes(all.first(kBackupFixedBytes));
  const BackupEnvelope envelope = *DecodeBackupHead(all.first(head));
  std::string content = good.substr(head);
  content.back() = static_cast<char>(content.back() ^ 1);
  const SecretBytes key = SecretBytes::CopyOf(Bytes(32, 1)).value();
  const Bytes forged =
      *EncodeBackupHead(envelope.header, content.size(), Sha256(AsBytes(content)), key);
  RestoreOptions options{.accept_rollback = true};
  options.backup_path = WriteFile("forged", std::string(AsText(forged)) + content);
  EXPECT_THAT(Restore(options),
              HasError(ErrorCode::kCorrupted, HasSubstr("does not authenticate")));
}

// The public key of an RSA master key stands in every backup, and is all that it takes to wrap a
// key of one's own; the MAC then follows from that.
TEST(ForgedBackup, D28_AWrapThatNoTokenHasSignedOpensNoBackup) {
  BackupWorld world;
  world.has_rsa_tokens = true;
  world.Start();
  world.Make("prod", "before");
  const std::string path = world.WriteBackup("kms.backup");
  const std::string good = ReadAll(path);
  world.Stop();
  const std::size_t head = *BackupHeadBytes(AsBytes(good).first(kBackupFixedBytes));
  const BackupEnvelope envelope = *DecodeBackupHead(AsBytes(good).first(head));
  const std::string content = good.substr(head);
  KMS_ASSERT_OK_AND_ASSIGN(BackupHeader header, BackupHeader::Decode(envelope.header));
  ASSERT_THAT(header.wraps, SizeIs(1));
  const SecretBytes chosen = SecretBytes::CopyOf(Bytes(32, 0x66)).value();
  const Bytes signature = header.wraps.front().wrapped.signature;
  const SecretBytes mac_key = BackupMacKey(chosen, header.record.id).value();
  for (const bool with_old_signature : {false, true}) {
    header.wraps.front().wrapped =
        FakeRsaDevice::Forge(header.wraps.front().master, chosen.View(),
                             EnvironmentKeyContext(header.sys_id, header.key_version));
    if (with_old_signature) header.wraps.front().wrapped.signature = signature;
    const Bytes forged =
        *EncodeBackupHead(header.Encode(), content.size(), Sha256(AsBytes(content)), mac_key);
    std::ofstream(path, std::ios::binary | std::ios::trunc)
        << std::string(AsText(forged)) + content;
    HsmRegistry hsms(world.clock);
    world.Connect(hsms);
    EXPECT_THAT(RestoreStore({.backup_path = path,
                              .store_path = world.store_path(),
                              .accept_rollback = true,
                              .hsm_timeout = BackupWorld::kTimeout},
                             hsms),
                HasError(ErrorCode::kCorrupted))
        << with_old_signature;
  }
  std::ofstream(path, std::ios::binary | std::ios::trunc) << good;
  HsmRegistry hsms(world.clock);
  world.Connect(hsms);
  EXPECT_THAT(RestoreStore({.backup_path = path,
                            .store_path = world.store_path(),
                            .accept_rollback = true,
                            .hsm_timeout = BackupWorld::kTimeout},
                           hsms),
              IsOk())
      << "the genuine one";
}

TEST_F(RestoreStoreTest, AStoreInUseIsNotReplaced) {
  const std::unique_ptr<SqliteStore> held = std::move(world_.store);
  HsmRegistry hsms(world_.clock);
  EXPECT_THAT(RestoreStore({.backup_path = backup_, .store_path = world_.store_path()}, hsms),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("in use")));
  world_.backups.reset();
  world_.environments.reset();
  world_.guard.reset();
}

TEST_F(RestoreStoreTest, D28_KilledAtEachStepTheOldOrTheNewStoreIsThereWhole) {
  world_.Stop();
  world_.SaveStore("saved");
  for (int step = 1; step <= 4; ++step) {
    world_.BringBackStore("saved");
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      HsmRegistry hsms(world_.clock);
      RestoreOptions options{.backup_path = backup_, .store_path = world_.store_path()};
      options.accept_rollback = true;
      options.without_hsm = true;  // fakes and their threads do not survive a fork
      options.step = [step](int now) {
        if (now == step) {
          ::_exit(42);
        }
      };
      IgnoreError(RestoreStore(options, hsms), "the parent looks");
      ::_exit(1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_EQ(WEXITSTATUS(status), 42) << step;
    KMS_ASSERT_OK_AND_ASSIGN(const auto store, SqliteStore::Open(world_.store_path()));
    const bool is_new = step == 4;
    KMS_ASSERT_OK_AND_ASSIGN(const Revision revision, store->CurrentRevision());
    const std::unique_ptr<SqliteStore> saved =
        SqliteStore::Open(world_.directory.path() + "/saved").value();
    EXPECT_EQ(revision == saved->CurrentRevision().value(), !is_new) << step;
  }
  EXPECT_THAT(Restore({.accept_rollback = true}), IsOk()) << "and it can be done again";
}

TEST_F(RestoreStoreTest, D27_ADamagedStoreIsReplacedAndKept) {
  world_.Stop();
  std::ofstream(world_.store_path(), std::ios::binary) << std::string(5000, 'x');
  KMS_ASSERT_OK_AND_ASSIGN(const RestoreReport report, Restore({.accept_rollback = true}));
  EXPECT_EQ(ReadAll(report.kept), std::string(5000, 'x'));
  EXPECT_THAT(world_.TryStart(/*accept_rollback=*/true), IsOk());
}

TEST_F(RestoreStoreTest, ASecondHsmThatHoldsTheKeysRestoresToo) {
  world_.AddToken("second");
  world_.Start();
  for (const char* environment : {"sys", "prod"}) {
    ASSERT_THAT(world_.environments->JoinHsm(environment, {.hsm = "second"}), IsOk());
  }
  const std::string backup = world_.WriteBackup("two.backup");
  world_.Stop();
  world_.unplugged.insert("default");
  std::filesystem::remove(world_.store_path());
  RestoreOptions options{.accept_rollback = true};
  options.backup_path = backup;
  ASSERT_THAT(Restore(options), IsOk());
  ASSERT_THAT(world_.TryStart(/*accept_rollback=*/true), IsOk());
  EXPECT_TRUE(world_.Has("prod", "after"));
}

TEST_F(RestoreStoreTest, D2_WhateverCommitOfABackupFailsAnotherOneWorks) {
  // The copy fails: what was registered is forgotten again.
  BackupsOptions options;
  options.copy_store = [](const std::string&) -> Status { return Unavailable("disk full"); };
  options.directory = world_.directory.path();
  Backups failing(*world_.store, *world_.environments, world_.clock, options);
  EXPECT_THAT(failing.Make(std::chrono::hours(1)), HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(world_.backups->list().List(), IsOkAndHolds(SizeIs(1)));
  EXPECT_THAT(world_.backups->Make(std::chrono::hours(1)), IsOk());
}

TEST_F(RestoreStoreTest, D2_TheCopyOfAnInterruptedBackupIsRemovedAndNoOther) {
  BackupsOptions options;
  options.directory = world_.directory.path();
  options.store_name = "store.db";
  namespace fs = std::filesystem;
  const fs::path own = fs::path(options.directory) / ".kms-backup-store.db-a1B2c3";
  const fs::path other = fs::path(options.directory) / ".kms-backup-other.db-a1B2c3";
  const fs::path longer = fs::path(options.directory) / ".kms-backup-store.db-2-a1B2c3";
  for (const fs::path& path : {own, other, longer}) {
    fs::create_directory(path);
    WriteFile(path.filename().string() + "/store.db", "half");
  }
  RemoveInterruptedCopies(options);
  EXPECT_FALSE(fs::exists(own));
  EXPECT_TRUE(fs::exists(other));
  EXPECT_TRUE(fs::exists(longer)) << "of a store named store.db-2";
  EXPECT_TRUE(fs::exists(world_.store_path()));
  options.directory += "/none";
  RemoveInterruptedCopies(options);
}

TEST_F(RestoreStoreTest, ABackupIsRegisteredWithTheMasterKeysThatOpenIt) {
  KMS_ASSERT_OK_AND_ASSIGN(const auto records, world_.backups->list().List());
  ASSERT_THAT(records, SizeIs(1));
  std::vector<std::string> environments;
  for (const BackupMasterKey& key : records[0].master_keys) {
    EXPECT_EQ(key.hsm, "default");
    EXPECT_EQ(key.version, 1U);
    environments.push_back(key.environment);
  }
  EXPECT_THAT(environments, ::testing::UnorderedElementsAre("prod", "sys"));
  const Uuid prod = world_.environments->Find("prod")->identity().id;
  EXPECT_THAT(world_.backups->list().Needing(prod, 1), IsOkAndHolds(SizeIs(1)));
  EXPECT_THAT(world_.backups->list().Needing(prod, 2), IsOkAndHolds(IsEmpty()));
  ASSERT_THAT(world_.backups->list().Forget(records[0].id), IsOk());
  EXPECT_THAT(world_.backups->list().Needing(prod, 1), IsOkAndHolds(IsEmpty()));
  EXPECT_THAT(world_.backups->list().Forget(records[0].id), HasError(ErrorCode::kNotFound));
}

TEST_F(RestoreStoreTest, ABackupNeedsOnlyTheNewestCompleteMasterKeyOfEachToken) {
  const Uuid prod = world_.environments->Find("prod")->identity().id;
  ASSERT_THAT(world_.environments->MakeMasterKey("prod", "default", 2), IsOk());
  ASSERT_THAT(world_.environments->SwitchMasterKey("prod", 2), IsOk());
  world_.WriteBackup("rotated.backup");
  EXPECT_THAT(world_.backups->list().Needing(prod, 2), IsOkAndHolds(SizeIs(1)));
  EXPECT_THAT(world_.backups->list().Needing(prod, 1), IsOkAndHolds(SizeIs(1)))
      << "the one made before";
}

TEST_F(RestoreStoreTest, CheckTellsGenuineFromForged) {
  const std::string good = ReadAll(backup_);
  const ByteView all = AsBytes(good);
  const std::size_t size = *BackupHeadBytes(all.first(kBackupFixedBytes));
  KMS_ASSERT_OK_AND_ASSIGN(const BackupHeader header, world_.backups->Check(all.first(size)));
  EXPECT_EQ(header.sys_id, world_.environments->sys()->identity().id);
  for (std::size_t at = 0; at < size; at += 5) {
    Bytes flipped = CopyOf(all.first(size));
    flipped[at] ^= 4U;
    EXPECT_FALSE(world_.backups->Check(flipped).has_value()) << at;
  }
}

TEST(BackupRecord, ComesBackAsItWas) {
  const Bytes zero(16, 0);
  BackupRecord record;
  record.id = Uuid::FromBytes(zero).value();
  record.created_unix_seconds = 1;
  record.expires_unix_seconds = 2;
  record.revision = 3;
  record.master_keys = {{.environment_id = record.id,
                         .environment = "p",
                         .hsm = "h",
                         .version = 4,
                         .master_key_id = record.id}};
  const std::string zeros(32, '0');
  EXPECT_EQ(HexEncode(record.Encode()), "4201" + zeros + "0000000000000001" + "0000000000000002" +
                                            "0000000000000003" + "00000001" + zeros + "0000000170" +
                                            "0000000168" + "00000004" + zeros);
  EXPECT_THAT(BackupRecord::Decode(record.Encode()), IsOkAndHolds(record));
  const Bytes encoded = record.Encode();
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    EXPECT_THAT(BackupRecord::Decode(ByteView(encoded).first(size)),
                HasError(ErrorCode::kCorrupted))
        << size;
  }
}

}  // namespace
}  // namespace kms::testing
