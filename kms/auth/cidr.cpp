// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/cidr.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace kms {
namespace {

constexpr unsigned kAllBits = 128;
constexpr unsigned kMappedBits = 96;  // before the four bytes of an IPv4 address
constexpr std::array<std::uint8_t, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

std::array<std::uint8_t, 16> Masked(std::array<std::uint8_t, 16> bytes, unsigned bits) {
  for (unsigned i = 0; i < bytes.size(); ++i) {
    const unsigned kept = bits > i * 8 ? std::min(8U, bits - i * 8) : 0U;
    bytes[i] = static_cast<std::uint8_t>(bytes[i] & (0xff00U >> kept));
  }
  return bytes;
}

}  // namespace

std::optional<IpAddress> IpAddress::Parse(std::string_view text) {
  const std::string terminated(text);
  if (terminated.find('\0') != std::string::npos) {
    return std::nullopt;
  }
  std::array<std::uint8_t, 16> bytes{};
  if (::inet_pton(AF_INET6, terminated.c_str(), bytes.data()) == 1) {
    return IpAddress(bytes);
  }
  std::ranges::copy(kMappedPrefix, bytes.begin());
  if (::inet_pton(AF_INET, terminated.c_str(), bytes.data() + kMappedPrefix.size()) == 1) {
    return IpAddress(bytes);
  }
  return std::nullopt;
}

bool IpAddress::is_ipv4() const {
  return std::ranges::equal(kMappedPrefix, std::span(bytes_).first(kMappedPrefix.size()));
}

bool IpAddress::is_loopback() const {
  if (is_ipv4()) {
    return bytes_[12] == 127;
  }
  std::array<std::uint8_t, 16> loopback{};
  loopback.back() = 1;
  return bytes_ == loopback;
}

IpAddress IpAddress::Network(unsigned ipv4_bits, unsigned ipv6_bits) const {
  return IpAddress(Masked(bytes_, is_ipv4() ? kMappedBits + ipv4_bits : ipv6_bits));
}

std::string IpAddress::ToText() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (is_ipv4()) {
    ::inet_ntop(AF_INET, bytes_.data() + kMappedPrefix.size(), text.data(), text.size());
  } else {
    ::inet_ntop(AF_INET6, bytes_.data(), text.data(), text.size());
  }
  return text.data();
}

Result<CidrBlock> CidrBlock::Parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::optional<IpAddress> address = IpAddress::Parse(text.substr(0, slash));
  if (!address) {
    return InvalidArgument("invalid CIDR block");
  }
  if (slash == std::string_view::npos) {
    return Only(*address);
  }
  // An IPv4-mapped spelling counts its length over 128 bits, a dotted one over 32.
  const bool dotted = text.substr(0, slash).find(':') == std::string_view::npos;
  const std::string_view digits = text.substr(slash + 1);
  unsigned bits = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  const unsigned most = dotted ? kAllBits - kMappedBits : kAllBits;
  if (code != std::errc{} || end != digits.data() + digits.size() || bits > most) {
    return InvalidArgument("invalid CIDR block");
  }
  return CidrBlock(*address, dotted ? kMappedBits + bits : bits);
}

CidrBlock CidrBlock::Only(const IpAddress& address) { return {address, kAllBits}; }

bool CidrBlock::Contains(const IpAddress& address) const {
  return Masked(address.bytes(), bits_) == Masked(address_.bytes(), bits_);
}

bool CidrBlock::Covers(const CidrBlock& other) const {
  return bits_ <= other.bits_ && Contains(other.address_);
}

std::string CidrBlock::ToText() const {
  if (bits_ == kAllBits) {
    return address_.ToText();
  }
  const bool ipv4 = address_.is_ipv4() && bits_ >= kMappedBits;
  const IpAddress network =
      ipv4 ? address_.Network(bits_ - kMappedBits, bits_) : address_.Network(0, bits_);
  return network.ToText() + "/" + std::to_string(ipv4 ? bits_ - kMappedBits : bits_);
}

bool AllowedFrom(std::span<const CidrBlock> blocks, std::string_view address) {
  if (blocks.empty()) {
    return true;
  }
  const std::optional<IpAddress> parsed = IpAddress::Parse(address);
  return parsed && std::ranges::any_of(
                       blocks, [&](const CidrBlock& block) { return block.Contains(*parsed); });
}

}  // namespace kms
