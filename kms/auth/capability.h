// SPDX-License-Identifier: Apache-2.0
// Capability: what may be done on a path (transit-api 11.1).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace kms {

enum class Capability : std::uint8_t {
  kUnset,  // a route that says nothing: refused by a static_assert
  kNone,   // nothing is needed: routes that take no token
  kCreate,
  kRead,
  kUpdate,
  kDelete,
  kList,
  kPatch,
  kScan,
  kSudo,
  kDeny,
};

// "create", "read", …; "unset" and "none" for the first two.
std::string_view CapabilityName(Capability capability);
// nullopt for anything that a policy cannot name.
std::optional<Capability> ParseCapability(std::string_view name);

// A set of capabilities. Plain value.
class CapabilitySet {
 public:
  constexpr CapabilitySet() = default;
  constexpr void Add(Capability capability) { bits_ |= Bit(capability); }
  constexpr void AddAll(CapabilitySet other) { bits_ |= other.bits_; }
  [[nodiscard]] constexpr bool Has(Capability capability) const {
    return (bits_ & Bit(capability)) != 0;
  }
  [[nodiscard]] constexpr bool empty() const { return bits_ == 0; }
  friend constexpr bool operator==(CapabilitySet, CapabilitySet) = default;

 private:
  static constexpr std::uint16_t Bit(Capability capability) {
    return static_cast<std::uint16_t>(1U << static_cast<unsigned>(capability));
  }
  std::uint16_t bits_ = 0;
};

}  // namespace kms
