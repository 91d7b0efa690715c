// SPDX-License-Identifier: Apache-2.0
// One task, format 1 (numbers big-endian, texts with a 4-byte length):
//
//   'T' | 1 | kind(1) | state(1) | id(16) | environment text | environment id(16)
//       | number of parameters(4) | per parameter, in order: name text, value text
//       | step text | done(8) | total(8) | cursor text | entries(8) | rate limit(4)
//       | number of notes(4) | note texts
//       | created(8) | started(8) | finished(8), unix seconds
//       | error text | asked by text | accessor text
#include "kms/tasks/task_record.h"

#include <charconv>
#include <utility>

#include "kms/base/record_codec.h"

namespace kms {

namespace {

constexpr char kKind = 'T';
constexpr std::uint8_t kFormat = 1;
constexpr std::string_view kWhat = "record of a task";

bool IsKnown(TaskKind kind) {
  switch (kind) {
    case TaskKind::kRotateEnvironmentKey:
    case TaskKind::kRotateMasterKey:
    case TaskKind::kRetireMasterKey:
    case TaskKind::kRotateEverything: return true;
  }
  return false;
}

bool IsKnown(TaskState state) {
  switch (state) {
    case TaskState::kRunning:
    case TaskState::kCancelled:
    case TaskState::kFailed:
    case TaskState::kDone: return true;
  }
  return false;
}

void GetParameters(RecordReader& reader, TaskRecord& record) {
  const auto count = reader.Get<std::uint32_t>();
  for (std::uint32_t index = 0; index < count && !reader.failed(); ++index) {
    std::string name = reader.GetText();
    // One record has one encoding: names are in order and none is there twice.
    if (!record.parameters.empty() && name <= record.parameters.rbegin()->first) {
      reader.Fail();
    }
    record.parameters.insert_or_assign(std::move(name), reader.GetText());
  }
}

void GetNotes(RecordReader& reader, TaskRecord& record) {
  const auto count = reader.Get<std::uint32_t>();
  for (std::uint32_t index = 0; index < count && !reader.failed(); ++index) {
    record.notes.push_back(reader.GetText());
  }
}

}  // namespace

std::string_view TaskKindName(TaskKind kind) {
  switch (kind) {
    case TaskKind::kRotateEnvironmentKey: return "rotate-key";
    case TaskKind::kRotateMasterKey: return "rotate-master";
    case TaskKind::kRetireMasterKey: return "retire-master";
    case TaskKind::kRotateEverything: return "rotate-everything";
  }
  return "unknown";
}

std::string_view TaskStateName(TaskState state) {
  switch (state) {
    case TaskState::kRunning: return "running";
    case TaskState::kCancelled: return "cancelled";
    case TaskState::kFailed: return "failed";
    case TaskState::kDone: return "done";
  }
  return "unknown";
}

const std::string* TaskRecord::Parameter(std::string_view name) const {
  const auto found = parameters.find(std::string(name));
  return found == parameters.end() ? nullptr : &found->second;
}

std::uint32_t TaskRecord::VersionParameter(std::string_view name) const {
  const std::string* text = Parameter(name);
  std::uint32_t version = 0;
  if (text != nullptr) {
    std::from_chars(text->data(), text->data() + text->size(), version);
  }
  return version;
}

Bytes TaskRecord::Encode() const {
  RecordWriter writer(kKind, kFormat);
  writer.Put(static_cast<std::uint8_t>(kind));
  writer.Put(static_cast<std::uint8_t>(state));
  writer.PutRaw(id.View());
  writer.PutText(environment);
  writer.PutRaw(environment_id.View());
  writer.Put(static_cast<std::uint32_t>(parameters.size()));
  for (const auto& [name, value] : parameters) {
    writer.PutText(name);
    writer.PutText(value);
  }
  writer.PutText(step);
  writer.Put(done);
  writer.Put(total);
  writer.PutText(cursor);
  writer.Put(entries);
  writer.Put(rate_limit);
  writer.Put(static_cast<std::uint32_t>(notes.size()));
  for (const std::string& note : notes) {
    writer.PutText(note);
  }
  writer.Put(created_unix_seconds);
  writer.Put(started_unix_seconds);
  writer.Put(finished_unix_seconds);
  writer.PutText(error);
  writer.PutText(asked_by);
  writer.PutText(accessor);
  return writer.Take();
}

Result<TaskRecord> TaskRecord::Decode(ByteView encoded) {
  RecordReader reader(encoded);
  KMS_TRY(ReadHead(reader, kKind, kFormat, kWhat));
  TaskRecord record;
  record.kind = static_cast<TaskKind>(reader.Get<std::uint8_t>());
  record.state = static_cast<TaskState>(reader.Get<std::uint8_t>());
  record.id = reader.GetUuid();
  record.environment = reader.GetText();
  record.environment_id = reader.GetUuid();
  GetParameters(reader, record);
  record.step = reader.GetText();
  record.done = reader.Get<std::uint64_t>();
  record.total = reader.Get<std::uint64_t>();
  record.cursor = reader.GetText();
  record.entries = reader.Get<std::uint64_t>();
  record.rate_limit = reader.Get<std::uint32_t>();
  GetNotes(reader, record);
  record.created_unix_seconds = reader.Get<std::int64_t>();
  record.started_unix_seconds = reader.Get<std::int64_t>();
  record.finished_unix_seconds = reader.Get<std::int64_t>();
  record.error = reader.GetText();
  record.asked_by = reader.GetText();
  record.accessor = reader.GetText();
  if (!reader.Finished() || !IsKnown(record.kind) || !IsKnown(record.state)) {
    return DamagedRecord(kWhat, "malformed");
  }
  return record;
}

}  // namespace kms
