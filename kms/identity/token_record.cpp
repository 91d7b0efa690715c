// SPDX-License-Identifier: Apache-2.0
// Records of tokens, format 1 (big-endian; text = length(4) | bytes; list = count(4) | items):
//
//   tokens/<hash>              'I' | 1 | type(1) | flags(1) | generation(2) | issued stamp(8)
//                              | created(8) | creation ttl(8) | explicit max ttl(8) | max ttl(8)
//                              | period(8) | expires(8) | last renewal(8) | uses(8) | uses left(8)
//                              | accessor | display name | path | role | entity id | alias mount
//                              | alias name | actor | policies | metadata | alias metadata
//                              | bound CIDRs | [certificate digest(32)]
//                              | [parent hash(32) | its issued stamp(8)]
//   accessors/<accessor>       'J' | 1 | token hash(32)
//   children/<hash>/<hash>     'L' | 1
//
//   texts from accessor to actor; policies and bound CIDRs are lists of texts, metadata lists of
//   pairs of texts. flags: 1 orphan, 2 renewable, 4 root, 8 with certificate, 16 with parent. type:
//   0 service, 1 batch (sealed in the token itself, see batch_token.h).
#include "kms/identity/token_record.h"

#include <algorithm>
#include <utility>

#include "kms/base/record_codec.h"
#include "kms/identity/record_lists.h"

namespace kms {

namespace {

constexpr std::uint8_t kFormat = 1;

constexpr std::uint8_t kOrphan = 1;
constexpr std::uint8_t kRenewable = 2;
constexpr std::uint8_t kRoot = 4;
constexpr std::uint8_t kWithCertificate = 8;
constexpr std::uint8_t kWithParent = 16;
constexpr std::uint8_t kAllFlags = 31;

std::uint8_t FlagsOf(const StoredToken& token) {
  const Principal& principal = token.principal;
  return static_cast<std::uint8_t>(
      (principal.orphan ? kOrphan : 0U) | (principal.renewable ? kRenewable : 0U) |
      (principal.is_root ? kRoot : 0U) | (principal.bound_certificate ? kWithCertificate : 0U) |
      (token.parent ? kWithParent : 0U));
}

Sha256Digest GetDigest(RecordReader& reader) {
  Sha256Digest digest{};
  std::ranges::copy(reader.GetRaw(kSha256Bytes), digest.begin());
  return digest;
}

void PutNumbers(const StoredToken& token, RecordWriter& writer) {
  const Principal& principal = token.principal;
  for (const std::int64_t number :
       {token.issued_stamp, principal.created_unix_seconds, principal.creation_ttl_seconds,
        principal.explicit_max_ttl_seconds, token.max_ttl_seconds, principal.period_seconds,
        principal.expires_unix_seconds, principal.last_renewal_unix_seconds, principal.num_uses,
        token.uses_left}) {
    writer.Put(number);
  }
}

void GetNumbers(RecordReader& reader, StoredToken& token) {
  Principal& principal = token.principal;
  for (std::int64_t* number :
       {&token.issued_stamp, &principal.created_unix_seconds, &principal.creation_ttl_seconds,
        &principal.explicit_max_ttl_seconds, &token.max_ttl_seconds, &principal.period_seconds,
        &principal.expires_unix_seconds, &principal.last_renewal_unix_seconds, &principal.num_uses,
        &token.uses_left}) {
    *number = reader.Get<std::int64_t>();
  }
}

void GetTextFields(RecordReader& reader, Principal& principal) {
  for (std::string* text :
       {&principal.accessor, &principal.display_name, &principal.path, &principal.role,
        &principal.entity_id, &principal.alias_mount, &principal.alias_name, &principal.actor}) {
    *text = reader.GetText();
  }
}

// The wiped copy of what a writer holds; nothing in a record opens anything, but it says who is
// who.
Result<SecretBytes> Finish(RecordWriter& writer) { return SecretBytes::CopyOf(writer.Take()); }

std::optional<std::uint8_t> HexDigit(char c) {
  if (c >= '0' && c <= '9') {
    return static_cast<std::uint8_t>(c - '0');
  }
  if (c >= 'a' && c <= 'f') {
    return static_cast<std::uint8_t>(c - 'a' + 10);
  }
  return std::nullopt;
}

}  // namespace

Result<SecretBytes> EncodeToken(const StoredToken& token) {
  const Principal& principal = token.principal;
  RecordWriter writer('I', kFormat);
  writer.Put(static_cast<std::uint8_t>(principal.type));
  writer.Put(FlagsOf(token));
  writer.Put(token.generation);
  PutNumbers(token, writer);
  for (const std::string* text :
       {&principal.accessor, &principal.display_name, &principal.path, &principal.role,
        &principal.entity_id, &principal.alias_mount, &principal.alias_name, &principal.actor}) {
    writer.PutText(*text);
  }
  PutTexts(principal.policies, writer);
  PutPairs(principal.metadata, writer);
  PutPairs(token.alias_metadata, writer);
  PutCidrs(principal.bound_cidrs, writer);
  if (principal.bound_certificate) {
    writer.PutRaw(*principal.bound_certificate);
  }
  if (token.parent) {
    writer.PutRaw(token.parent->id);
    writer.Put(token.parent->issued_stamp);
  }
  return Finish(writer);
}

Result<StoredToken> DecodeToken(ByteView encoded, const Sha256Digest& id) {
  RecordReader reader(encoded);
  reader.GetHead('I', kFormat);
  const auto type = reader.Get<std::uint8_t>();
  const auto flags = reader.Get<std::uint8_t>();
  StoredToken token;
  Principal& principal = token.principal;
  principal.id = id;
  principal.type = type == 0 ? TokenType::kService : TokenType::kBatch;
  principal.orphan = (flags & kOrphan) != 0;
  principal.renewable = (flags & kRenewable) != 0;
  principal.is_root = (flags & kRoot) != 0;
  token.generation = reader.Get<std::uint16_t>();
  GetNumbers(reader, token);
  GetTextFields(reader, principal);
  principal.policies = GetTexts(reader);
  principal.metadata = GetPairs(reader);
  token.alias_metadata = GetPairs(reader);
  principal.bound_cidrs = GetCidrs(reader);
  if ((flags & kWithCertificate) != 0) {
    principal.bound_certificate = GetDigest(reader);
  }
  if ((flags & kWithParent) != 0) {
    token.parent = {.id = GetDigest(reader), .issued_stamp = reader.Get<std::int64_t>()};
  }
  if (type > 1 || flags > kAllFlags || !reader.Finished()) {
    return Corrupted("damaged entry", "token record");
  }
  return token;
}

bool IsExpired(const Principal& principal, std::int64_t now_unix_seconds) {
  return principal.expires_unix_seconds != 0 && now_unix_seconds >= principal.expires_unix_seconds;
}

std::string TokenPath(const Sha256Digest& id) { return std::string(kTokensPrefix) + HexEncode(id); }

std::string AccessorPath(std::string_view accessor) {
  return std::string(kAccessorsPrefix) + std::string(accessor);
}

std::string ChildrenOf(const Sha256Digest& parent) {
  return std::string(kChildrenPrefix) + HexEncode(parent) + "/";
}

std::string ChildPath(const Sha256Digest& parent, const Sha256Digest& child) {
  return ChildrenOf(parent) + HexEncode(child);
}

std::optional<Sha256Digest> IdOfPath(std::string_view path) {
  const std::string_view hex = path.substr(path.rfind('/') + 1);
  Sha256Digest id{};
  if (hex.size() != 2 * id.size()) {
    return std::nullopt;
  }
  for (std::size_t index = 0; index < id.size(); ++index) {
    const std::optional<std::uint8_t> high = HexDigit(hex[2 * index]);
    const std::optional<std::uint8_t> low = HexDigit(hex[2 * index + 1]);
    if (!high || !low) {
      return std::nullopt;
    }
    id[index] = static_cast<std::uint8_t>(*high << 4U | *low);
  }
  return id;
}

Result<SecretBytes> EncodeAccessor(const Sha256Digest& token) {
  RecordWriter writer('J', kFormat);
  writer.PutRaw(token);
  return Finish(writer);
}

Result<Sha256Digest> DecodeAccessor(ByteView encoded) {
  RecordReader reader(encoded);
  reader.GetHead('J', kFormat);
  const Sha256Digest token = GetDigest(reader);
  if (!reader.Finished()) {
    return Corrupted("damaged entry", "accessor record");
  }
  return token;
}

Result<SecretBytes> EncodeChildLink() {
  RecordWriter writer('L', kFormat);
  return Finish(writer);
}

}  // namespace kms
