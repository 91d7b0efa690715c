// SPDX-License-Identifier: Apache-2.0
// WrappedResponses: answers that are kept, sealed, until whoever holds the wrapping token reads
// them, once (transit-api 9.9).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/clock.h"
#include "kms/base/mutex.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/identity/token_store.h"
#include "kms/master/sealed_store.h"

namespace kms {

// Secret memory is small; a larger answer is refused, not cut.
inline constexpr std::size_t kMaxWrappedBytes = std::size_t{128} << 10U;
// The one policy of a wrapping token.
inline constexpr std::string_view kResponseWrappingPolicy = "response-wrapping";

// What an answer is made of. JSON text; empty: null. Views live as long as the answer.
struct ResponseView {
  std::string_view data;
  std::string_view auth;
  std::span<const std::string> warnings = {};
};

// The same, read back. Move-only; wiped.
struct ResponseContent {
  ResponseContent() = default;
  ResponseContent(ResponseContent&&) noexcept = default;
  ResponseContent& operator=(ResponseContent&&) noexcept = default;
  ResponseContent(const ResponseContent&) = delete;
  ResponseContent& operator=(const ResponseContent&) = delete;
  ~ResponseContent();

  std::string data;
  std::string auth;
  std::vector<std::string> warnings;
};

struct WrapRequest {
  ResponseView response;
  std::string_view creation_path;     // of the request that was answered
  std::string_view environment;       // that it was about; empty: none
  std::string_view wrapped_accessor;  // of the token that `auth` shows; empty: none
  std::int64_t ttl_seconds = 0;
};

// What may be told of a wrapped answer without reading it.
struct WrapDescription {
  std::string creation_path;
  WallTime creation_time;
  std::int64_t ttl_seconds = 0;
  std::string accessor;          // of the wrapping token
  std::string wrapped_accessor;  // empty: none
};

struct WrapInfo {
  SecretBytes token;  // shown once
  WrapDescription description;
};

struct UnwrappedResponse {
  ResponseContent content;
  WrapDescription description;
};

// Entries in `sys`: wrapped/<hash of the wrapping token> (format in the .cpp).
// One text for every token that does not open anything, whatever the reason: kInvalidArgument
// "wrapping token is not valid or does not exist". Store errors pass through: nothing was read
// then. Thread rule: any thread.
class WrappedResponses {
 public:
  // All must outlive it.
  WrappedResponses(SealedStore& sys, TokenStore& tokens, const Clock& clock)
      : sys_(sys), tokens_(tokens), clock_(clock) {}

  // Keeps the answer and makes the token that opens it once.
  // Errors: kInvalidArgument (ttl below 1 s or above the maximum of tokens, larger than
  // kMaxWrappedBytes), store errors: no token exists then that opens anything.
  Result<WrapInfo> Wrap(const WrapRequest& request);
  // The answer, for the one caller who gets it: whoever else asks, on whatever thread, after a
  // crash or with a commit of unknown outcome, is refused. `name_space` names the environment that
  // the caller addresses; an answer about another one is refused and stays.
  Result<UnwrappedResponse> Unwrap(std::string_view token, std::string_view name_space);
  // Reads nothing and spends nothing.
  Result<WrapDescription> Lookup(std::string_view token, std::string_view name_space);
  // Moves the answer behind a new token, with its old lifetime from now on; the old one is dead
  // with the same commit.
  Result<WrapInfo> Rewrap(std::string_view token, std::string_view name_space);
  // Deletes what nobody can read any more; returns how many entries went. `stop` is asked between
  // entries. Errors: store errors.
  Result<std::size_t> Tidy(const std::function<bool()>& stop);

 private:
  struct Record;
  struct Found;

  static Result<SecretBytes> Encode(const Record& record, const ResponseView& response);
  static Result<Record> Decode(ByteView encoded);
  Result<Found> Find(std::string_view token, std::string_view name_space);
  Result<IssuedToken> IssueToken(std::int64_t ttl_seconds);
  // The record that takes the place of one that was read; `claim` says who read it.
  static Result<SealedMutation> Tombstone(const Found& found, const Uuid& claim);
  // What became of a commit that leaves `claim` at `path`.
  Status Settle(const Result<Revision>& committed, const std::string& path, const Uuid& claim);
  Result<bool> DeleteIfExpired(const std::string& path, Revision revision);

  SealedStore& sys_;
  TokenStore& tokens_;
  const Clock& clock_;
  // One answer at a time is in secret memory, which large ones would fill; held over store I/O.
  Mutex content_mutex_;
};

}  // namespace kms
