// SPDX-License-Identifier: Apache-2.0
#include "api/pipeline/client_address.h"

#include <algorithm>
#include <optional>
#include <ranges>

#include "api/front/ascii.h"

namespace kms::api {
namespace {

constexpr std::string_view kForwardedFor = "x-forwarded-for";

bool Contains(std::span<const CidrBlock> blocks, const IpAddress& address) {
  return std::ranges::any_of(blocks,
                             [&](const CidrBlock& block) { return block.Contains(address); });
}

// Walks the list of one header from its end. `client` becomes the last address that was read;
// returns true when it is the answer, nullopt when the list is malformed.
std::optional<bool> WalkBack(std::string_view list, std::span<const CidrBlock> trusted_proxies,
                             std::string_view& client) {
  for (;;) {
    const std::size_t comma = list.rfind(',');
    const std::string_view text =
        TrimBlanks(comma == std::string_view::npos ? list : list.substr(comma + 1));
    const std::optional<IpAddress> address = IpAddress::Parse(text);
    if (!address) {
      return std::nullopt;
    }
    client = text;
    if (!Contains(trusted_proxies, *address)) {
      return true;
    }
    if (comma == std::string_view::npos) {
      return false;
    }
    list = list.substr(0, comma);
  }
}

}  // namespace

Result<std::string_view> ClientAddress(const HttpRequest& request,
                                       std::span<const CidrBlock> trusted_proxies) {
  std::string_view client = request.remote_address;
  if (trusted_proxies.empty()) {
    return client;
  }
  const std::optional<IpAddress> peer = IpAddress::Parse(client);
  if (!peer || !Contains(trusted_proxies, *peer)) {
    return client;
  }
  for (const HeaderField& field : request.headers | std::views::reverse) {
    if (!EqualsIgnoringCase(field.name, kForwardedFor)) {
      continue;
    }
    const std::optional<bool> found = WalkBack(field.value, trusted_proxies, client);
    if (!found) {
      return InvalidArgument("malformed X-Forwarded-For header");
    }
    if (*found) {
      break;
    }
  }
  return client;
}

}  // namespace kms::api
