// SPDX-License-Identifier: Apache-2.0
// One wrapped answer, format 1 (numbers big-endian, text and bytes with a 4-byte length):
//
//   'W' | 1 | stage(1): 1 waiting, 2 read | claim(16) | accessor of the wrapping token, text
//       | environment text | creation path text | wrapped accessor text
//       | created, unix nanoseconds(8) | ttl, seconds(8) | expires, unix seconds(8)
//       | number of warnings(4), texts | data bytes | auth bytes
//
// Reading replaces the record by one of stage 2 without content, whose claim is a fresh random
// number of the reader: after a commit of unknown outcome the claim says who was first.
#include "kms/identity/wrapped_responses.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <utility>

#include "kms/base/ids.h"
#include "kms/base/record_codec.h"

namespace kms {

namespace {

constexpr char kKind = 'W';
constexpr std::uint8_t kFormat = 1;
constexpr std::string_view kPrefix = "wrapped/";
constexpr std::size_t kEntriesPerPage = 256;

// Stored numbers: do not change or reuse.
enum class Stage : std::uint8_t { kWaiting = 1, kRead = 2 };

Error NotValid(std::string detail) {
  return InvalidArgument("wrapping token is not valid or does not exist", std::move(detail));
}

std::string PathOf(const Principal& principal) {
  return std::string(kPrefix) + HexEncode(principal.id);
}

bool IsWrappingToken(const Principal& principal) {
  return principal.type == TokenType::kService && principal.policies.size() == 1 &&
         principal.policies.front() == kResponseWrappingPolicy;
}

// Errors of a look-up that mean "no such token"; the others are the store's.
bool MeansUnknown(ErrorCode code) {
  return code == ErrorCode::kNotFound || code == ErrorCode::kPermissionDenied ||
         code == ErrorCode::kUnauthenticated || code == ErrorCode::kInvalidArgument;
}

std::size_t SizeOf(const ResponseView& response) {
  std::size_t size = response.data.size() + response.auth.size();
  for (const std::string& warning : response.warnings) {
    size += warning.size();
  }
  return size;
}

// Appends to memory that is large enough.
class SecretWriter {
 public:
  explicit SecretWriter(MutableByteView out) : out_(out) {}
  void PutRaw(ByteView bytes) {
    std::ranges::copy(bytes, out_.begin());
    out_ = out_.subspan(bytes.size());
  }
  void PutSized(std::string_view text) {
    RecordWriter length;
    length.Put(static_cast<std::uint32_t>(text.size()));
    PutRaw(length.Take());
    PutRaw(AsBytes(text));
  }

 private:
  MutableByteView out_;
};

}  // namespace

struct WrappedResponses::Record {
  Stage stage = Stage::kWaiting;
  Uuid claim;  // of the reader; of none while it waits
  std::string environment;
  WrapDescription description;
  std::int64_t expires_unix_seconds = 0;
  ResponseContent content;
};

struct WrappedResponses::Found {
  PrincipalHandle principal;
  std::string path;
  Revision revision = 0;
  Record record;
};

ResponseContent::~ResponseContent() {
  OPENSSL_cleanse(data.data(), data.size());
  OPENSSL_cleanse(auth.data(), auth.size());
}

Result<SecretBytes> WrappedResponses::Encode(const Record& record, const ResponseView& response) {
  const WrapDescription& description = record.description;
  RecordWriter head(kKind, kFormat);
  head.Put(static_cast<std::uint8_t>(record.stage));
  head.PutRaw(record.claim.View());
  head.PutText(description.accessor);
  head.PutText(record.environment);
  head.PutText(description.creation_path);
  head.PutText(description.wrapped_accessor);
  head.Put(static_cast<std::int64_t>(description.creation_time.time_since_epoch().count()));
  head.Put(description.ttl_seconds);
  head.Put(record.expires_unix_seconds);
  head.Put(static_cast<std::uint32_t>(response.warnings.size()));
  for (const std::string& warning : response.warnings) {
    head.PutText(warning);
  }
  const Bytes open_part = head.Take();
  const std::size_t lengths = 2 * sizeof(std::uint32_t);
  SecretBytes encoded = KMS_TRY(SecretBytes::OfSize(open_part.size() + lengths +
                                                    response.data.size() + response.auth.size()));
  SecretWriter writer(encoded.MutableView());
  writer.PutRaw(open_part);
  writer.PutSized(response.data);
  writer.PutSized(response.auth);
  return encoded;
}

Result<WrappedResponses::Record> WrappedResponses::Decode(ByteView encoded) {
  RecordReader reader(encoded);
  reader.GetHead(kKind, kFormat);
  Record record;
  record.stage = static_cast<Stage>(reader.Get<std::uint8_t>());
  record.claim = reader.GetUuid();
  record.description.accessor = reader.GetText();
  record.environment = reader.GetText();
  record.description.creation_path = reader.GetText();
  record.description.wrapped_accessor = reader.GetText();
  record.description.creation_time = WallTime{std::chrono::nanoseconds{reader.Get<std::int64_t>()}};
  record.description.ttl_seconds = reader.Get<std::int64_t>();
  record.expires_unix_seconds = reader.Get<std::int64_t>();
  const auto warnings = reader.Get<std::uint32_t>();
  for (std::uint32_t index = 0; index < warnings && !reader.failed(); ++index) {
    record.content.warnings.push_back(reader.GetText());
  }
  record.content.data = reader.GetText();
  record.content.auth = reader.GetText();
  const bool known = record.stage == Stage::kWaiting || record.stage == Stage::kRead;
  if (!known || !reader.Finished()) {
    return Corrupted("damaged entry", "wrapped answer");
  }
  return record;
}

Result<WrappedResponses::Found> WrappedResponses::Find(std::string_view token,
                                                       std::string_view name_space) {
  Result<PrincipalHandle> principal = tokens_.Lookup(token);
  if (!principal) {
    return MeansUnknown(principal.error().code) ? NotValid("no such token") : principal.error();
  }
  if (!IsWrappingToken(**principal)) {
    return NotValid("not a wrapping token");
  }
  Found found;
  found.principal = *std::move(principal);
  found.path = PathOf(*found.principal);
  const std::optional<OpenedEntry> entry = KMS_TRY(sys_.Get(found.path));
  if (!entry) {
    return NotValid("nothing is kept for it");
  }
  found.revision = entry->revision;
  found.record = KMS_TRY(Decode(entry->value.View()));
  const Record& record = found.record;
  if (record.stage != Stage::kWaiting) {
    return NotValid("was read before");
  }
  if (record.expires_unix_seconds <= ToUnixSeconds(clock_.Now())) {
    return NotValid("expired");
  }
  if (!name_space.empty() && !record.environment.empty() && name_space != record.environment) {
    return NotValid("belongs to another environment");
  }
  return found;
}

Result<IssuedToken> WrappedResponses::IssueToken(std::int64_t ttl_seconds) {
  TokenGrant grant;
  grant.policies = {std::string(kResponseWrappingPolicy)};
  grant.display_name = "response-wrapping";
  grant.path = "sys/wrapping/wrap";
  grant.ttl_seconds = ttl_seconds;
  grant.explicit_max_ttl_seconds = ttl_seconds;
  grant.num_uses = 1;
  grant.renewable = false;
  return tokens_.Issue(grant);
}

Result<WrapInfo> WrappedResponses::Wrap(const WrapRequest& request) {
  if (request.ttl_seconds < 1 || request.ttl_seconds > tokens_.options().max_ttl_seconds) {
    return InvalidArgument("the wrapping TTL must be from 1 to " +
                           std::to_string(tokens_.options().max_ttl_seconds) + " seconds");
  }
  if (SizeOf(request.response) > kMaxWrappedBytes) {
    return InvalidArgument("the answer is larger than the " + std::to_string(kMaxWrappedBytes) +
                           " bytes that can be wrapped: ask for less at once");
  }
  IssuedToken issued = KMS_TRY(IssueToken(request.ttl_seconds));
  Record record;
  record.environment = request.environment;
  record.description = {.creation_path = std::string(request.creation_path),
                        .creation_time = clock_.Now(),
                        .ttl_seconds = request.ttl_seconds,
                        .accessor = issued.principal->accessor,
                        .wrapped_accessor = std::string(request.wrapped_accessor)};
  record.expires_unix_seconds =
      ToUnixSeconds(record.description.creation_time) + request.ttl_seconds;
  const std::string path = PathOf(*issued.principal);
  const Status stored = [&]() -> Status {
    const ScopedLock lock(content_mutex_);
    std::vector<SealedMutation> mutations;
    mutations.push_back({.path = path,
                         .value = KMS_TRY(Encode(record, request.response)),
                         .expected_revision = Revision{0}});
    return Settle(sys_.Commit(std::move(mutations)), path, record.claim);
  }();
  if (!stored) {
    IgnoreError(tokens_.Revoke(*issued.principal), "best effort: it opens nothing and expires");
    return stored.error();
  }
  return WrapInfo{.token = std::move(issued.token), .description = std::move(record.description)};
}

Status WrappedResponses::Settle(const Result<Revision>& committed, const std::string& path,
                                const Uuid& claim) {
  if (committed.has_value()) {
    return Ok();
  }
  if (committed.error().code == ErrorCode::kConflict) {
    return NotValid("somebody else was first");
  }
  if (committed.error().code != ErrorCode::kOutcomeUnknown) {
    return committed.error();
  }
  const Result<std::optional<OpenedEntry>> entry = sys_.Get(path);
  if (!entry) {
    return committed.error();
  }
  if (!*entry) {
    return Unavailable("storage failed, nothing was changed", committed.error().detail);
  }
  const Record now = KMS_TRY(Decode((*entry)->value.View()));
  if (now.claim == claim) {
    return Ok();
  }
  if (now.stage == Stage::kWaiting) {
    return Unavailable("storage failed, nothing was changed", committed.error().detail);
  }
  return NotValid("somebody else was first");
}

Result<SealedMutation> WrappedResponses::Tombstone(const Found& found, const Uuid& claim) {
  Record read;
  read.stage = Stage::kRead;
  read.claim = claim;
  read.environment = found.record.environment;
  read.description = found.record.description;
  read.expires_unix_seconds = found.record.expires_unix_seconds;
  return SealedMutation{
      .path = found.path, .value = KMS_TRY(Encode(read, {})), .expected_revision = found.revision};
}

Result<UnwrappedResponse> WrappedResponses::Unwrap(std::string_view token,
                                                   std::string_view name_space) {
  const ScopedLock lock(content_mutex_);
  Found found = KMS_TRY(Find(token, name_space));
  const Uuid claim = Uuid::Random();
  std::vector<SealedMutation> mutations;
  mutations.push_back(KMS_TRY(Tombstone(found, claim)));
  KMS_TRY(Settle(sys_.Commit(std::move(mutations)), found.path, claim));
  IgnoreError(tokens_.Revoke(*found.principal), "best effort: it opens nothing any more");
  return UnwrappedResponse{.content = std::move(found.record.content),
                           .description = std::move(found.record.description)};
}

Result<WrapDescription> WrappedResponses::Lookup(std::string_view token,
                                                 std::string_view name_space) {
  const ScopedLock lock(content_mutex_);
  Found found = KMS_TRY(Find(token, name_space));
  return std::move(found.record.description);
}

Result<WrapInfo> WrappedResponses::Rewrap(std::string_view token, std::string_view name_space) {
  const ScopedLock lock(content_mutex_);
  Found found = KMS_TRY(Find(token, name_space));
  const std::int64_t ttl = found.record.description.ttl_seconds;
  IssuedToken issued = KMS_TRY(IssueToken(ttl));
  Record record;
  record.environment = found.record.environment;
  record.description = found.record.description;
  record.description.creation_time = clock_.Now();
  record.description.accessor = issued.principal->accessor;
  record.expires_unix_seconds = ToUnixSeconds(record.description.creation_time) + ttl;
  const ResponseContent& content = found.record.content;
  const Status moved = [&]() -> Status {
    const Uuid claim = Uuid::Random();
    std::vector<SealedMutation> mutations;
    mutations.push_back(KMS_TRY(Tombstone(found, claim)));
    mutations.push_back(
        {.path = PathOf(*issued.principal),
         .value = KMS_TRY(Encode(record, {content.data, content.auth, content.warnings})),
         .expected_revision = Revision{0}});
    return Settle(sys_.Commit(std::move(mutations)), found.path, claim);
  }();
  if (!moved) {
    IgnoreError(tokens_.Revoke(*issued.principal), "best effort: it opens nothing and expires");
    return moved.error();
  }
  IgnoreError(tokens_.Revoke(*found.principal), "best effort: it opens nothing any more");
  return WrapInfo{.token = std::move(issued.token), .description = std::move(record.description)};
}

Result<bool> WrappedResponses::DeleteIfExpired(const std::string& path, Revision revision) {
  const ScopedLock lock(content_mutex_);
  const std::optional<OpenedEntry> entry = KMS_TRY(sys_.Get(path));
  if (!entry || entry->revision != revision) {
    return false;
  }
  const Record record = KMS_TRY(Decode(entry->value.View()));
  if (record.expires_unix_seconds > ToUnixSeconds(clock_.Now())) {
    return false;
  }
  std::vector<SealedMutation> mutations;
  mutations.push_back({.path = path, .value = std::nullopt, .expected_revision = revision});
  KMS_TRY(sys_.Commit(std::move(mutations)));
  return true;
}

Result<std::size_t> WrappedResponses::Tidy(const std::function<bool()>& stop) {
  std::size_t deleted = 0;
  std::string after;
  while (true) {
    const std::vector<ListedEntry> page = KMS_TRY(sys_.List(kPrefix, after, kEntriesPerPage));
    for (const ListedEntry& entry : page) {
      if (stop()) {
        return deleted;
      }
      const Result<bool> gone = DeleteIfExpired(entry.path, entry.revision);
      // A damaged entry or one that was changed meanwhile must not keep the others.
      if (!gone && gone.error().code != ErrorCode::kCorrupted &&
          gone.error().code != ErrorCode::kConflict) {
        return gone.error();
      }
      deleted += gone.value_or(false) ? 1U : 0U;
      after = entry.path;
    }
    if (page.size() < kEntriesPerPage) {
      return deleted;
    }
  }
}

}  // namespace kms
