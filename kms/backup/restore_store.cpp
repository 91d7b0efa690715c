// SPDX-License-Identifier: Apache-2.0
#include "kms/backup/restore_store.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>
#include <utility>

#include "kms/backup/digest_key.h"
#include "kms/backup/epochs.h"
#include "kms/base/unique_fd.h"
#include "kms/crypto/backup_envelope.h"
#include "kms/operations/environment_record.h"
#include "kms/store/sqlite_store.h"
#include "kms/store/store_replacement.h"

namespace kms {

namespace {

constexpr std::size_t kChunkBytes = std::size_t{256} << 10U;

std::string SystemError() { return std::generic_category().message(errno); }

struct Sha256Deleter {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

// A digest over more than memory should hold.
class RunningSha256 {
 public:
  RunningSha256() : context_(EVP_MD_CTX_new()) {
    good_ = context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1;
  }
  void Add(ByteView bytes) {
    good_ = good_ && EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1;
  }
  Result<Sha256Digest> Finish() {
    Sha256Digest digest{};
    if (!good_ || EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) != 1) {
      return Internal("SHA-256 failed");
    }
    return digest;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, Sha256Deleter> context_;
  bool good_ = false;
};

Error Truncated() { return Corrupted("the backup is truncated: get another copy of it"); }

// Exactly that many bytes. Errors: kCorrupted when the file ends before.
Result<Bytes> ReadExactly(int descriptor, std::size_t size) {
  Bytes bytes(size);
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = ::read(descriptor, bytes.data() + done, size - done);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return Unavailable("the backup cannot be read: " + SystemError());
    }
    if (got == 0) {
      return Truncated();
    }
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

Status WriteAll(int descriptor, ByteView bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written < 0) {
      return Unavailable("cannot write " + path + ": " + SystemError());
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return Ok();
}

// The file that is going to be the store; removed with what SQLite puts beside it unless it became
// it.
class StagedStore {
 public:
  explicit StagedStore(std::string path) : path_(std::move(path)) { Remove(); }
  ~StagedStore() { Remove(); }
  StagedStore(const StagedStore&) = delete;
  StagedStore& operator=(const StagedStore&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }

  // Copies the content of the backup, which begins where `backup` stands, and proves its checksum.
  Status Fill(int backup, const BackupEnvelope& envelope) const {
    const UniqueFd file(
        ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file.valid()) {
      return Unavailable("cannot create " + path_ + ": " + SystemError());
    }
    RunningSha256 running;
    for (std::uint64_t left = envelope.content_bytes; left != 0;) {
      const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left, kChunkBytes));
      const Bytes chunk = KMS_TRY(ReadExactly(backup, size));
      running.Add(chunk);
      KMS_TRY(WriteAll(file.get(), chunk, path_));
      left -= size;
    }
    const Sha256Digest digest = KMS_TRY(running.Finish());
    if (digest != envelope.content_sha256) {
      return Corrupted("the backup is damaged: its contents do not match their checksum");
    }
    std::uint8_t more = 0;
    if (::read(backup, &more, 1) != 0) {
      return Corrupted("the backup is damaged: something follows its end");
    }
    return ::fsync(file.get()) == 0
               ? Ok()
               : Status(Unavailable("cannot write " + path_ + ": " + SystemError()));
  }

  // SQLite has written to it after Fill.
  Status Sync() const {
    const UniqueFd file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.valid() || ::fsync(file.get()) != 0) {
      return Unavailable("cannot write " + path_ + ": " + SystemError());
    }
    return Ok();
  }

 private:
  void Remove() const {
    for (const char* suffix : {"", "-wal", "-shm", ".lock"}) {
      ::unlink((path_ + suffix).c_str());
    }
  }
  const std::string path_;
};

std::string StagedPath(const std::string& store_path) { return store_path + ".restoring"; }

struct OpenedBackup {
  UniqueFd file;
  Bytes head;
  BackupEnvelope envelope;
  BackupHeader header;
};

Result<OpenedBackup> OpenBackup(const std::string& path) {
  OpenedBackup backup;
  backup.file = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!backup.file.valid()) {
    return NotFound("the backup " + path + " cannot be read: " + SystemError());
  }
  backup.head = KMS_TRY(ReadExactly(backup.file.get(), kBackupFixedBytes));
  const std::size_t size = KMS_TRY(BackupHeadBytes(backup.head));
  const Bytes rest = KMS_TRY(ReadExactly(backup.file.get(), size - kBackupFixedBytes));
  backup.head.insert(backup.head.end(), rest.begin(), rest.end());
  backup.envelope = KMS_TRY(DecodeBackupHead(backup.head));
  backup.header = KMS_TRY(BackupHeader::Decode(backup.envelope.header));
  return backup;
}

Status Authenticate(const OpenedBackup& backup, const RestoreOptions& options, HsmRegistry& hsms) {
  const BackupHeader& header = backup.header;
  const SecretBytes sys_key = KMS_TRY(
      UnwrapByAnyToken(hsms, header.sys_id, header.key_version, header.wraps, options.hsm_timeout));
  const SecretBytes mac_key = KMS_TRY(BackupMacKey(sys_key, header.record.id));
  return VerifyBackupHead(backup.head, mac_key);
}

Status CheckCluster(const LiveStore& live, const BackupHeader& header) {
  if (!live.readable || !live.root) {
    return Ok();
  }
  const Result<RootRecord> root = RootRecord::Decode(*live.root);
  if (root.has_value() && root->stage == RootStage::kInitialised && root->sys_id != header.sys_id) {
    return FailedPrecondition("the backup is of another cluster (" + header.sys_id.ToString() +
                              ") than the store that is there (" + root->sys_id.ToString() +
                              "): move that one away first if it is to be replaced");
  }
  return Ok();
}

// What the service will find in it: checked by opening it as it will.
Status ProveContents(SqliteStore& store, const BackupHeader& header) {
  const Revision revision = KMS_TRY(store.CurrentRevision());
  const std::optional<Uuid> id = KMS_TRY(ReadSysId(store));
  if (revision != header.record.revision || id != header.sys_id) {
    return Corrupted("the contents of the backup are not what its header says");
  }
  return Ok();
}

Result<std::uint64_t> ProveEntries(SqliteStore& store, const RestoreOptions& options,
                                   HsmRegistry& hsms) {
  const std::unique_ptr<SysStore> sys = KMS_TRY(SysStore::Open(store, hsms, options.hsm_timeout));
  if (sys == nullptr) {
    return Corrupted("the contents of the backup are not what its header says");
  }
  const std::optional<SecretBytes> key = KMS_TRY(ReadDigestKey(sys->entries()));
  if (key) {
    const DigestReport report = KMS_TRY(store.CheckDigest(*key));
    if (!report.good()) {
      return Corrupted("entries in the backup do not match their digest");
    }
  }
  const EpochReading epochs =
      KMS_TRY(ReadEpochs(sys->entries(), sys->id(), hsms, options.hsm_timeout));
  return epochs.highest();
}

Result<std::uint64_t> ProveStaged(const std::string& path, const BackupHeader& header,
                                  const RestoreOptions& options, HsmRegistry& hsms) {
  const std::unique_ptr<SqliteStore> store = KMS_TRY(SqliteStore::Open(path));
  KMS_TRY(ProveContents(*store, header));
  return options.without_hsm ? Result<std::uint64_t>(std::uint64_t{0})
                             : ProveEntries(*store, options, hsms);
}

Error IsOlder(const RestoreReport& report) {
  const std::string revision = std::to_string(report.header.record.revision);
  const std::string newer =
      report.epoch > report.live_revision
          ? "the epoch in the HSM is " + std::to_string(report.epoch)
          : "the store that is there is at revision " + std::to_string(report.live_revision);
  return FailedPrecondition("the backup is older: it is of revision " + revision + ", " + newer +
                            ". What was changed since is lost, and tokens that were revoked since "
                            "would be good again. Restore with --accept-rollback, and start the "
                            "service with it");
}

}  // namespace

Result<RestoreReport> RestoreStore(const RestoreOptions& options, HsmRegistry& hsms) {
  const StoreReplacement replacement = KMS_TRY(StoreReplacement::Begin(options.store_path));
  const OpenedBackup backup = KMS_TRY(OpenBackup(options.backup_path));
  const LiveStore live = KMS_TRY(replacement.Inspect());
  KMS_TRY(CheckCluster(live, backup.header));
  if (!options.without_hsm) {
    KMS_TRY(Authenticate(backup, options, hsms));
  }
  const StagedStore staged(StagedPath(options.store_path));
  KMS_TRY(staged.Fill(backup.file.get(), backup.envelope));
  RestoreReport report;
  report.header = backup.header;
  report.live_revision = live.revision;
  report.epoch = KMS_TRY(ProveStaged(staged.path(), backup.header, options, hsms));
  if (report.older() && !options.accept_rollback) {
    return IsOlder(report);
  }
  if (options.dry_run) {
    return report;
  }
  KMS_TRY(staged.Sync());
  KMS_TRY(replacement.Replace(staged.path(), options.step));
  const bool kept = live.exists && ::access(replacement.kept().c_str(), F_OK) == 0;
  report.kept = kept ? replacement.kept() : std::string();
  return report;
}

void RemoveInterruptedRestore(const std::string& store_path) {
  const StagedStore interrupted(StagedPath(store_path));
}

}  // namespace kms
