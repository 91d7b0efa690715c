// SPDX-License-Identifier: Apache-2.0
#include "kms/store/digested_commits.h"

#include <algorithm>
#include <set>
#include <utility>

namespace kms {

namespace {

constexpr const char* kWhole = "";
constexpr std::string_view kSelectEntries =
    "SELECT path, value, revision FROM entry WHERE path >= 'e/' AND path < 'e0' ORDER BY path";

using Sums = std::map<std::string, EntrySum, std::less<>>;

// The sums of what is there now, that over all among them.
Result<Sums> ComputeSums(SqliteConnection& connection, SetDigest& digest) {
  Sums sums;
  EntrySum& whole = sums[kWhole];
  SqliteStatement select = KMS_TRY(connection.Prepare(kSelectEntries));
  while (KMS_TRY(select.Step())) {
    const std::string_view path = select.ColumnText(0);
    const auto revision = static_cast<Revision>(select.ColumnInteger(2));
    const EntrySum entry = KMS_TRY(digest.SumOf(path, select.ColumnBlob(1), revision));
    sums[SetDigest::DirectoryOf(path)] += entry;
    whole += entry;
  }
  return sums;
}

struct StoredSums {
  Sums sums;
  Revision revision = 0;
  bool damaged = false;
};

Result<StoredSums> ReadSums(SqliteConnection& connection, SetDigest& digest) {
  StoredSums stored;
  SqliteStatement select = KMS_TRY(connection.Prepare("SELECT directory, value FROM digest"));
  while (KMS_TRY(select.Step())) {
    const std::string directory(select.ColumnText(0));
    const Result<SetDigest::OpenedSum> opened = digest.OpenSum(directory, select.ColumnBlob(1));
    if (!opened.has_value()) {
      if (opened.error().code != ErrorCode::kCorrupted) {
        return opened.error();
      }
      stored.damaged = true;
      continue;
    }
    stored.sums[directory] = opened->sum;
    if (directory == kWhole) {
      stored.revision = opened->revision;
    }
  }
  return stored;
}

std::vector<DirectoryDifference> Compare(const Sums& expected, const Sums& found) {
  std::set<std::string> directories;
  for (const auto& [directory, sum] : expected) {
    directories.insert(directory);
  }
  for (const auto& [directory, sum] : found) {
    directories.insert(directory);
  }
  directories.erase(kWhole);
  std::vector<DirectoryDifference> differences;
  for (const std::string& directory : directories) {
    const auto left = expected.find(directory);
    const auto right = found.find(directory);
    const EntrySum wanted = left == expected.end() ? EntrySum{} : left->second;
    const EntrySum there = right == found.end() ? EntrySum{} : right->second;
    if (!(wanted == there)) {
      differences.push_back(
          {.directory = directory, .expected = wanted.count, .found = there.count});
    }
  }
  return differences;
}

Result<DigestReport> CheckInTransaction(SqliteConnection& connection, SetDigest& digest) {
  const StoredSums stored = KMS_TRY(ReadSums(connection, digest));
  const Sums found = KMS_TRY(ComputeSums(connection, digest));
  const auto current =
      static_cast<Revision>(KMS_TRY(connection.QueryInteger("SELECT current FROM revision")));
  const EntrySum& whole = found.at(kWhole);
  DigestReport report;
  report.present = !stored.sums.empty() || stored.damaged;
  report.revision = stored.revision;
  report.entries = whole.count;
  report.tag = KMS_TRY(digest.Tag(whole, current));
  if (!report.present) {
    return report;
  }
  report.differences = Compare(stored.sums, found);
  const auto kept = stored.sums.find(kWhole);
  // A row that went with its entries is missed by the sum over all.
  const bool adds_up =
      kept != stored.sums.end() && (kept->second == whole || !report.differences.empty());
  report.damaged = stored.damaged || !adds_up;
  return report;
}

}  // namespace

Result<DigestedCommits> DigestedCommits::Prepare(SqliteConnection& connection, SetDigest& digest) {
  DigestedCommits commits(connection, digest);
  commits.old_entry_ =
      KMS_TRY(connection.Prepare("SELECT value, revision FROM entry WHERE path = ?1"));
  commits.get_ = KMS_TRY(connection.Prepare("SELECT value FROM digest WHERE directory = ?1"));
  commits.put_ = KMS_TRY(connection.Prepare(
      "INSERT INTO digest(directory, value) VALUES(?1, ?2) ON CONFLICT(directory) DO UPDATE SET "
      "value = excluded.value"));
  commits.erase_ = KMS_TRY(connection.Prepare("DELETE FROM digest WHERE directory = ?1"));
  return commits;
}

Result<EntrySum*> DigestedCommits::Find(const std::string& directory) {
  const auto known = sums_.find(directory);
  if (known != sums_.end()) {
    return &known->second;
  }
  const ResetAtEnd reset(get_);
  get_.Bind(1, std::string_view(directory));
  EntrySum sum;
  if (KMS_TRY(get_.Step())) {
    sum = KMS_TRY(digest_->OpenSum(directory, get_.ColumnBlob(0))).sum;
  }
  return &sums_.emplace(directory, sum).first->second;
}

Status DigestedCommits::Note(const Mutation& mutation, Revision new_revision) {
  if (!SetDigest::Covers(mutation.path)) {
    return Ok();
  }
  const std::string directory = SetDigest::DirectoryOf(mutation.path);
  EntrySum* const part = KMS_TRY(Find(directory));
  EntrySum* const whole = KMS_TRY(Find(kWhole));
  const ResetAtEnd reset(old_entry_);
  old_entry_.Bind(1, std::string_view(mutation.path));
  if (KMS_TRY(old_entry_.Step())) {
    const auto revision = static_cast<Revision>(old_entry_.ColumnInteger(1));
    const EntrySum old = KMS_TRY(digest_->SumOf(mutation.path, old_entry_.ColumnBlob(0), revision));
    *part -= old;
    *whole -= old;
  }
  if (mutation.value) {
    const EntrySum entry = KMS_TRY(digest_->SumOf(mutation.path, *mutation.value, new_revision));
    *part += entry;
    *whole += entry;
  }
  changed_.push_back(directory);
  return Ok();
}

Status DigestedCommits::Store(Revision revision) {
  std::ranges::sort(changed_);
  const auto repeated = std::ranges::unique(changed_);
  changed_.erase(repeated.begin(), repeated.end());
  for (const std::string& directory : changed_) {
    KMS_TRY(Put(directory, sums_[directory], revision));
  }
  changed_.clear();
  const EntrySum* const whole = KMS_TRY(Find(kWhole));
  return Put(kWhole, *whole, revision);
}

Status DigestedCommits::Put(const std::string& directory, const EntrySum& sum, Revision revision) {
  if (sum == EntrySum{} && directory != kWhole) {
    const ResetAtEnd reset(erase_);
    erase_.Bind(1, std::string_view(directory));
    KMS_TRY(erase_.Step());
    return Ok();
  }
  const Bytes row = KMS_TRY(digest_->SealSum(directory, sum, revision));
  const ResetAtEnd reset(put_);
  put_.Bind(1, std::string_view(directory));
  put_.Bind(2, ByteView(row));
  KMS_TRY(put_.Step());
  return Ok();
}

Status DigestedCommits::Rebuild(Revision revision) {
  sums_ = KMS_TRY(ComputeSums(*connection_, *digest_));
  changed_.clear();
  KMS_TRY(connection_->Execute("DELETE FROM digest"));
  for (const auto& [directory, sum] : sums_) {
    KMS_TRY(Put(directory, sum, revision));
  }
  return Ok();
}

Result<DigestMark> DigestedCommits::Mark(Revision revision) {
  const EntrySum* const whole = KMS_TRY(Find(kWhole));
  return DigestMark{.revision = revision, .tag = KMS_TRY(digest_->Tag(*whole, revision))};
}

Result<bool> HasStoredDigest(SqliteConnection& connection) {
  const std::int64_t rows = KMS_TRY(connection.QueryInteger("SELECT count(*) FROM digest"));
  return rows != 0;
}

Result<DigestReport> CheckStoredDigest(SqliteConnection& connection, SetDigest& digest) {
  KMS_TRY(connection.Execute("BEGIN"));
  Result<DigestReport> report = CheckInTransaction(connection, digest);
  IgnoreError(connection.Execute("COMMIT"), "nothing was written");
  return report;
}

}  // namespace kms
