// SPDX-License-Identifier: Apache-2.0
// Records of one approle mount, below auth/<mount accessor>/; numbers big-endian, texts with a
// 4-byte length:
//
//   role/<name>                        'R' | 1 | id(16) | role_id text | bind_secret_id flag
//                                      | local_secret_ids flag | secret_id_num_uses(8)
//                                      | secret_id_ttl(8) | secret_id_bound_cidrs
//                                      | token parameters (token_parameters_codec)
//                                      | secret id key(32)
//   role-id/<SHA-256 of the role_id>   'I' | 1 | name of the role text
//   secret-id/<id>/<hash>              'S' | 1 | accessor text | created(8) | updated(8)
//                                      | expires(8) | ttl(8) | limited flag | uses left(8)
//                                      | number of metadata(4) | per one, by key: key text, value
//                                      text | cidr_list | token_bound_cidrs
//   secret-id-accessor/<id>/<accessor> 'A' | 1 | hash(32)
//
// <id> is the role's, so that an accessor of one role finds nothing of another (CVE-2023-24999);
// <hash> is HMAC-SHA-256(secret id key, secret id) in hex.
#include "kms/identity/approle_records.h"

#include <algorithm>
#include <utility>

#include "kms/base/record_codec.h"
#include "kms/identity/entry_commit.h"
#include "kms/identity/record_lists.h"
#include "kms/identity/token_parameters_codec.h"

namespace kms {
namespace {

constexpr std::uint8_t kFormat = 1;

Error Damaged(const char* what) { return Corrupted("damaged entry", what); }

void PutMetadata(const std::map<std::string, std::string>& metadata, RecordWriter& writer) {
  writer.Put(static_cast<std::uint32_t>(metadata.size()));
  for (const auto& [key, value] : metadata) {
    writer.PutText(key);
    writer.PutText(value);
  }
}

std::map<std::string, std::string> GetMetadata(RecordReader& reader) {
  std::map<std::string, std::string> metadata;
  const auto count = reader.Get<std::uint32_t>();
  for (std::uint32_t i = 0; i < count && !reader.failed(); ++i) {
    std::string key = reader.GetText();
    // One record has one encoding: keys are in order and none is there twice.
    if (!metadata.empty() && key <= metadata.rbegin()->first) {
      reader.Fail();
    }
    metadata.insert_or_assign(std::move(key), reader.GetText());
  }
  return metadata;
}

}  // namespace

Result<SecretBytes> EncodeAppRole(const StoredAppRole& role) {
  const AppRoleSettings& settings = role.settings;
  RecordWriter writer('R', kFormat);
  writer.PutRaw(role.id.View());
  writer.PutText(role.role_id);
  writer.PutFlag(settings.bind_secret_id);
  writer.PutFlag(settings.local_secret_ids);
  writer.Put(settings.secret_id_num_uses);
  writer.Put(settings.secret_id_ttl_seconds);
  PutCidrs(settings.secret_id_bound_cidrs, writer);
  PutTokenParameters(settings.parameters, writer);
  return WithSecretsBehind(writer.Take(), {role.secret_id_key.View()});
}

Result<StoredAppRole> DecodeAppRole(ByteView encoded) {
  RecordReader reader(encoded);
  reader.GetHead('R', kFormat);
  StoredAppRole role;
  role.id = reader.GetUuid();
  role.role_id = reader.GetText();
  role.settings.bind_secret_id = reader.GetFlag();
  role.settings.local_secret_ids = reader.GetFlag();
  role.settings.secret_id_num_uses = reader.Get<std::int64_t>();
  role.settings.secret_id_ttl_seconds = reader.Get<std::int64_t>();
  role.settings.secret_id_bound_cidrs = GetCidrs(reader);
  role.settings.parameters = GetTokenParameters(reader);
  const ByteView key = reader.GetRaw(kSecretIdKeyBytes);
  if (!reader.Finished()) {
    return Damaged("approle record");
  }
  role.secret_id_key = KMS_TRY(SecretBytes::CopyOf(key));
  return role;
}

Result<SecretBytes> EncodeSecretId(const StoredSecretId& secret_id) {
  RecordWriter writer('S', kFormat);
  writer.PutText(secret_id.accessor);
  writer.Put(secret_id.created_unix_seconds);
  writer.Put(secret_id.updated_unix_seconds);
  writer.Put(secret_id.expires_unix_seconds);
  writer.Put(secret_id.ttl_seconds);
  writer.PutFlag(secret_id.limited);
  writer.Put(secret_id.uses_left);
  PutMetadata(secret_id.metadata, writer);
  PutCidrs(secret_id.cidr_list, writer);
  PutCidrs(secret_id.token_bound_cidrs, writer);
  return SecretBytes::CopyOf(writer.Take());
}

Result<StoredSecretId> DecodeSecretId(ByteView encoded) {
  RecordReader reader(encoded);
  reader.GetHead('S', kFormat);
  StoredSecretId secret_id;
  secret_id.accessor = reader.GetText();
  secret_id.created_unix_seconds = reader.Get<std::int64_t>();
  secret_id.updated_unix_seconds = reader.Get<std::int64_t>();
  secret_id.expires_unix_seconds = reader.Get<std::int64_t>();
  secret_id.ttl_seconds = reader.Get<std::int64_t>();
  secret_id.limited = reader.GetFlag();
  secret_id.uses_left = reader.Get<std::int64_t>();
  secret_id.metadata = GetMetadata(reader);
  secret_id.cidr_list = GetCidrs(reader);
  secret_id.token_bound_cidrs = GetCidrs(reader);
  if (!reader.Finished()) {
    return Damaged("secret id record");
  }
  return secret_id;
}

Result<SecretBytes> EncodeSecretIdAccessor(const Sha256Digest& secret_id) {
  RecordWriter writer('A', kFormat);
  writer.PutRaw(secret_id);
  return SecretBytes::CopyOf(writer.Take());
}

Result<Sha256Digest> DecodeSecretIdAccessor(ByteView encoded) {
  RecordReader reader(encoded);
  reader.GetHead('A', kFormat);
  Sha256Digest digest{};
  std::ranges::copy(reader.GetRaw(kSha256Bytes), digest.begin());
  if (!reader.Finished()) {
    return Damaged("secret id accessor");
  }
  return digest;
}

Result<SecretBytes> EncodeRoleIdIndex(std::string_view role_name) {
  RecordWriter writer('I', kFormat);
  writer.PutText(role_name);
  return SecretBytes::CopyOf(writer.Take());
}

Result<std::string> DecodeRoleIdIndex(ByteView encoded) {
  RecordReader reader(encoded);
  reader.GetHead('I', kFormat);
  std::string name = reader.GetText();
  if (!reader.Finished()) {
    return Damaged("role_id index");
  }
  return name;
}

}  // namespace kms
