// SPDX-License-Identifier: Apache-2.0
// Listener: SO_REUSEADDR so that a restart can bind at once, never SO_REUSEPORT, with which a
// second process would silently take half of the connections.
#include "api/front/listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace kms::api {
namespace {

constexpr int kBacklog = 1024;

struct Address {
  sockaddr_storage storage{};
  socklen_t bytes = 0;
  bool loopback = false;

  [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

bool ParseIpv4(const std::string& text, std::uint16_t port, Address& address) {
  auto* ipv4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  if (::inet_pton(AF_INET, text.c_str(), &ipv4->sin_addr) != 1) {
    return false;
  }
  ipv4->sin_family = AF_INET;
  ipv4->sin_port = htons(port);
  address.bytes = sizeof(sockaddr_in);
  address.loopback = (ntohl(ipv4->sin_addr.s_addr) >> 24U) == 127;
  return true;
}

bool ParseIpv6(const std::string& text, std::uint16_t port, Address& address) {
  auto* ipv6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (::inet_pton(AF_INET6, text.c_str(), &ipv6->sin6_addr) != 1) {
    return false;
  }
  ipv6->sin6_family = AF_INET6;
  ipv6->sin6_port = htons(port);
  address.bytes = sizeof(sockaddr_in6);
  address.loopback = std::ranges::equal(ipv6->sin6_addr.s6_addr, in6addr_loopback.s6_addr);
  return true;
}

Result<Address> Parse(const FrontOptions& options) {
  std::string text = options.address == "localhost" ? "127.0.0.1" : options.address;
  if (text.size() > 2 && text.front() == '[' && text.back() == ']') {
    text = text.substr(1, text.size() - 2);
  }
  Address address;
  if (ParseIpv4(text, options.port, address) || ParseIpv6(text, options.port, address)) {
    return address;
  }
  return InvalidArgument("'" + options.address +
                         "' is no address to listen on; give an IPv4 or IPv6 address");
}

std::uint16_t BoundPort(int fd) {
  Address address;
  socklen_t bytes = sizeof(address.storage);
  ::getsockname(fd, address.get(), &bytes);
  return ntohs(address.storage.ss_family == AF_INET6
                   ? reinterpret_cast<sockaddr_in6*>(&address.storage)->sin6_port
                   : reinterpret_cast<sockaddr_in*>(&address.storage)->sin_port);
}

}  // namespace

Result<Listener> Listen(const FrontOptions& options) {
  Address address = KMS_TRY(Parse(options));
  if (!address.loopback && !options.tls.has_value() && !options.allow_plain_http) {
    return FailedPrecondition(
        "refusing to serve plain HTTP on " + options.address +
        ": configure a certificate and key, or set allow_plain_http if a proxy in front of this "
        "address ends TLS");
  }
  UniqueFd socket{
      ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  const int on = 1;
  if (!socket.valid() ||
      ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
      ::bind(socket.get(), address.get(), address.bytes) != 0 ||
      ::listen(socket.get(), kBacklog) != 0) {
    const std::string reason = std::strerror(errno);
    return Unavailable("cannot listen on " + options.address + " port " +
                       std::to_string(options.port) + ": " + reason);
  }
  const std::uint16_t port = BoundPort(socket.get());
  return Listener{.socket = std::move(socket), .port = port};
}

}  // namespace kms::api
