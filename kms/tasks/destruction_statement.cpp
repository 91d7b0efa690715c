// SPDX-License-Identifier: Apache-2.0
// One statement, format 1 (numbers big-endian, texts and bytes with a 4-byte length):
//
//   'D' | 1 | id(16) | environment text | environment id(16) | version(4)
//       | number of objects(4) | per object: hsm text, token label text, token serial text, id(16),
//         label text, made(8)
//       | asked by text | text | signature bytes | public key bytes
//
// Format 2 is written when something could not be destroyed, and goes on with
//
//       | number of such objects(4) | per object: as above, declared lost(8), declared by text,
//         reason text
#include "kms/tasks/destruction_statement.h"

#include <utility>

#include "kms/audit/json_text.h"
#include "kms/base/record_codec.h"
#include "kms/store/list_all.h"
#include "kms/tasks/task_entries.h"

namespace kms {

namespace {

constexpr char kKind = 'D';
constexpr std::uint8_t kFormat = 1;
constexpr std::uint8_t kFormatWithLost = 2;
constexpr std::string_view kWhat = "statement of a destroyed master key";
constexpr std::string_view kPrefix = "statements/";
constexpr std::size_t kMaxTextBytes = 1024;

// `"name":"value"`, with what stands before it.
void AppendMember(std::string_view before, std::string_view name, std::string_view value,
                  std::string& out) {
  out += before;
  AppendJsonString(name, kMaxTextBytes, out);
  out += ':';
  AppendJsonString(value, kMaxTextBytes, out);
}

// Without the brace at its end.
void AppendObject(const DestroyedObject& object, std::string& out) {
  AppendMember("{", "hsm", object.hsm, out);
  AppendMember(",", "token_label", object.token_label, out);
  AppendMember(",", "token_serial", object.token_serial, out);
  AppendMember(",", "cka_id", object.id.ToString(), out);
  AppendMember(",", "cka_label", object.label, out);
  AppendMember(",", "made", ToRfc3339(WallTime(std::chrono::seconds(object.made_unix_seconds))),
               out);
}

void AppendLost(const LostObject& lost, std::string& out) {
  AppendObject(lost.object, out);
  AppendMember(",", "declared_lost",
               ToRfc3339(WallTime(std::chrono::seconds(lost.declared_unix_seconds))), out);
  AppendMember(",", "declared_by", lost.declared_by, out);
  AppendMember(",", "reason", lost.reason, out);
  out += '}';
}

void PutObject(const DestroyedObject& object, RecordWriter& writer) {
  writer.PutText(object.hsm);
  writer.PutText(object.token_label);
  writer.PutText(object.token_serial);
  writer.PutRaw(object.id.View());
  writer.PutText(object.label);
  writer.Put(object.made_unix_seconds);
}

DestroyedObject GetObject(RecordReader& reader) {
  DestroyedObject object;
  object.hsm = reader.GetText();
  object.token_label = reader.GetText();
  object.token_serial = reader.GetText();
  object.id = reader.GetUuid();
  object.label = reader.GetText();
  object.made_unix_seconds = reader.Get<std::int64_t>();
  return object;
}

LostObject GetLost(RecordReader& reader) {
  LostObject lost;
  lost.object = GetObject(reader);
  lost.declared_unix_seconds = reader.Get<std::int64_t>();
  lost.declared_by = reader.GetText();
  lost.reason = reader.GetText();
  return lost;
}

}  // namespace

std::string DestructionStatement::Render(WallTime destroyed, std::string_view audit_head) const {
  std::string out;
  AppendMember("{", "statement",
               not_destroyed.empty() ? "kms master key destruction v1"
                                     : "kms master key destruction v2",
               out);
  AppendMember(",", "id", id.ToString(), out);
  AppendMember(",", "environment", environment, out);
  AppendMember(",", "environment_id", environment_id.ToString(), out);
  out += ",\"master_key_version\":";
  AppendJsonNumber(std::uint64_t{version}, out);
  out += ",\"objects\":[";
  for (std::size_t index = 0; index < objects.size(); ++index) {
    out += index == 0 ? "" : ",";
    AppendObject(objects[index], out);
    out += '}';
  }
  out += ']';
  if (!not_destroyed.empty()) {
    out += ",\"not_destroyed\":[";
    for (std::size_t index = 0; index < not_destroyed.size(); ++index) {
      out += index == 0 ? "" : ",";
      AppendLost(not_destroyed[index], out);
    }
    out += ']';
  }
  AppendMember(",", "asked_by", asked_by, out);
  AppendMember(",", "destroyed", ToRfc3339(destroyed), out);
  AppendMember(",", "audit_head", audit_head, out);
  out += '}';
  return out;
}

Bytes DestructionStatement::Encode() const {
  RecordWriter writer(kKind, not_destroyed.empty() ? kFormat : kFormatWithLost);
  writer.PutRaw(id.View());
  writer.PutText(environment);
  writer.PutRaw(environment_id.View());
  writer.Put(version);
  writer.Put(static_cast<std::uint32_t>(objects.size()));
  for (const DestroyedObject& object : objects) {
    PutObject(object, writer);
  }
  writer.PutText(asked_by);
  writer.PutText(text);
  writer.PutSized(signature);
  writer.PutSized(public_key);
  if (!not_destroyed.empty()) {
    writer.Put(static_cast<std::uint32_t>(not_destroyed.size()));
    for (const LostObject& lost : not_destroyed) {
      PutObject(lost.object, writer);
      writer.Put(lost.declared_unix_seconds);
      writer.PutText(lost.declared_by);
      writer.PutText(lost.reason);
    }
  }
  return writer.Take();
}

Result<DestructionStatement> DestructionStatement::Decode(ByteView encoded) {
  RecordReader reader(encoded);
  const std::uint8_t format = KMS_TRY(ReadHead(reader, kKind, kFormatWithLost, kWhat));
  DestructionStatement statement;
  statement.id = reader.GetUuid();
  statement.environment = reader.GetText();
  statement.environment_id = reader.GetUuid();
  statement.version = reader.Get<std::uint32_t>();
  const auto objects = reader.Get<std::uint32_t>();
  for (std::uint32_t index = 0; index < objects && !reader.failed(); ++index) {
    statement.objects.push_back(GetObject(reader));
  }
  statement.asked_by = reader.GetText();
  statement.text = reader.GetText();
  statement.signature = CopyOf(reader.GetSized());
  statement.public_key = CopyOf(reader.GetSized());
  const auto lost = format == kFormatWithLost ? reader.Get<std::uint32_t>() : 0U;
  for (std::uint32_t index = 0; index < lost && !reader.failed(); ++index) {
    statement.not_destroyed.push_back(GetLost(reader));
  }
  if (format == kFormatWithLost && lost == 0) {
    reader.Fail();  // one record has one encoding
  }
  if (!reader.Finished()) {
    return DamagedRecord(kWhat, "malformed");
  }
  return statement;
}

Status StoreStatement(SealedStore& sys, const DestructionStatement& statement) {
  return StoreEntry(sys, std::string(kPrefix) + statement.id.ToString(), statement.Encode());
}

Result<std::optional<DestructionStatement>> ReadStatement(SealedStore& sys, const Uuid& id) {
  const std::optional<OpenedEntry> entry = KMS_TRY(sys.Get(std::string(kPrefix) + id.ToString()));
  if (!entry) {
    return std::optional<DestructionStatement>{};
  }
  return std::optional<DestructionStatement>{
      KMS_TRY(DestructionStatement::Decode(entry->value.View()))};
}

Result<std::vector<DestructionStatement>> ReadStatements(SealedStore& sys) {
  std::vector<DestructionStatement> statements;
  for (const ListedEntry& listed : KMS_TRY(ListAll(sys, kPrefix))) {
    const std::optional<OpenedEntry> entry = KMS_TRY(sys.Get(listed.path));
    if (!entry) {
      continue;
    }
    DestructionStatement statement = KMS_TRY(DestructionStatement::Decode(entry->value.View()));
    if (statement.complete()) {
      statements.push_back(std::move(statement));
    }
  }
  return statements;
}

}  // namespace kms
