// SPDX-License-Identifier: Apache-2.0
#include "kms/tasks/task_entries.h"

#include <optional>
#include <string>
#include <utility>

#include "kms/store/list_all.h"

namespace kms {

namespace {

constexpr std::string_view kPrefix = "tasks/";

std::string PathOf(const Uuid& id) { return std::string(kPrefix) + id.ToString(); }

// Commits one change; when nobody knows what became of it, looks.
Status CommitOne(SealedStore& sys, const std::string& path, const std::optional<ByteView>& wanted) {
  SealedMutation mutation{.path = path, .value = std::nullopt, .expected_revision = std::nullopt};
  if (wanted) {
    mutation.value = KMS_TRY(SecretBytes::CopyOf(*wanted));
  }
  std::vector<SealedMutation> mutations;
  mutations.push_back(std::move(mutation));
  const Result<Revision> committed = sys.Commit(std::move(mutations));
  if (committed.has_value()) {
    return Ok();
  }
  if (committed.error().code != ErrorCode::kOutcomeUnknown) {
    return committed.error();
  }
  const auto reread = sys.Get(path);
  if (!reread.has_value()) {
    return committed.error();
  }
  const std::optional<OpenedEntry>& entry = *reread;
  const bool done = entry.has_value() == wanted.has_value() &&
                    (!entry || EqualInConstantTime(entry->value.View(), *wanted));
  return done ? Ok() : Unavailable("storage failed, nothing was changed", committed.error().detail);
}

Result<std::optional<TaskRecord>> ReadOne(SealedStore& sys, const std::string& path) {
  const std::optional<OpenedEntry> entry = KMS_TRY(sys.Get(path));
  if (!entry) {
    return std::optional<TaskRecord>{};
  }
  return std::optional<TaskRecord>{KMS_TRY(TaskRecord::Decode(entry->value.View()))};
}

}  // namespace

Status StoreTask(SealedStore& sys, const TaskRecord& record) {
  return StoreEntry(sys, PathOf(record.id), record.Encode());
}

Status EraseTask(SealedStore& sys, const Uuid& id) {
  return CommitOne(sys, PathOf(id), std::nullopt);
}

Status StoreEntry(SealedStore& sys, const std::string& path, ByteView value) {
  return CommitOne(sys, path, value);
}

Result<std::vector<TaskRecord>> ReadTasks(
    SealedStore& sys, const std::function<void(const std::string& path)>& on_damage) {
  std::vector<TaskRecord> records;
  for (const ListedEntry& listed : KMS_TRY(ListAll(sys, kPrefix))) {
    Result<std::optional<TaskRecord>> record = ReadOne(sys, listed.path);
    if (!record.has_value() && record.error().code == ErrorCode::kCorrupted) {
      on_damage(listed.path);
      continue;
    }
    std::optional<TaskRecord> found = KMS_TRY(std::move(record));
    if (found) {
      records.push_back(*std::move(found));
    }
  }
  return records;
}

}  // namespace kms
