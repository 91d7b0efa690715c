// SPDX-License-Identifier: Apache-2.0
#include "kms/store/sqlite_writer.h"

#include <algorithm>
#include <string>

#include "kms/store/sqlite_format.h"

namespace kms {
namespace {

// Pages in the write-ahead log at which it is copied into the database file, and at which commits
// are refused because a foreign reader has kept that from happening (64 MiB of 4 KiB pages).
constexpr std::int64_t kCheckpointPages = 1000;
constexpr std::int64_t kMaxWalPages = 16384;

Revision AsRevision(std::int64_t column) { return static_cast<Revision>(column); }

}  // namespace

Result<std::unique_ptr<SqliteWriter>> SqliteWriter::Open(const SqliteStoreOptions& options) {
  auto writer = std::make_unique<SqliteWriter>(
      KMS_TRY(SqliteConnection::Open({.path = options.path, .vfs = options.vfs})));
  KMS_TRY(PrepareSqliteFormat(writer->connection_, options.path));
  KMS_TRY(CheckSqliteIntegrity(writer->connection_, options.path));
  KMS_TRY(CheckpointSqlite(writer->connection_));
  KMS_TRY(writer->Prepare());
  writer->has_sums_ = KMS_TRY(HasStoredDigest(writer->connection_));
  return writer;
}

void SqliteWriter::KeepDigest(SetDigest& digest) {
  digest_ = &digest;
  digested_.reset();
}

std::optional<DigestMark> SqliteWriter::Mark() {
  if (!digested_ || last_revision_ == 0) {
    return std::nullopt;
  }
  const Result<DigestMark> mark = digested_->Mark(last_revision_);
  return mark.has_value() ? std::optional(*mark) : std::nullopt;
}

Result<Revision> SqliteWriter::SkipTo(Revision revision) {
  KMS_TRY(Run(begin_));
  const Status skipped = SkipInTransaction(revision);
  if (!skipped.has_value()) {
    RollBack(skipped.error());
    return skipped.error();
  }
  KMS_TRY(Run(commit_));
  return last_revision_;
}

Status SqliteWriter::SettleDigest(bool rebuild) {
  KMS_TRY(Run(begin_));
  const Status settled = SettleInTransaction(rebuild);
  if (!settled.has_value()) {
    RollBack(settled.error());
    return settled;
  }
  KMS_TRY(Run(commit_));
  has_sums_ = true;
  return Ok();
}

Result<Revision> SqliteWriter::Commit(const std::vector<Mutation>& mutations) {
  KMS_TRY(BoundWal());
  KMS_TRY(Run(begin_));
  Result<Revision> revision = Apply(mutations);
  if (!revision.has_value()) {
    RollBack(revision.error());
    return revision;
  }
  const Status committed = Run(commit_);
  if (!committed.has_value()) {
    usable_ = false;
    return MakeError(ErrorCode::kOutcomeUnknown, "the outcome of a write is unknown",
                     committed.error().detail);
  }
  last_revision_ = *revision;
  NoteWalGrowth(mutations.size());
  return revision;
}

Status SqliteWriter::Prepare() {
  begin_ = KMS_TRY(connection_.Prepare("BEGIN IMMEDIATE"));
  commit_ = KMS_TRY(connection_.Prepare("COMMIT"));
  roll_back_ = KMS_TRY(connection_.Prepare("ROLLBACK"));
  revision_of_ = KMS_TRY(connection_.Prepare("SELECT revision FROM entry WHERE path = ?1"));
  next_revision_ = KMS_TRY(connection_.Prepare(
      "UPDATE revision SET current = current + 1 WHERE id = 1 RETURNING current"));
  put_ = KMS_TRY(connection_.Prepare(
      "INSERT INTO entry(path, value, revision) VALUES(?1, ?2, ?3) ON CONFLICT(path) DO UPDATE "
      "SET value = excluded.value, revision = excluded.revision"));
  erase_ = KMS_TRY(connection_.Prepare("DELETE FROM entry WHERE path = ?1"));
  checkpoint_ = KMS_TRY(connection_.Prepare("PRAGMA wal_checkpoint(PASSIVE)"));
  return Ok();
}

Status SqliteWriter::Run(SqliteStatement& statement) {
  const ResetAtEnd reset(statement);
  const Result<bool> stepped = statement.Step();
  if (!stepped.has_value()) {
    usable_ = usable_ && connection_.last_error_was_busy();
    return stepped.error();
  }
  return Ok();
}

Result<Revision> SqliteWriter::Apply(const std::vector<Mutation>& mutations) {
  for (const Mutation& mutation : mutations) {
    KMS_TRY(CheckExpectation(mutation));
  }
  KMS_TRY(PrepareSums(mutations));
  const Revision revision = KMS_TRY(NextRevision());
  for (const Mutation& mutation : mutations) {
    if (digested_) {
      KMS_TRY(digested_->Note(mutation, OwnRevision(mutation, revision)));
    }
    KMS_TRY(mutation.value ? Put(mutation, revision) : Erase(mutation));
  }
  if (digested_) {
    KMS_TRY(digested_->Store(revision));
  }
  return revision;
}

Revision SqliteWriter::OwnRevision(const Mutation& mutation, Revision revision) {
  return mutation.keeps_revision ? *mutation.expected_revision : revision;
}

Status SqliteWriter::PrepareSums(const std::vector<Mutation>& mutations) {
  if (digest_ != nullptr) {
    return PrepareDigested();
  }
  const bool would_break_them =
      has_sums_ && std::ranges::any_of(mutations, [](const Mutation& mutation) {
        return SetDigest::Covers(mutation.path);
      });
  if (would_break_them) {
    return FailedPrecondition(
        "sealed entries of this store cannot be changed by a program that "
        "does not keep their digest");
  }
  return Ok();
}

Status SqliteWriter::PrepareDigested() {
  if (!digested_) {
    digested_ = KMS_TRY(DigestedCommits::Prepare(connection_, *digest_));
  }
  return Ok();
}

Status SqliteWriter::SkipInTransaction(Revision revision) {
  KMS_TRY(connection_.Execute("UPDATE revision SET current = max(current, " +
                              std::to_string(revision) + ")"));
  if (digest_ != nullptr) {
    return SettleInTransaction(/*rebuild=*/false);
  }
  last_revision_ = AsRevision(KMS_TRY(connection_.QueryInteger("SELECT current FROM revision")));
  return Ok();
}

Status SqliteWriter::SettleInTransaction(bool rebuild) {
  KMS_TRY(PrepareDigested());
  const auto revision =
      AsRevision(KMS_TRY(connection_.QueryInteger("SELECT current FROM revision")));
  last_revision_ = revision;
  return rebuild ? digested_->Rebuild(revision) : digested_->Store(revision);
}

Status SqliteWriter::CheckExpectation(const Mutation& mutation) {
  if (mutation.keeps_revision && (!mutation.value || mutation.expected_revision.value_or(0) == 0)) {
    return InvalidArgument("only an entry that is expected keeps its revision", mutation.path);
  }
  if (!mutation.expected_revision) {
    return Ok();
  }
  const ResetAtEnd reset(revision_of_);
  revision_of_.Bind(1, mutation.path);
  const bool exists = KMS_TRY(revision_of_.Step());
  const Revision current = exists ? AsRevision(revision_of_.ColumnInteger(0)) : 0;
  if (current != *mutation.expected_revision) {
    return Conflict("the entry was changed by someone else", mutation.path);
  }
  return Ok();
}

Result<Revision> SqliteWriter::NextRevision() {
  const ResetAtEnd reset(next_revision_);
  if (!KMS_TRY(next_revision_.Step())) {
    return Corrupted("the store is damaged", "the revision row is missing");
  }
  const Revision revision = AsRevision(next_revision_.ColumnInteger(0));
  KMS_TRY(next_revision_.Step());
  return revision;
}

Status SqliteWriter::Put(const Mutation& mutation, Revision revision) {
  const ResetAtEnd reset(put_);
  put_.Bind(1, mutation.path);
  put_.Bind(2, ByteView(*mutation.value));
  put_.Bind(3, static_cast<std::int64_t>(OwnRevision(mutation, revision)));
  KMS_TRY(put_.Step());
  return Ok();
}

Status SqliteWriter::Erase(const Mutation& mutation) {
  const ResetAtEnd reset(erase_);
  erase_.Bind(1, mutation.path);
  KMS_TRY(erase_.Step());
  return Ok();
}

void SqliteWriter::RollBack(const Error& cause) {
  const bool only_refused = cause.code == ErrorCode::kConflict;
  if (!only_refused) {
    digested_.reset();  // it may have noted what did not happen
  }
  const Status rolled_back = Run(roll_back_);
  usable_ = only_refused && rolled_back.has_value();
}

void SqliteWriter::NoteWalGrowth(std::size_t mutations) {
  wal_pages_ += static_cast<std::int64_t>(mutations) + 2;
  if (wal_pages_ < kCheckpointPages) {
    return;
  }
  // PASSIVE never waits; what it cannot copy now, a later one will. Returns busy, log, copied.
  const ResetAtEnd reset(checkpoint_);
  const Result<bool> row = checkpoint_.Step();
  if (row.has_value() && *row) {
    wal_pages_ = checkpoint_.ColumnInteger(1) - checkpoint_.ColumnInteger(2);
  }
}

Status SqliteWriter::BoundWal() {
  if (wal_pages_ < kMaxWalPages) {
    return Ok();
  }
  KMS_TRY(CheckpointSqlite(connection_));
  wal_pages_ = 0;
  return Ok();
}

}  // namespace kms
