// SPDX-License-Identifier: Apache-2.0
// KeyUsage: the usage counters of one key, and what the store has recorded of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "kms/base/ids.h"
#include "kms/base/mutex.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/keys/key.h"
#include "kms/keys/usage_counter.h"
#include "kms/master/sealed_store.h"

namespace kms {

// Every encryption under a version is taken from a range that was recorded before: what is recorded
// is never less than what was used, whatever dies when. A range is about what the version has used
// in this process already, so a crash wastes no more than a few times that.
// Thread rule: any thread; store calls of one key happen one at a time.
class KeyUsage {
 public:
  KeyUsage(const Uuid& incarnation, std::string name)
      : incarnation_(incarnation), name_(std::move(name)) {}

  [[nodiscard]] const Uuid& incarnation() const { return incarnation_; }
  [[nodiscard]] const std::string& name() const { return name_; }

  // Always the same counter for a version. Nothing is leased at first.
  std::shared_ptr<UsageCounter> CounterOf(KeyVersionNumber version);

  using Needs = std::map<KeyVersionNumber, std::uint64_t>;
  // Makes room for each need, at most up to `limit` uses of a version in all. Records of versions
  // below `min_available` are dropped. The caller holds the key's write mutex and knows that the
  // key exists: a lease must not outlive a deletion.
  // Returns a version that has no room left, if there is one. Errors: store errors.
  Result<std::optional<KeyVersionNumber>> Lease(SealedStore& store, const Needs& needs,
                                                std::uint64_t limit,
                                                KeyVersionNumber min_available);
  // Whether every need fits what is leased already.
  [[nodiscard]] bool HasRoom(const Needs& needs);

  // Uses of each version that has any, as far as this process knows. Errors: store errors.
  Result<std::map<KeyVersionNumber, std::uint64_t>> Encryptions(SealedStore& store);

  // The latest version that encrypted here, and its uses as far as this process knows; 0 and 0 when
  // none did.
  [[nodiscard]] std::pair<KeyVersionNumber, std::uint64_t> LatestUsed();

  // Gives back what is leased and not used. The caller holds the key's write mutex.
  // Errors: store errors; what was to be given back counts as used then.
  Status Return(SealedStore& store);

  // No key in memory counts by it.
  [[nodiscard]] bool unused();

 private:
  struct Slot {
    std::shared_ptr<UsageCounter> counter = std::make_shared<UsageCounter>(0);
    std::uint64_t recorded = 0;  // uses that the store knows to be gone
    std::uint64_t lease = 0;     // size of the last range
    // What was leased and is not used.
    [[nodiscard]] std::uint64_t Left() const { return counter->leased_until() - counter->used(); }
    [[nodiscard]] std::uint64_t Used() const { return recorded - std::min(recorded, Left()); }
  };
  using Recorded = std::map<KeyVersionNumber, std::uint64_t>;

  Status Read(SealedStore& store) KMS_REQUIRES(mutex_);
  Status Write(SealedStore& store, const Recorded& recorded) KMS_REQUIRES(mutex_);
  Result<std::optional<KeyVersionNumber>> LeaseOnce(SealedStore& store, const Needs& needs,
                                                    std::uint64_t limit,
                                                    KeyVersionNumber min_available)
      KMS_REQUIRES(mutex_);

  const Uuid incarnation_;
  const std::string name_;
  Mutex mutex_;
  std::map<KeyVersionNumber, Slot> slots_ KMS_GUARDED_BY(mutex_);
  bool known_ KMS_GUARDED_BY(mutex_) = false;  // recorded and revision are those of the store
  Revision revision_ KMS_GUARDED_BY(mutex_) = 0;
};

// The most uses of a version that one commit may record, with this limit on them.
std::uint64_t LargestLease(std::uint64_t limit);

// "usage/<incarnation>": format(1) = 1, then for each version, ascending, version(4) and recorded
// uses(8), big-endian.
std::string UsagePath(const Uuid& incarnation);
Result<SecretBytes> EncodeUsage(const std::map<KeyVersionNumber, std::uint64_t>& recorded);
// Errors: kCorrupted for anything that EncodeUsage did not make; an unknown format is named.
Result<std::map<KeyVersionNumber, std::uint64_t>> DecodeUsage(ByteView encoded);

}  // namespace kms
