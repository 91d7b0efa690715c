// SPDX-License-Identifier: Apache-2.0
#include "kms/identity/jwt_key_source.h"

#include <optional>
#include <utility>

#include "kms/auth/json_value.h"
#include "kms/auth/outbound_url.h"

namespace kms {
namespace {

Error BadDocument(const char* why) { return InvalidArgument(why); }

// The address of the issuer's key set.
Result<std::string> Discover(DocumentFetcher& fetcher, const JwtKeyLocation& location,
                             Deadline deadline) {
  std::string url = location.url;
  while (url.ends_with('/')) {
    url.pop_back();
  }
  url += "/.well-known/openid-configuration";
  const std::string text =
      KMS_TRY(fetcher.Fetch(url, location.ca_pem, kMaxDiscoveryBytes, deadline));
  const Result<JsonValue> document = ParseStrictJson(text, {.max_bytes = kMaxDiscoveryBytes});
  if (!document.has_value()) {
    return BadDocument("the discovery document is malformed");
  }
  const std::string_view issuer = document->FindString("issuer").value_or("");
  if (issuer.empty() || (issuer != location.url && issuer != location.issuer)) {
    return BadDocument("the discovery document names another issuer");
  }
  const OutboundUrl own = KMS_TRY(ParseOutboundUrl(location.url));
  const Result<OutboundUrl> keys = ParseOutboundUrl(document->FindString("jwks_uri").value_or(""));
  if (!keys.has_value() || (keys->names_loopback && !own.names_loopback)) {
    return BadDocument("the discovery document names no key set that may be fetched");
  }
  return keys->text;
}

}  // namespace

Result<JwtKeySetHandle> FetchJwtKeys(DocumentFetcher& fetcher, const JwtKeyLocation& location,
                                     Deadline deadline) {
  std::string url = location.url;
  if (location.is_discovery) {
    url = KMS_TRY(Discover(fetcher, location, deadline));
  }
  const std::string text = KMS_TRY(fetcher.Fetch(url, location.ca_pem, kMaxJwksBytes, deadline));
  Result<JwtKeySetHandle> keys = JwtKeySet::ParseJwks(text);
  if (!keys.has_value() && keys.error().code == ErrorCode::kInvalidArgument) {
    return InvalidArgument("the key set cannot be used: " + keys.error().public_message);
  }
  return keys;
}

bool JwtKeySource::IsYoungerThan(std::chrono::seconds age) const {
  return keys_ != nullptr && clock_.SteadyNow() < good_since_ + age;
}

bool JwtKeySource::MayFetch() const { return !fetching_ && clock_.SteadyNow() >= next_fetch_; }

bool JwtKeySource::WaitForFetch() {
  if (waiters_ >= kJwksMaxWaiters) {
    return false;
  }
  ++waiters_;
  while (fetching_) {
    fetched_.wait(mutex_);
  }
  --waiters_;
  return true;
}

void JwtKeySource::FetchAndPublish() {
  Result<JwtKeySetHandle> keys =
      FetchJwtKeys(fetcher_, location_, clock_.SteadyNow() + kJwksFetchTimeout);
  {
    const ScopedLock lock(mutex_);
    fetching_ = false;
    next_fetch_ = clock_.SteadyNow() + kJwksMinInterval;
    if (keys.has_value()) {
      keys_ = *std::move(keys);
      good_since_ = clock_.SteadyNow();
    }
  }
  fetched_.notify_all();
}

Result<JwtKeySetHandle> JwtKeySource::Current() {
  {
    const ScopedLock lock(mutex_);
    if (IsYoungerThan(kJwksRefreshAfter)) {
      return keys_;
    }
    if (fetching_ && !IsYoungerThan(kJwksServeStale)) {
      WaitForFetch();
    }
    if (IsYoungerThan(kJwksRefreshAfter)) {
      return keys_;
    }
    if (!MayFetch()) {
      return IsYoungerThan(kJwksServeStale)
                 ? Result<JwtKeySetHandle>(keys_)
                 : Unavailable("the keys of the token's issuer are not available");
    }
    fetching_ = true;
  }
  FetchAndPublish();
  const ScopedLock lock(mutex_);
  return IsYoungerThan(kJwksServeStale)
             ? Result<JwtKeySetHandle>(keys_)
             : Unavailable("the keys of the token's issuer are not available");
}

JwtKeySetHandle JwtKeySource::NewerThan(const JwtKeySetHandle& known) {
  {
    const ScopedLock lock(mutex_);
    if (fetching_) {
      WaitForFetch();
    }
    if (keys_ != nullptr && keys_ != known) {
      return keys_;
    }
    if (!MayFetch()) {
      return known;
    }
    fetching_ = true;
  }
  FetchAndPublish();
  const ScopedLock lock(mutex_);
  return keys_ != nullptr ? keys_ : known;
}

}  // namespace kms
