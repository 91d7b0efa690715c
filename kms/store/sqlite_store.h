// SPDX-License-Identifier: Apache-2.0
// SqliteStore: Store in one file, for one process.
#pragma once

#include <condition_variable>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kms/base/mutex.h"
#include "kms/base/secret_bytes.h"
#include "kms/store/digested_commits.h"
#include "kms/store/store.h"
#include "kms/store/store_lock.h"

namespace kms {

class SqliteWriter;

struct SqliteStoreOptions {
  std::string path;
  std::string vfs;          // SQLite's name of another file system layer; empty: the default
  std::size_t readers = 3;  // connections that serve Get and List at the same time
};

// Commits are durable when they return (write-ahead log, synchronous=FULL). One writer, a few
// readers that never wait for it. After a failure that may have touched the file the writer's
// connection is thrown away; the next commit (a commit of unknown outcome itself) opens, checks and
// checkpoints a new one, so the store heals without a restart when the disk does.
class SqliteStore final : public Store {
 private:
  struct Private {};

 public:
  // Opens or creates the file (mode 0600) and locks it against every other opener.
  // Errors, written for the operator and naming the file: kFailedPrecondition (in use; a newer
  // format; another program's database), kCorrupted, kUnavailable.
  static Result<std::unique_ptr<SqliteStore>> Open(const std::string& path);
  static Result<std::unique_ptr<SqliteStore>> Open(SqliteStoreOptions options);

  SqliteStore(Private, SqliteStoreOptions options, StoreLock lock);
  ~SqliteStore() override;
  SqliteStore(const SqliteStore&) = delete;
  SqliteStore& operator=(const SqliteStore&) = delete;

  Result<std::optional<StoredValue>> Get(std::string_view path) override;
  Result<std::vector<ListedEntry>> List(std::string_view prefix, std::string_view after,
                                        std::size_t limit) override;
  Result<Revision> Commit(const std::vector<Mutation>& mutations) override;
  Result<Revision> CurrentRevision() override;
  void Subscribe(ChangeListener listener) override;

  // Compares the sealed entries with the sums that are stored of them. Reads all of them; commits
  // and other readers go on. `key` has SetDigest::kKeyBytes.
  Result<DigestReport> CheckDigest(const SecretBytes& key);
  // From now on every commit keeps the sums. `rebuild`: they are computed from what is there now,
  // else they must be good. Until it is called, a commit that touches sealed entries of a store
  // with sums is refused with kFailedPrecondition. Errors: kCorrupted, kUnavailable.
  Status StartDigest(const SecretBytes& key, bool rebuild);
  // Moves the number of the last commit up to `revision`, if it is less, so that what was numbered
  // before a rollback is never numbered again. Errors: kUnavailable.
  Status SkipRevisionsTo(Revision revision);
  // Of the last commit; nullopt before StartDigest and after a failure, until the next commit.
  [[nodiscard]] std::optional<DigestMark> digest_mark();

  // Writes a consistent copy, as of one commit, to `path`: a file of mode 0600 that is new or
  // empty. Commits go on meanwhile. Not synced. Errors: kUnavailable.
  Status CopyTo(const std::string& path);

 private:
  class Reader;
  class ReaderLease;

  Status OpenWriter() KMS_REQUIRES(writer_mutex_);
  void Publish(Revision revision, const std::vector<Mutation>& mutations)
      KMS_REQUIRES(writer_mutex_);

  std::unique_ptr<Reader> TakeReader();
  void GiveBackReader(std::unique_ptr<Reader> reader);

  const SqliteStoreOptions options_;
  const StoreLock lock_;  // outlives every connection

  Mutex writer_mutex_;
  std::unique_ptr<SqliteWriter> writer_ KMS_GUARDED_BY(writer_mutex_);  // null: to be opened
  std::vector<ChangeListener> listeners_ KMS_GUARDED_BY(writer_mutex_);
  std::unique_ptr<SetDigest> digest_ KMS_GUARDED_BY(writer_mutex_);  // null: not started

  Mutex readers_mutex_;
  std::condition_variable_any reader_returned_;
  // Idle readers; a null one is to be opened by whoever takes it.
  std::vector<std::unique_ptr<Reader>> readers_ KMS_GUARDED_BY(readers_mutex_);
};

}  // namespace kms
