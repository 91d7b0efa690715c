// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/outbound_url.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>

namespace kms {

namespace {

constexpr std::size_t kMaxUrlBytes = 2048;

Error BadUrl(const char* why) { return InvalidArgument(std::string("invalid URL: ") + why); }

bool IsUrlCharacter(char c) {
  constexpr std::string_view kNever = "\"<>\\^`{|}#@";
  return c > ' ' && c < 0x7f && kNever.find(c) == std::string_view::npos;
}

bool IsHostCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_';
}

bool IsPort(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), port);
  return code == std::errc{} && end == text.data() + text.size() && port != 0;
}

// The host without brackets; nullopt when it is none or when no port follows a ':'.
std::optional<std::string_view> HostOf(std::string_view authority) {
  std::string_view host;
  std::string_view rest;
  if (authority.starts_with('[')) {
    const std::size_t end = std::min(authority.find(']'), authority.size());
    host = authority.substr(1, end - 1);
    rest = authority.substr(std::min(end + 1, authority.size()));
    if (end == authority.size() || !IpAddress::Parse(host)) {
      return std::nullopt;
    }
  } else {
    const std::size_t end = std::min(authority.find(':'), authority.size());
    host = authority.substr(0, end);
    rest = authority.substr(end);
    if (host.empty() || !std::ranges::all_of(host, IsHostCharacter)) {
      return std::nullopt;
    }
  }
  const bool good_port = rest.empty() || (rest.front() == ':' && IsPort(rest.substr(1)));
  return good_port ? std::optional(host) : std::nullopt;
}

bool NamesLoopback(std::string_view host) {
  const std::optional<IpAddress> address = IpAddress::Parse(host);
  return address ? address->is_loopback() : host == "localhost";
}

}  // namespace

Result<OutboundUrl> ParseOutboundUrl(std::string_view text) {
  constexpr std::string_view kHttps = "https://";
  constexpr std::string_view kHttp = "http://";
  if (text.empty() || text.size() > kMaxUrlBytes) {
    return BadUrl("it must have 1 to 2048 characters");
  }
  if (!std::ranges::all_of(text, IsUrlCharacter)) {
    return BadUrl("it has a character that is not allowed");
  }
  OutboundUrl url{.text = std::string(text), .is_https = text.starts_with(kHttps)};
  if (!url.is_https && !text.starts_with(kHttp)) {
    return BadUrl("it must begin with https://");
  }
  const std::string_view rest = text.substr(url.is_https ? kHttps.size() : kHttp.size());
  const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
  const std::optional<std::string_view> host = HostOf(rest.substr(0, end));
  if (!host) {
    return BadUrl("it has no good host");
  }
  url.names_loopback = NamesLoopback(*host);
  if (!url.is_https && !url.names_loopback) {
    return BadUrl("http:// is for loopback addresses only");
  }
  return url;
}

bool MayConnectTo(const IpAddress& address, bool loopback_only) {
  if (loopback_only || address.is_loopback()) {
    return address.is_loopback();
  }
  constexpr std::size_t kFirstIpv4Byte = 12;
  const std::array<std::uint8_t, 16>& bytes = address.bytes();
  if (address.is_ipv4()) {
    const std::uint8_t first = bytes[kFirstIpv4Byte];
    const bool link_local = first == 169 && bytes[kFirstIpv4Byte + 1] == 254;
    return first != 0 && first < 224 && !link_local;  // 224/4 multicast, 240/4 reserved
  }
  const bool link_local = bytes[0] == 0xfe && (bytes[1] & 0xc0U) == 0x80;
  const bool unspecified = std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
  return bytes[0] != 0xff && !link_local && !unspecified;
}

}  // namespace kms
