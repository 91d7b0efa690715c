// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/key_usage.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace kms {

namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::size_t kVersionBytes = 4;
constexpr std::size_t kRecordBytes = kVersionBytes + 8;

// Ranges grow with use: a rarely used key does not look used up after a few crashes, a busy one
// asks the store once in a million encryptions.
constexpr std::uint64_t kFirstLease = 1024;
constexpr std::uint64_t kLeaseGrowth = 4;
constexpr std::uint64_t kLargestLease = std::uint64_t{1} << 20U;
// A crash wastes no more than this part of the limit.
constexpr std::uint64_t kLeasesPerLimit = 64;
// A batch may need more at once than the range it would get.
constexpr std::uint64_t kLargestBatch = 100'000;

// Someone else's commit is read and tried again over.
constexpr int kAttempts = 4;

Error Damaged(std::string detail) { return Corrupted("damaged entry", std::move(detail)); }

void Put(std::uint64_t value, MutableByteView out) {
  for (std::size_t index = out.size(); index-- > 0; value >>= 8U) {
    out[index] = static_cast<std::uint8_t>(value);
  }
}

std::uint64_t Get(ByteView in) {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : in) {
    value = value << 8U | byte;
  }
  return value;
}

std::uint64_t NextLease(std::uint64_t last, std::uint64_t limit) {
  const std::uint64_t grown = last == 0 ? kFirstLease : last * kLeaseGrowth;
  const std::uint64_t most = std::max<std::uint64_t>(1, limit / kLeasesPerLimit);
  return std::min({grown, most, kLargestLease});
}

}  // namespace

std::shared_ptr<UsageCounter> KeyUsage::CounterOf(KeyVersionNumber version) {
  const ScopedLock lock(mutex_);
  return slots_[version].counter;
}

bool KeyUsage::HasRoom(const Needs& needs) {
  const ScopedLock lock(mutex_);
  for (const auto& [version, need] : needs) {
    if (slots_[version].Left() < need) {
      return false;
    }
  }
  return true;
}

Result<std::optional<KeyVersionNumber>> KeyUsage::Lease(SealedStore& store, const Needs& needs,
                                                        std::uint64_t limit,
                                                        KeyVersionNumber min_available) {
  const ScopedLock lock(mutex_);
  for (int attempt = 1;; ++attempt) {
    Result<std::optional<KeyVersionNumber>> leased =
        LeaseOnce(store, needs, limit, min_available);
    if (leased.has_value()) {
      return leased;
    }
    known_ = false;
    // A range whose commit has an unknown outcome is not used: the next one begins after it.
    const ErrorCode code = leased.error().code;
    const bool again = code == ErrorCode::kConflict || code == ErrorCode::kOutcomeUnknown;
    if (!again) {
      return leased;
    }
    if (attempt == kAttempts) {
      return Unavailable("the encryption could not be counted", leased.error().detail);
    }
  }
}

Result<std::optional<KeyVersionNumber>> KeyUsage::LeaseOnce(SealedStore& store, const Needs& needs,
                                                            std::uint64_t limit,
                                                            KeyVersionNumber min_available) {
  if (!known_) {
    KMS_TRY(Read(store));
  }
  Recorded recorded;
  for (const auto& [version, slot] : slots_) {
    recorded[version] = slot.recorded;
  }
  Needs grants;
  for (const auto& [version, need] : needs) {
    const Slot& slot = slots_[version];
    const std::uint64_t left = slot.Left();
    if (left >= need) {
      continue;
    }
    const std::uint64_t wanted = std::max(need - left, NextLease(slot.lease, limit));
    const std::uint64_t grant = std::min(wanted, limit - std::min(limit, slot.recorded));
    if (left + grant < need) {
      return std::optional{version};
    }
    grants[version] = grant;
    recorded[version] = slot.recorded + grant;
  }
  if (grants.empty()) {
    return std::optional<KeyVersionNumber>{};
  }
  std::erase_if(recorded, [&](const auto& record) {
    return record.second == 0 || record.first < min_available;
  });
  KMS_TRY(Write(store, recorded));
  for (const auto& [version, grant] : grants) {
    Slot& slot = slots_[version];
    slot.recorded += grant;
    slot.lease = grant;
    slot.counter->Extend(slot.counter->leased_until() + grant);
  }
  return std::optional<KeyVersionNumber>{};
}

Result<std::map<KeyVersionNumber, std::uint64_t>> KeyUsage::Encryptions(SealedStore& store) {
  const ScopedLock lock(mutex_);
  KMS_TRY(Read(store));
  Recorded encryptions;
  for (const auto& [version, slot] : slots_) {
    encryptions[version] = slot.Used();
  }
  return encryptions;
}

std::pair<KeyVersionNumber, std::uint64_t> KeyUsage::LatestUsed() {
  const ScopedLock lock(mutex_);
  for (auto slot = slots_.rbegin(); slot != slots_.rend(); ++slot) {
    if (slot->second.recorded != 0) {
      return {slot->first, slot->second.Used()};
    }
  }
  return {0, 0};
}

Status KeyUsage::Return(SealedStore& store) {
  const ScopedLock lock(mutex_);
  const bool nothing_left = std::ranges::all_of(
      slots_, [](const auto& entry) { return entry.second.Left() == 0; });
  if (nothing_left) {
    return Ok();
  }
  KMS_TRY(Read(store));
  if (revision_ == 0) {
    return Ok();  // the key is gone
  }
  Recorded recorded;
  for (auto& [version, slot] : slots_) {
    const std::uint64_t left = slot.Left();
    if (left != 0 && slot.counter->TryTake(left)) {
      slot.recorded -= std::min(slot.recorded, left);
    }
    if (slot.recorded != 0) {
      recorded[version] = slot.recorded;
    }
  }
  return Write(store, recorded);
}

bool KeyUsage::unused() {
  const ScopedLock lock(mutex_);
  return std::ranges::all_of(
      slots_, [](const auto& entry) { return entry.second.counter.use_count() == 1; });
}

Status KeyUsage::Read(SealedStore& store) {
  const std::optional<OpenedEntry> entry = KMS_TRY(store.Get(UsagePath(incarnation_)));
  const Recorded recorded =
      entry ? KMS_TRY(DecodeUsage(entry->value.View())) : Recorded{};
  for (auto& [version, slot] : slots_) {
    slot.recorded = 0;
  }
  for (const auto& [version, uses] : recorded) {
    slots_[version].recorded = uses;
  }
  revision_ = entry ? entry->revision : 0;
  known_ = true;
  return Ok();
}

Status KeyUsage::Write(SealedStore& store, const Recorded& recorded) {
  std::vector<SealedMutation> mutations;
  mutations.push_back({.path = UsagePath(incarnation_),
                       .value = KMS_TRY(EncodeUsage(recorded)),
                       .expected_revision = revision_});
  const Result<Revision> committed = store.Commit(std::move(mutations));
  if (!committed.has_value()) {
    known_ = false;
    return committed.error();
  }
  revision_ = *committed;
  return Ok();
}

std::uint64_t LargestLease(std::uint64_t limit) {
  return std::min(limit,
                  std::max(std::min(limit / kLeasesPerLimit, kLargestLease), kLargestBatch));
}

std::string UsagePath(const Uuid& incarnation) { return "usage/" + incarnation.ToString(); }

Result<SecretBytes> EncodeUsage(const std::map<KeyVersionNumber, std::uint64_t>& recorded) {
  Bytes encoded;
  encoded.reserve(1 + recorded.size() * kRecordBytes);
  encoded.push_back(kFormat);
  for (const auto& [version, uses] : recorded) {
    encoded.resize(encoded.size() + kRecordBytes);
    const MutableByteView record = MutableByteView(encoded).last(kRecordBytes);
    Put(version, record.first(kVersionBytes));
    Put(uses, record.subspan(kVersionBytes));
  }
  return SecretBytes::CopyOf(encoded);
}

Result<std::map<KeyVersionNumber, std::uint64_t>> DecodeUsage(ByteView encoded) {
  if (encoded.empty()) {
    return Damaged("an empty usage record");
  }
  if (encoded[0] != kFormat) {
    return Corrupted("stored usage has format " + std::to_string(unsigned{encoded[0]}) +
                     ", this program reads format " + std::to_string(unsigned{kFormat}) +
                     ": it was written by another version of the program or is damaged");
  }
  ByteView rest = encoded.subspan(1);
  std::map<KeyVersionNumber, std::uint64_t> recorded;
  KeyVersionNumber last = 0;
  for (; rest.size() >= kRecordBytes; rest = rest.subspan(kRecordBytes)) {
    const auto version = static_cast<KeyVersionNumber>(Get(rest.first(kVersionBytes)));
    if (version <= last) {
      return Damaged("usage records out of order");
    }
    recorded[version] = Get(rest.subspan(kVersionBytes, kRecordBytes - kVersionBytes));
    last = version;
  }
  if (!rest.empty()) {
    return Damaged("a usage record ends early");
  }
  return recorded;
}

}  // namespace kms
