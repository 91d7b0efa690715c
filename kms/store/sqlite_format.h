// SPDX-License-Identifier: Apache-2.0
// The file format of the SQLite store: tables, marks, and the checks made before use.
//
//   application_id  0x6B6D7331 ("kms1"): this is a store of ours
//   user_version    format version, 2; 1 had no table digest and is moved when it is opened
//   entry           path TEXT PRIMARY KEY (compared bytewise), value BLOB, revision INTEGER
//   revision        one row: the number of the last commit
//   digest          sums over the sealed entries: kms/store/digested_commits.h
#pragma once

#include <string>

#include "kms/base/result.h"
#include "kms/store/sqlite_connection.h"

namespace kms {

inline constexpr std::int64_t kSqliteApplicationId = 0x6B6D7331;
inline constexpr std::int64_t kSqliteFormatVersion = 2;

// Creates the tables in an empty file, or checks that the file is a store of a version we know.
// Changes nothing in a file it refuses. Errors: kFailedPrecondition (a newer version, naming both;
// a database of another program), kCorrupted, kUnavailable.
Status PrepareSqliteFormat(SqliteConnection& connection, const std::string& path);

// Reads every page. Errors: kCorrupted, naming the file and the remedy.
Status CheckSqliteIntegrity(SqliteConnection& connection, const std::string& path);

// Moves every committed page into the database file, synced, and empties the write-ahead log.
// Errors: kUnavailable, also when a reader held on for longer than the busy timeout.
Status CheckpointSqlite(SqliteConnection& connection);

// Says for an error met while opening `path` what an operator should do.
Error ExplainOpenFailure(Error error, const std::string& path);

}  // namespace kms
