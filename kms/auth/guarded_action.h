// SPDX-License-Identifier: Apache-2.0
// GuardedAction: what an environment may demand the approval of a second person for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kms/base/result.h"

namespace kms {

// The option of an environment that lists what needs approval.
inline constexpr std::string_view kRequireApprovalOption = "require_approval";

// Stored numbers: do not change or reuse.
enum class GuardedAction : std::uint8_t {
  kDelete = 1,                // a key, or the environment itself; soft or for good
  kTrim = 2,                  // destroying versions
  kExport = 3,                // private or secret material, in the clear or wrapped for another key
  kBackup = 4,                // in the clear
  kMinDecryptionVersion = 5,  // lowering it
  kUnprotect = 6,             // tuning `protected` off, or demanding fewer approvals than before
  kUnseal = 7,                // opening a sealed environment
  kRetireMaster = 8,          // destroying an old master key in the HSMs
  kRecovery = 9,              // choosing who may open the environment without any HSM
};

// "delete", "trim", "export", "backup", "min_decryption_version", "unprotect", "unseal",
// "retire_master", "recovery".
std::string_view GuardedActionName(GuardedAction action);
std::optional<GuardedAction> ParseGuardedAction(std::string_view name);

// A set of them. Plain value.
class GuardedActions {
 public:
  constexpr GuardedActions() = default;
  // A list of names with commas between, blanks around them, "all", or nothing.
  // Errors: kInvalidArgument, naming the actions there are.
  static Result<GuardedActions> Parse(std::string_view text);

  constexpr void Add(GuardedAction action) { bits_ |= Bit(action); }
  [[nodiscard]] constexpr bool Has(GuardedAction action) const {
    return (bits_ & Bit(action)) != 0;
  }
  [[nodiscard]] constexpr bool empty() const { return bits_ == 0; }
  // Every one of `other` is in this set.
  [[nodiscard]] constexpr bool Covers(GuardedActions other) const {
    return (other.bits_ & ~bits_) == 0;
  }
  // What Parse reads, in the order of the enumerators; "" for none.
  [[nodiscard]] std::string ToText() const;

  friend constexpr bool operator==(GuardedActions, GuardedActions) = default;

 private:
  static constexpr unsigned Bit(GuardedAction action) {
    return 1U << static_cast<unsigned>(action);
  }
  unsigned bits_ = 0;
};

}  // namespace kms
