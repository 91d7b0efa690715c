// SPDX-License-Identifier: Apache-2.0
// Numbers are big-endian, text is a 4-byte length and UTF-8, flags are one byte, 0 or 1.
//
//   EnvironmentRecord   'E' | 1 | stage(1) | id(16) | name text | accessor text
//                       | created, unix seconds(8) | description text | protected flag
//                       | upsert disabled flag | default lease ttl, seconds(8)
//                       | max lease ttl, seconds(8) | number of options(4)
//                       | per option, by key: key text, value text
//   PendingEnvironment  'P' | 2 | environment id(16) | master key id(16)
//                       | number of HSMs(4) | per HSM: name text
//                       format 1 ends after the master key id: it is of the HSM "default"
//   RootRecord          'R' | 1 | stage(1) | sys id(16) | master key id of sys(16)
#include "kms/operations/environment_record.h"

#include <utility>

#include "kms/base/record_codec.h"
#include "kms/master/key_group.h"

namespace kms {

namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::uint8_t kPendingFormat = 2;

void PutSettings(const EnvironmentSettings& settings, RecordWriter& writer) {
  writer.PutText(settings.description);
  writer.PutFlag(settings.is_protected);
  writer.PutFlag(settings.disable_upsert);
  writer.Put(settings.default_lease_ttl_seconds);
  writer.Put(settings.max_lease_ttl_seconds);
  writer.Put(static_cast<std::uint32_t>(settings.options.size()));
  for (const auto& [key, value] : settings.options) {
    writer.PutText(key);
    writer.PutText(value);
  }
}

EnvironmentSettings GetSettings(RecordReader& reader) {
  EnvironmentSettings settings;
  settings.description = reader.GetText();
  settings.is_protected = reader.GetFlag();
  settings.disable_upsert = reader.GetFlag();
  settings.default_lease_ttl_seconds = reader.Get<std::int64_t>();
  settings.max_lease_ttl_seconds = reader.Get<std::int64_t>();
  const auto options = reader.Get<std::uint32_t>();
  for (std::uint32_t index = 0; index < options && !reader.failed(); ++index) {
    std::string key = reader.GetText();
    // One record has one encoding: keys are in order and none is there twice.
    if (!settings.options.empty() && key <= settings.options.rbegin()->first) {
      reader.Fail();
    }
    settings.options.insert_or_assign(std::move(key), reader.GetText());
  }
  return settings;
}

}  // namespace

Bytes EnvironmentRecord::Encode() const {
  RecordWriter writer('E', kFormat);
  writer.Put(static_cast<std::uint8_t>(stage));
  writer.PutRaw(identity.id.View());
  writer.PutText(identity.name);
  writer.PutText(identity.accessor);
  writer.Put(identity.created_unix_seconds);
  PutSettings(settings, writer);
  return writer.Take();
}

Result<EnvironmentRecord> EnvironmentRecord::Decode(ByteView encoded) {
  constexpr std::string_view kWhat = "environment record";
  RecordReader reader(encoded);
  KMS_TRY(ReadHead(reader, 'E', kFormat, kWhat));
  EnvironmentRecord record;
  record.stage = static_cast<EnvironmentStage>(reader.Get<std::uint8_t>());
  record.identity.id = reader.GetUuid();
  record.identity.name = reader.GetText();
  record.identity.accessor = reader.GetText();
  record.identity.created_unix_seconds = reader.Get<std::int64_t>();
  record.settings = GetSettings(reader);
  const bool known =
      record.stage == EnvironmentStage::kActive || record.stage == EnvironmentStage::kDeleting;
  if (!reader.Finished() || !known) {
    return DamagedRecord(kWhat, "malformed");
  }
  return record;
}

Bytes PendingEnvironment::Encode() const {
  RecordWriter writer('P', kPendingFormat);
  writer.PutRaw(environment_id.View());
  writer.PutRaw(master_key_id.View());
  writer.Put(static_cast<std::uint32_t>(hsms.size()));
  for (const std::string& hsm : hsms) {
    writer.PutText(hsm);
  }
  return writer.Take();
}

Result<PendingEnvironment> PendingEnvironment::Decode(ByteView encoded) {
  constexpr std::string_view kWhat = "record of an interrupted creation";
  RecordReader reader(encoded);
  const std::uint8_t format = KMS_TRY(ReadHead(reader, 'P', kPendingFormat, kWhat));
  PendingEnvironment pending;
  pending.environment_id = reader.GetUuid();
  pending.master_key_id = reader.GetUuid();
  if (format == 1) {
    pending.hsms.emplace_back(kDefaultHsm);
  } else {
    const auto hsms = reader.Get<std::uint32_t>();
    for (std::uint32_t index = 0; index < hsms && !reader.failed(); ++index) {
      pending.hsms.push_back(reader.GetText());
    }
  }
  if (!reader.Finished() || pending.hsms.empty()) {
    return DamagedRecord(kWhat, "malformed");
  }
  return pending;
}

Bytes RootRecord::Encode() const {
  RecordWriter writer('R', kFormat);
  writer.Put(static_cast<std::uint8_t>(stage));
  writer.PutRaw(sys_id.View());
  writer.PutRaw(sys_master_key_id.View());
  return writer.Take();
}

Result<RootRecord> RootRecord::Decode(ByteView encoded) {
  constexpr std::string_view kWhat = "root record of the store";
  RecordReader reader(encoded);
  KMS_TRY(ReadHead(reader, 'R', kFormat, kWhat));
  RootRecord root;
  root.stage = static_cast<RootStage>(reader.Get<std::uint8_t>());
  root.sys_id = reader.GetUuid();
  root.sys_master_key_id = reader.GetUuid();
  const bool known = root.stage == RootStage::kCreating || root.stage == RootStage::kInitialised;
  if (!reader.Finished() || !known) {
    return DamagedRecord(kWhat, "malformed");
  }
  return root;
}

}  // namespace kms
