// SPDX-License-Identifier: Apache-2.0
// The file format of the SQLite store: tables, marks, and the checks made before use.
#include "kms/store/sqlite_format.h"

#include <utility>

namespace kms {
namespace {

constexpr std::string_view kCreateEntry =
    "CREATE TABLE entry(path TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL,"
    " revision INTEGER NOT NULL) STRICT, WITHOUT ROWID";
constexpr std::string_view kCreateRevision =
    "CREATE TABLE revision(id INTEGER NOT NULL PRIMARY KEY CHECK(id = 1),"
    " current INTEGER NOT NULL) STRICT";

constexpr std::string_view kCreateDigest =
    "CREATE TABLE digest(directory TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL)"
    " STRICT, WITHOUT ROWID";

Status CreateTables(SqliteConnection& connection) {
  KMS_TRY(connection.Execute("BEGIN IMMEDIATE"));
  KMS_TRY(connection.Execute(kCreateEntry));
  KMS_TRY(connection.Execute(kCreateRevision));
  KMS_TRY(connection.Execute(kCreateDigest));
  KMS_TRY(connection.Execute("INSERT INTO revision(id, current) VALUES(1, 0)"));
  KMS_TRY(connection.Execute("PRAGMA application_id=" + std::to_string(kSqliteApplicationId)));
  KMS_TRY(connection.Execute("PRAGMA user_version=" + std::to_string(kSqliteFormatVersion)));
  return connection.Execute("COMMIT");
}

// Format 1 had no digest.
Status MoveFromFirstFormat(SqliteConnection& connection) {
  KMS_TRY(connection.Execute("BEGIN IMMEDIATE"));
  KMS_TRY(connection.Execute(kCreateDigest));
  KMS_TRY(connection.Execute("PRAGMA user_version=" + std::to_string(kSqliteFormatVersion)));
  return connection.Execute("COMMIT");
}

Status CheckMarks(std::int64_t application, std::int64_t version, const std::string& path) {
  if (application != kSqliteApplicationId) {
    return FailedPrecondition(path + " is a database of another program (application id " +
                              std::to_string(application) + ", a store has " +
                              std::to_string(kSqliteApplicationId) + ")");
  }
  if (version > kSqliteFormatVersion) {
    return FailedPrecondition(path + " has store format version " + std::to_string(version) +
                              ", this program knows versions up to " +
                              std::to_string(kSqliteFormatVersion) +
                              ": start the newer program that wrote it, or restore a backup "
                              "made by this one");
  }
  if (version < 1) {
    return Corrupted("the store is damaged",
                     "impossible store format version " + std::to_string(version));
  }
  return Ok();
}

}  // namespace

Status PrepareSqliteFormat(SqliteConnection& connection, const std::string& path) {
  const std::int64_t application = KMS_TRY(connection.QueryInteger("PRAGMA application_id"));
  const std::int64_t version = KMS_TRY(connection.QueryInteger("PRAGMA user_version"));
  const std::int64_t tables =
      KMS_TRY(connection.QueryInteger("SELECT count(*) FROM sqlite_schema"));
  const bool is_new = application == 0 && version == 0 && tables == 0;
  if (!is_new) {
    KMS_TRY(CheckMarks(application, version, path));
  }
  const std::string mode = KMS_TRY(connection.QueryText("PRAGMA journal_mode=WAL"));
  if (mode != "wal") {
    return FailedPrecondition(path + " cannot use a write-ahead log (journal mode " + mode +
                              "): put it on a local file system");
  }
  if (is_new) {
    return CreateTables(connection);
  }
  return version == 1 ? MoveFromFirstFormat(connection) : Ok();
}

Status CheckSqliteIntegrity(SqliteConnection& connection, const std::string& path) {
  const std::string verdict = KMS_TRY(connection.QueryText("PRAGMA quick_check(1)"));
  if (verdict != "ok") {
    return ExplainOpenFailure(Corrupted("the store is damaged", "quick_check: " + verdict), path);
  }
  return Ok();
}

Status CheckpointSqlite(SqliteConnection& connection) {
  const std::int64_t busy = KMS_TRY(connection.QueryInteger("PRAGMA wal_checkpoint(TRUNCATE)"));
  if (busy != 0) {
    return Unavailable("the store is not available",
                       "a reader of the database file kept the write-ahead log from being emptied");
  }
  return Ok();
}

Error ExplainOpenFailure(Error error, const std::string& path) {
  if (error.code == ErrorCode::kCorrupted) {
    error.public_message = "the store file " + path +
                           " is damaged: move it and its -wal file aside and restore the latest "
                           "backup";
  }
  if (error.code == ErrorCode::kUnavailable) {
    error.public_message =
        "the store file " + path + " cannot be used: check free space, permissions and the disk";
  }
  return error;
}

}  // namespace kms
