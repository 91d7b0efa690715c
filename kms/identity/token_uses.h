// SPDX-License-Identifier: Apache-2.0
// TokenUses: takes the uses of limited tokens. Those who wait for one token share its next commit.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "kms/base/digest.h"
#include "kms/base/mutex.h"
#include "kms/base/result.h"

namespace kms {

// Thread rule: any thread.
class TokenUses {
 public:
  // Takes up to `wanted` uses of the token durably and says how many it got. Called by one thread
  // at a time for one token.
  using Take = std::function<Result<std::int64_t>(const Sha256Digest& id, std::int64_t wanted)>;

  TokenUses();
  ~TokenUses();

  // Ok when one of the uses that `take` got is the caller's. Errors: kPermissionDenied
  // "permission denied" when none was left for it, those of `take`.
  Status SpendOne(const Sha256Digest& id, const Take& take);

 private:
  struct Lane;  // the waiting uses of one token

  std::shared_ptr<Lane> Enter(const Sha256Digest& id);
  void Leave(const Sha256Digest& id, std::shared_ptr<Lane> lane);

  Mutex mutex_;
  std::map<Sha256Digest, std::shared_ptr<Lane>> lanes_ KMS_GUARDED_BY(mutex_);
};

}  // namespace kms
