// SPDX-License-Identifier: Apache-2.0
// The write-ahead log goes first: it belongs to the old file, and SQLite would apply it to the new.
#include "kms/store/store_replacement.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "kms/base/unique_fd.h"
#include "kms/store/sqlite_connection.h"
#include "kms/store/sqlite_format.h"

namespace kms {

namespace {

bool Exists(const std::string& path) {
  struct stat file{};
  return ::lstat(path.c_str(), &file) == 0;
}

bool IsEmptyOrAbsent(const std::string& path) {
  struct stat file{};
  return ::stat(path.c_str(), &file) != 0 || file.st_size == 0;
}

bool SameBytes(const std::string& one, const std::string& other) {
  std::error_code failed;
  if (std::filesystem::file_size(one, failed) != std::filesystem::file_size(other, failed) ||
      failed) {
    return false;
  }
  std::ifstream first(one, std::ios::binary);
  std::ifstream second(other, std::ios::binary);
  return first && second &&
         std::equal(std::istreambuf_iterator<char>(first), std::istreambuf_iterator<char>(),
                    std::istreambuf_iterator<char>(second), std::istreambuf_iterator<char>());
}

Error Failed(const std::string& what, const std::string& path) {
  return Unavailable(what + " " + path + ": " + std::generic_category().message(errno));
}

Result<LiveStore> Read(const std::string& path) {
  SqliteConnection connection =
      KMS_TRY(SqliteConnection::Open({.path = path, .vfs = {}, .read_only = true}));
  LiveStore live{.exists = true, .readable = true, .revision = 0, .root = std::nullopt};
  live.revision =
      static_cast<Revision>(KMS_TRY(connection.QueryInteger("SELECT current FROM revision")));
  SqliteStatement root = KMS_TRY(connection.Prepare("SELECT value FROM entry WHERE path = 'root'"));
  if (KMS_TRY(root.Step())) {
    live.root = CopyOf(root.ColumnBlob(0));
  }
  return live;
}

Status FoldLog(const std::string& path) {
  SqliteConnection connection = KMS_TRY(SqliteConnection::Open({.path = path, .vfs = {}}));
  return CheckpointSqlite(connection);
}

Status MoveAside(const std::string& from, const std::string& to) {
  if (Exists(from) && std::rename(from.c_str(), to.c_str()) != 0) {
    return Failed("cannot move aside", from);
  }
  return Ok();
}

void Tell(const std::function<void(int)>& step, int number) {
  if (step) {
    step(number);
  }
}

}  // namespace

Status SyncDirectoryOf(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  const UniqueFd directory(
      ::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid() || ::fsync(directory.get()) != 0) {
    return Failed("cannot make durable the directory of", path);
  }
  return Ok();
}

Result<StoreReplacement> StoreReplacement::Begin(const std::string& store_path) {
  StoreLock lock = KMS_TRY(StoreLock::Acquire(store_path));
  return StoreReplacement(store_path, std::move(lock));
}

Result<LiveStore> StoreReplacement::Inspect() const {
  if (!Exists(path_)) {
    return LiveStore{};
  }
  const Result<LiveStore> read = Read(path_);
  // Whatever is wrong with it, it is what is going to be replaced.
  return read.has_value() ? *read : LiveStore{.exists = true, .readable = false};
}

Status StoreReplacement::Replace(const std::string& staged,
                                 const std::function<void(int)>& step) const {
  Tell(step, 1);
  // One that was interrupted after its last step and is run again: what was there before must not
  // be replaced by what it put there.
  if (IsEmptyOrAbsent(path_ + "-wal") && SameBytes(path_, staged)) {
    return SyncDirectoryOf(path_);
  }
  if (Exists(path_)) {
    KMS_TRY(SettleLog());
    Tell(step, 2);
    KMS_TRY(KeepOld());
  }
  Tell(step, 3);
  if (std::rename(staged.c_str(), path_.c_str()) != 0) {
    return Failed("cannot put the new store in the place of", path_);
  }
  Tell(step, 4);
  return SyncDirectoryOf(path_);
}

Status StoreReplacement::SettleLog() const {
  const std::string log = path_ + "-wal";
  const Status folded = FoldLog(path_);
  if (!folded.has_value()) {  // damaged, or of another program: kept beside it
    KMS_TRY(MoveAside(log, kept() + "-wal"));
  }
  // SQLite has deleted both when it closed the file, unless it could not read it.
  if (!IsEmptyOrAbsent(log)) {
    return Unavailable("the write-ahead log of " + path_ +
                       " could not be emptied: stop whatever reads the store");
  }
  ::unlink(log.c_str());
  ::unlink((path_ + "-shm").c_str());
  return SyncDirectoryOf(path_);
}

Status StoreReplacement::KeepOld() const {
  if (::unlink(kept().c_str()) != 0 && errno != ENOENT) {
    return Failed("cannot remove", kept());
  }
  if (::link(path_.c_str(), kept().c_str()) != 0) {
    return Failed("cannot keep the old store as", kept());
  }
  return SyncDirectoryOf(path_);
}

}  // namespace kms
