// SPDX-License-Identifier: Apache-2.0
// RevokedSources: logins whose tokens were revoked all at once, by one commit however many there
// are.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>

#include "kms/base/mutex.h"
#include "kms/base/result.h"
#include "kms/identity/token_key.h"
#include "kms/identity/token_record.h"
#include "kms/identity/token_store.h"
#include "kms/master/sealed_store.h"

namespace kms {

// Every token has a stamp, larger than that of every token and revocation before it, whatever the
// clock did and however often the service was restarted: a stored bound is above all of them. A
// source is revoked up to a stamp; no token made later has one as small.
// Thread rule: any thread.
class RevokedSources {
 public:
  // `sys` and `key` must outlive it. Errors: store errors, kCorrupted.
  static Result<std::unique_ptr<RevokedSources>> Open(SealedStore& sys, const TokenKey& key,
                                                      std::int64_t now_unix_nanoseconds);

  // For a token that is about to be made. Commits once in ten minutes. Errors: store errors.
  Result<std::int64_t> NextStamp(std::int64_t now_unix_nanoseconds);
  // Whether its source was revoked after it was made.
  [[nodiscard]] bool Contains(const StoredToken& token) const;
  // Everything of `source` that has a stamp already is dead from the return on, on every thread and
  // after every crash. Errors: kInvalidArgument (no mount accessor), store errors; repeat then.
  Status Revoke(const TokenSource& source, std::int64_t now_unix_nanoseconds);

 private:
  // Mount accessor, role, alias.
  using Source = std::tuple<std::string, std::optional<std::string>, std::optional<std::string>>;

  RevokedSources(SealedStore& sys, const TokenKey& key) : sys_(sys), key_(key) {}
  Status Read(const std::string& path);
  [[nodiscard]] std::string PathOf(const Source& source) const;
  void Remember(const Source& source, std::int64_t stamp);
  // Raises the stored bound above `stamp`. Errors: store errors.
  Status RaiseBound(std::int64_t stamp);

  SealedStore& sys_;
  const TokenKey& key_;
  mutable Mutex mutex_;
  std::map<Source, std::int64_t> revoked_until_ KMS_GUARDED_BY(mutex_);
  std::int64_t last_issued_ KMS_GUARDED_BY(mutex_) = 0;
  std::int64_t last_revoked_ KMS_GUARDED_BY(mutex_) = 0;
  std::int64_t bound_ KMS_GUARDED_BY(mutex_) = 0;  // nothing above it is given out
};

}  // namespace kms
