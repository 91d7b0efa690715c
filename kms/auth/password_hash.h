// SPDX-License-Identifier: Apache-2.0
// PasswordHasher: turns passwords into what may be stored of them: Argon2id (RFC 9106).
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "kms/base/mutex.h"
#include "kms/base/result.h"

namespace kms {

// What one hashing costs. Written into every hash, so that a later change leaves old ones good.
struct PasswordHashCost {
  std::uint32_t memory_kib = 64 * 1024;
  std::uint32_t passes = 3;
};

inline constexpr std::size_t kMinPasswordBytes = 8;
inline constexpr std::size_t kMaxPasswordBytes = 1024;

// Hashing takes memory by design: at most `max_running` run at one time, `max_waiting` more wait
// for their turn, and everybody else is refused, so that a flood of logins takes a bounded part of
// the machine (A19). Thread rule: any thread; calls block for as long as hashing and waiting take.
class PasswordHasher {
 public:
  struct Limits {
    std::size_t max_running = 2;
    std::size_t max_waiting = 2;  // both together leave most of the service's threads to others
  };

  PasswordHasher() : PasswordHasher(PasswordHashCost{}, Limits{}) {}
  PasswordHasher(PasswordHashCost cost, Limits limits);

  // "$argon2id$v=19$m=…,t=…,p=1$salt$hash" under a fresh salt. A password is bytes: nothing is
  // trimmed, folded or normalised. Errors: kInvalidArgument for less than kMinPasswordBytes or more
  // than kMaxPasswordBytes, kResourceExhausted as above, kUnavailable without memory.
  Result<std::string> Hash(std::string_view password);

  // Whether `hash` is of `password`; constant time in what is compared. A password that is too long
  // is hashed as if it were empty, and never right. Errors: kResourceExhausted, kUnavailable,
  // kCorrupted when `hash` is none.
  Result<bool> Verify(std::string_view password, const std::string& hash);

  // As costly as Verify, for a user who does not exist, so that its time tells nothing. False.
  // Errors: as Verify.
  Result<bool> VerifyAgainstNobody(std::string_view password);

  // How often the memory-hard function ran: what tests count in place of time.
  [[nodiscard]] std::uint64_t hashings() const { return hashings_.load(); }
  // How many run now.
  [[nodiscard]] std::size_t running() const;

 private:
  class Turn;

  const PasswordHashCost cost_;
  const Limits limits_;
  const std::string nobody_;  // a hash of no password at all
  std::atomic<std::uint64_t> hashings_{0};

  mutable Mutex mutex_;
  std::condition_variable_any turn_ended_;
  std::size_t running_ KMS_GUARDED_BY(mutex_) = 0;
  std::size_t waiting_ KMS_GUARDED_BY(mutex_) = 0;
};

}  // namespace kms
