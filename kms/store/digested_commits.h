// SPDX-License-Identifier: Apache-2.0
// DigestedCommits: keeps the stored sums of a SQLite store in step with its entries, inside the
// transactions that change them.
//
//   digest   directory TEXT PRIMARY KEY, value BLOB (SetDigest::SealSum)
//
// The row of directory "" is over all; its revision is that of the last commit, whatever it
// changed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/result.h"
#include "kms/store/set_digest.h"
#include "kms/store/sqlite_connection.h"
#include "kms/store/store.h"

namespace kms {

// How the entries of one directory differ from what its sum says.
struct DirectoryDifference {
  std::string directory;       // "e/<environment id>/<first segment>"
  std::uint64_t expected = 0;  // entries; the same number with another sum: some were changed
  std::uint64_t found = 0;
  friend bool operator==(const DirectoryDifference&, const DirectoryDifference&) = default;
};

struct DigestReport {
  bool present = false;   // false: no sums were ever stored, or all are gone
  bool damaged = false;   // some do not authenticate, or do not add up
  Revision revision = 0;  // of the last commit that kept them
  std::uint64_t entries = 0;
  std::string tag;  // SetDigest::Tag over what was found, at the store's revision
  std::vector<DirectoryDifference> differences;

  [[nodiscard]] bool good() const { return present && !damaged && differences.empty(); }
};

struct DigestMark {
  Revision revision = 0;
  std::string tag;
};

// Thread rule: one thread at a time; inside a write transaction of `connection`.
class DigestedCommits {
 public:
  // Both must outlive it.
  static Result<DigestedCommits> Prepare(SqliteConnection& connection, SetDigest& digest);

  // Before an entry changes; `value` is what it will be, absent for a deletion.
  Status Note(const Mutation& mutation, Revision new_revision);
  // Once per transaction, after every Note.
  Status Store(Revision revision);
  // Computes every sum anew.
  Status Rebuild(Revision revision);
  // After COMMIT succeeded.
  Result<DigestMark> Mark(Revision revision);

 private:
  DigestedCommits(SqliteConnection& connection, SetDigest& digest)
      : connection_(&connection), digest_(&digest) {}
  Result<EntrySum*> Find(const std::string& directory);
  Status Put(const std::string& directory, const EntrySum& sum, Revision revision);

  SqliteConnection* connection_;
  SetDigest* digest_;
  SqliteStatement old_entry_;
  SqliteStatement get_;
  SqliteStatement put_;
  SqliteStatement erase_;
  // As of the last commit, with what the transaction has changed so far.
  std::map<std::string, EntrySum, std::less<>> sums_;
  std::vector<std::string> changed_;
};

// Whether sums are stored at all.
Result<bool> HasStoredDigest(SqliteConnection& connection);

// Reads every sealed entry and compares. `connection` is not in a transaction. Errors:
// kUnavailable, kCorrupted (of the file).
Result<DigestReport> CheckStoredDigest(SqliteConnection& connection, SetDigest& digest);

}  // namespace kms
