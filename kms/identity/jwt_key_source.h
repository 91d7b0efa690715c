// SPDX-License-Identifier: Apache-2.0
// JwtKeySource: the keys of one issuer, fetched from it and kept (failures U17).
#pragma once

#include <chrono>
#include <condition_variable>
#include <string>

#include "kms/auth/document_fetcher.h"
#include "kms/auth/jwt_keys.h"
#include "kms/base/clock.h"
#include "kms/base/mutex.h"
#include "kms/base/result.h"

namespace kms {

// Keys are asked for again after this long: a key that its issuer took back is good no longer.
inline constexpr std::chrono::minutes kJwksRefreshAfter{10};
// While the issuer does not answer, its last keys serve this long after they were fetched.
inline constexpr std::chrono::hours kJwksServeStale{24};
// Between two fetches, whatever the reason: unknown key ids and failures must not become a flood.
inline constexpr std::chrono::seconds kJwksMinInterval{10};
inline constexpr std::chrono::seconds kJwksFetchTimeout{5};
// Callers that wait for somebody else's fetch; more are answered without it.
inline constexpr int kJwksMaxWaiters = 16;
inline constexpr std::size_t kMaxDiscoveryBytes = std::size_t{64} << 10U;

struct JwtKeyLocation {
  std::string url;  // of the key set, or the issuer's when `is_discovery`
  std::string ca_pem;
  bool is_discovery = false;
  std::string issuer;  // what else than `url` the discovery document may name; empty: nothing
};

// Reads the keys now. With discovery (OpenID Connect Discovery 1.0, 4) the document must name
// exactly the expected issuer, and a key set that is fetchable; one on loopback only for an issuer
// that is there itself. Errors: kUnavailable and kInvalidArgument of the fetcher; kInvalidArgument
// for documents that are not what they should be.
Result<JwtKeySetHandle> FetchJwtKeys(DocumentFetcher& fetcher, const JwtKeyLocation& location,
                                     Deadline deadline);

// One fetch runs at a time and its result is for everybody. Thread rule: any thread. No lock is
// held while something is fetched.
class JwtKeySource {
 public:
  // Both references must outlive it.
  JwtKeySource(DocumentFetcher& fetcher, const Clock& clock, JwtKeyLocation location)
      : fetcher_(fetcher), clock_(clock), location_(std::move(location)) {}

  // The keys to judge a token with; fetched when there are none or they are old. There is never an
  // answer without keys. Errors: kUnavailable.
  Result<JwtKeySetHandle> Current();
  // For a token whose key is not in `known`: other keys if the issuer has some by now, else `known`
  // again, without a fetch when the last one is not long ago. Never an error: `known` was good.
  JwtKeySetHandle NewerThan(const JwtKeySetHandle& known);

 private:
  // Fetches without the lock; the caller has set fetching_.
  void FetchAndPublish();
  [[nodiscard]] bool IsYoungerThan(std::chrono::seconds age) const KMS_REQUIRES(mutex_);
  [[nodiscard]] bool MayFetch() const KMS_REQUIRES(mutex_);
  // False when too many wait already.
  bool WaitForFetch() KMS_REQUIRES(mutex_);

  DocumentFetcher& fetcher_;
  const Clock& clock_;
  const JwtKeyLocation location_;

  Mutex mutex_;
  std::condition_variable_any fetched_;
  JwtKeySetHandle keys_ KMS_GUARDED_BY(mutex_);   // null: never fetched
  SteadyTime good_since_ KMS_GUARDED_BY(mutex_);  // when keys_ was fetched
  SteadyTime next_fetch_ KMS_GUARDED_BY(mutex_) = SteadyTime::min();
  bool fetching_ KMS_GUARDED_BY(mutex_) = false;
  int waiters_ KMS_GUARDED_BY(mutex_) = 0;
};

}  // namespace kms
