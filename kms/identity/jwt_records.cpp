// SPDX-License-Identifier: Apache-2.0
// Records of one jwt mount, below auth/<mount accessor>/; numbers big-endian, texts with a 4-byte
// length, lists and maps with a 4-byte number of items in front:
//
//   config       'C' | 1 | oidc_discovery_url | oidc_discovery_ca_pem | jwks_url | jwks_ca_pem
//                | jwks | jwt_validation_pubkeys, texts | bound_issuer | default_role
//                | jwt_supported_algs, texts
//   role/<name>  'R' | 1 | bound_audiences, texts | bound_subject
//                | bound_claims: per one, by name: name | values: per one: kind(1), text
//                | bound_claims_type(1) | user_claim | user_claim is a pointer, flag
//                | groups_claim | claim_mappings: per one, by claim: claim, metadata key
//                | clock_skew_leeway(8) | expiration_leeway(8) | not_before_leeway(8)
//                | bind_client_certificate flag | forbid_replay flag
//                | token parameters (token_parameters_codec)
//   seen/<hex>   'X' | 1 | when it may be forgotten(8)
//
// A kind of a bound value: 1 boolean, 2 integer, 3 string. <hex> is SHA-256(length of the issuer(4)
// | issuer | jti).
#include "kms/identity/jwt_records.h"

#include <charconv>
#include <optional>
#include <utility>

#include "kms/base/record_codec.h"
#include "kms/identity/record_lists.h"
#include "kms/identity/token_parameters_codec.h"

namespace kms {
namespace {

constexpr std::uint8_t kFormat = 1;

Error Damaged(const char* what) { return Corrupted("damaged entry", what); }

// One record has one encoding: names are in order and none is there twice.
template <typename Map>
void Insert(Map& map, std::string name, typename Map::mapped_type value, RecordReader& reader) {
  if (!map.empty() && name <= map.rbegin()->first) {
    reader.Fail();
  }
  map.insert_or_assign(std::move(name), std::move(value));
}

// ---- bound values ------------------------------------------------------------------------------

enum class ValueKind : std::uint8_t { kBoolean = 1, kInteger = 2, kString = 3 };

ValueKind KindOf(const JsonValue& value) {
  if (value.kind == JsonValue::Kind::kBoolean) {
    return ValueKind::kBoolean;
  }
  return value.kind == JsonValue::Kind::kInteger ? ValueKind::kInteger : ValueKind::kString;
}

bool SetInteger(JsonValue& value) {
  const char* const end = value.text.data() + value.text.size();
  const auto [stop, code] = std::from_chars(value.text.data(), end, value.integer);
  return code == std::errc{} && stop == end && std::to_string(value.integer) == value.text;
}

JsonValue GetValue(RecordReader& reader) {
  const auto kind = static_cast<ValueKind>(reader.Get<std::uint8_t>());
  JsonValue value{.kind = JsonValue::Kind::kString, .text = reader.GetText()};
  switch (kind) {
    case ValueKind::kString: return value;
    case ValueKind::kBoolean:
      value.kind = JsonValue::Kind::kBoolean;
      if (value.text != "true" && value.text != "false") {
        reader.Fail();
      }
      return value;
    case ValueKind::kInteger:
      value.kind = JsonValue::Kind::kInteger;
      if (!SetInteger(value)) {
        reader.Fail();
      }
      return value;
  }
  reader.Fail();
  return value;
}

void PutBoundClaims(const JwtConditions& conditions, RecordWriter& writer) {
  writer.Put(static_cast<std::uint32_t>(conditions.bound_claims.size()));
  for (const auto& [name, values] : conditions.bound_claims) {
    writer.PutText(name);
    writer.Put(static_cast<std::uint32_t>(values.size()));
    for (const JsonValue& value : values) {
      writer.Put(static_cast<std::uint8_t>(KindOf(value)));
      writer.PutText(value.text);
    }
  }
}

void GetBoundClaims(RecordReader& reader, JwtConditions& conditions) {
  const auto count = reader.Get<std::uint32_t>();
  for (std::uint32_t i = 0; i < count && !reader.failed(); ++i) {
    std::string name = reader.GetText();
    std::vector<JsonValue> values;
    const auto number = reader.Get<std::uint32_t>();
    for (std::uint32_t j = 0; j < number && !reader.failed(); ++j) {
      values.push_back(GetValue(reader));
    }
    Insert(conditions.bound_claims, std::move(name), std::move(values), reader);
  }
}

void PutMappings(const JwtConditions& conditions, RecordWriter& writer) {
  writer.Put(static_cast<std::uint32_t>(conditions.claim_mappings.size()));
  for (const auto& [claim, key] : conditions.claim_mappings) {
    writer.PutText(claim);
    writer.PutText(key);
  }
}

void GetMappings(RecordReader& reader, JwtConditions& conditions) {
  const auto count = reader.Get<std::uint32_t>();
  for (std::uint32_t i = 0; i < count && !reader.failed(); ++i) {
    std::string claim = reader.GetText();
    Insert(conditions.claim_mappings, std::move(claim), reader.GetText(), reader);
  }
}

BoundClaimsType GetClaimsType(RecordReader& reader) {
  return reader.GetFlag() ? BoundClaimsType::kGlob : BoundClaimsType::kString;
}

}  // namespace

Result<SecretBytes> EncodeJwtConfig(const JwtConfig& config) {
  RecordWriter writer('C', kFormat);
  writer.PutText(config.oidc_discovery_url);
  writer.PutText(config.oidc_discovery_ca_pem);
  writer.PutText(config.jwks_url);
  writer.PutText(config.jwks_ca_pem);
  writer.PutText(config.jwks);
  PutTexts(config.jwt_validation_pubkeys, writer);
  writer.PutText(config.bound_issuer);
  writer.PutText(config.default_role);
  PutTexts(config.jwt_supported_algs, writer);
  return SecretBytes::CopyOf(writer.Take());
}

Result<JwtConfig> DecodeJwtConfig(ByteView encoded) {
  RecordReader reader(encoded);
  reader.GetHead('C', kFormat);
  JwtConfig config;
  config.oidc_discovery_url = reader.GetText();
  config.oidc_discovery_ca_pem = reader.GetText();
  config.jwks_url = reader.GetText();
  config.jwks_ca_pem = reader.GetText();
  config.jwks = reader.GetText();
  config.jwt_validation_pubkeys = GetTexts(reader);
  config.bound_issuer = reader.GetText();
  config.default_role = reader.GetText();
  config.jwt_supported_algs = GetTexts(reader);
  if (!reader.Finished()) {
    return Damaged("jwt configuration");
  }
  return config;
}

Result<SecretBytes> EncodeJwtRole(const JwtRole& role) {
  const JwtConditions& conditions = role.conditions;
  RecordWriter writer('R', kFormat);
  PutTexts(conditions.bound_audiences, writer);
  writer.PutText(conditions.bound_subject);
  PutBoundClaims(conditions, writer);
  writer.PutFlag(conditions.bound_claims_type == BoundClaimsType::kGlob);
  writer.PutText(conditions.user_claim);
  writer.PutFlag(conditions.user_claim_is_pointer);
  writer.PutText(conditions.groups_claim);
  PutMappings(conditions, writer);
  writer.Put(conditions.clock_skew_leeway);
  writer.Put(conditions.expiration_leeway);
  writer.Put(conditions.not_before_leeway);
  writer.PutFlag(role.bind_client_certificate);
  writer.PutFlag(role.forbid_replay);
  PutTokenParameters(role.parameters, writer);
  return SecretBytes::CopyOf(writer.Take());
}

Result<JwtRole> DecodeJwtRole(ByteView encoded) {
  RecordReader reader(encoded);
  reader.GetHead('R', kFormat);
  JwtRole role;
  JwtConditions& conditions = role.conditions;
  conditions.bound_audiences = GetTexts(reader);
  conditions.bound_subject = reader.GetText();
  GetBoundClaims(reader, conditions);
  conditions.bound_claims_type = GetClaimsType(reader);
  conditions.user_claim = reader.GetText();
  conditions.user_claim_is_pointer = reader.GetFlag();
  conditions.groups_claim = reader.GetText();
  GetMappings(reader, conditions);
  conditions.clock_skew_leeway = reader.Get<std::int64_t>();
  conditions.expiration_leeway = reader.Get<std::int64_t>();
  conditions.not_before_leeway = reader.Get<std::int64_t>();
  role.bind_client_certificate = reader.GetFlag();
  role.forbid_replay = reader.GetFlag();
  role.parameters = GetTokenParameters(reader);
  if (!reader.Finished()) {
    return Damaged("jwt role");
  }
  return role;
}

Result<SecretBytes> EncodeSeenJwt(std::int64_t forget_unix_seconds) {
  RecordWriter writer('X', kFormat);
  writer.Put(forget_unix_seconds);
  return SecretBytes::CopyOf(writer.Take());
}

Result<std::int64_t> DecodeSeenJwt(ByteView encoded) {
  RecordReader reader(encoded);
  reader.GetHead('X', kFormat);
  const auto forget = reader.Get<std::int64_t>();
  if (!reader.Finished()) {
    return Damaged("seen token");
  }
  return forget;
}

}  // namespace kms
