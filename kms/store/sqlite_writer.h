// SPDX-License-Identifier: Apache-2.0
// SqliteWriter: the one connection of a SqliteStore that commits. Private to sqlite_store.cpp.
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "kms/base/result.h"
#include "kms/store/digested_commits.h"
#include "kms/store/set_digest.h"
#include "kms/store/sqlite_connection.h"
#include "kms/store/sqlite_store.h"
#include "kms/store/store.h"

namespace kms {

// Thread rule: one thread at a time. Its address must not change.
class SqliteWriter {
 public:
  explicit SqliteWriter(SqliteConnection connection) : connection_(std::move(connection)) {}
  // Opens a checked connection whose write-ahead log is empty: whatever an earlier failed sync
  // left in it is then either in the database file, synced, or gone.
  static Result<std::unique_ptr<SqliteWriter>> Open(const SqliteStoreOptions& options);

  // `digest` must outlive it.
  void KeepDigest(SetDigest& digest);
  // Of the last commit; nullopt when it is not known.
  std::optional<DigestMark> Mark();
  // Returns the number of the last commit from now on.
  Result<Revision> SkipTo(Revision revision);
  // Stores the sums as of the last commit; `rebuild` computes them anew.
  Status SettleDigest(bool rebuild);

  // As Store::Commit.
  Result<Revision> Commit(const std::vector<Mutation>& mutations);
  // False after a failure that may have left file or connection in doubt.
  [[nodiscard]] bool usable() const { return usable_; }

 private:
  Status Prepare();
  Status Run(SqliteStatement& statement);
  Result<Revision> Apply(const std::vector<Mutation>& mutations);
  static Revision OwnRevision(const Mutation& mutation, Revision revision);
  Status PrepareSums(const std::vector<Mutation>& mutations);
  Status PrepareDigested();
  Status SkipInTransaction(Revision revision);
  Status SettleInTransaction(bool rebuild);
  Status CheckExpectation(const Mutation& mutation);
  Result<Revision> NextRevision();
  Status Put(const Mutation& mutation, Revision revision);
  Status Erase(const Mutation& mutation);
  void RollBack(const Error& cause);
  void NoteWalGrowth(std::size_t mutations);
  Status BoundWal();

  SqliteConnection connection_;
  SqliteStatement begin_;
  SqliteStatement commit_;
  SqliteStatement roll_back_;
  SqliteStatement revision_of_;
  SqliteStatement next_revision_;
  SqliteStatement put_;
  SqliteStatement erase_;
  SqliteStatement checkpoint_;
  SetDigest* digest_ = nullptr;              // null: no sums are kept
  std::optional<DigestedCommits> digested_;  // prepared by the first commit that needs it
  bool has_sums_ = false;                    // the file holds some
  Revision last_revision_ = 0;               // of the last commit here; 0: none yet
  std::int64_t wal_pages_ = 0;  // estimate of pages not yet copied into the database file
  bool usable_ = true;
};

}  // namespace kms
