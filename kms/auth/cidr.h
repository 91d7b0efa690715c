// SPDX-License-Identifier: Apache-2.0
// IpAddress and CidrBlock: where a request comes from and whether that is allowed (RFC 4632, 4291).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "kms/base/result.h"

namespace kms {

// An IPv4 or IPv6 address as 16 bytes; IPv4 is kept in its IPv4-mapped form (::ffff:a.b.c.d), so both
// spellings of one address are equal. Plain value.
class IpAddress {
 public:
  // nullopt for anything but a plain address: no port, no zone, no brackets.
  static std::optional<IpAddress> Parse(std::string_view text);

  [[nodiscard]] bool is_loopback() const;
  [[nodiscard]] bool is_ipv4() const;
  // The address with all but the first `bits` of its own family zeroed: 24 and 64 name a customer.
  [[nodiscard]] IpAddress Network(unsigned ipv4_bits, unsigned ipv6_bits) const;
  [[nodiscard]] std::string ToText() const;
  [[nodiscard]] const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  explicit IpAddress(const std::array<std::uint8_t, 16>& bytes) : bytes_(bytes) {}
  std::array<std::uint8_t, 16> bytes_{};
};

class CidrBlock {
 public:
  // "10.0.0.0/8", "2001:db8::/32"; a bare address is a block of one. Bits beyond the length may be
  // set, as in "10.1.2.3/8". Errors: kInvalidArgument "invalid CIDR block".
  static Result<CidrBlock> Parse(std::string_view text);
  // The block of this address alone.
  static CidrBlock Only(const IpAddress& address);

  [[nodiscard]] bool Contains(const IpAddress& address) const;
  // True when `other` contains all of this one.
  [[nodiscard]] bool Within(const CidrBlock& other) const {
    return bits_ >= other.bits_ && other.Contains(address_);
  }
  // Every address of `other` is in this one.
  [[nodiscard]] bool Covers(const CidrBlock& other) const;
  // As it is shown to clients: "10.0.0.0/8"; a block of one without its length.
  [[nodiscard]] std::string ToText() const;

  friend auto operator<=>(const CidrBlock&, const CidrBlock&) = default;

 private:
  CidrBlock(const IpAddress& address, unsigned bits) : address_(address), bits_(bits) {}
  IpAddress address_;
  unsigned bits_;  // of the 128
};

// True when `blocks` is empty or one contains `address`. A text that is no address is in no block.
bool AllowedFrom(std::span<const CidrBlock> blocks, std::string_view address);

}  // namespace kms
