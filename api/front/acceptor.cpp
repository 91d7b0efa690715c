// SPDX-License-Identifier: Apache-2.0
// Acceptor: a blocking poll on the listener and on a descriptor that says stop.
#include "api/front/acceptor.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace kms::api {
namespace {

// How long the backlog is left alone when not even the spare descriptor can be had.
constexpr int kExhaustedPauseMilliseconds = 100;

UniqueFd OpenSpare() { return UniqueFd{::open("/dev/null", O_RDONLY | O_CLOEXEC)}; }

PeerAddress ToPeer(const sockaddr_storage& storage) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (storage.ss_family == AF_INET6) {
    const auto& ipv6 = reinterpret_cast<const sockaddr_in6&>(storage);
    if (IN6_IS_ADDR_V4MAPPED(&ipv6.sin6_addr)) {
      ::inet_ntop(AF_INET, &ipv6.sin6_addr.s6_addr[12], text.data(), text.size());
    } else {
      ::inet_ntop(AF_INET6, &ipv6.sin6_addr, text.data(), text.size());
    }
    return {.host = text.data(), .port = ntohs(ipv6.sin6_port)};
  }
  const auto& ipv4 = reinterpret_cast<const sockaddr_in&>(storage);
  ::inet_ntop(AF_INET, &ipv4.sin_addr, text.data(), text.size());
  return {.host = text.data(), .port = ntohs(ipv4.sin_port)};
}

}  // namespace

Result<std::unique_ptr<Acceptor>> Acceptor::Start(Listener listener, Admission& admission,
                                                  TlsContext* tls, std::string overload_answer,
                                                  Deal deal) {
  UniqueFd stop{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::unique_ptr<Acceptor> acceptor{new Acceptor{std::move(listener), std::move(stop), admission,
                                                  tls, std::move(overload_answer),
                                                  std::move(deal)}};
  if (!acceptor->stop_fd_.valid() || !acceptor->spare_.valid()) {
    return Unavailable("cannot accept connections", std::strerror(errno));
  }
  acceptor->thread_ = std::thread{[raw = acceptor.get()] { raw->Run(); }};
  return acceptor;
}

Acceptor::Acceptor(Listener listener, UniqueFd stop_fd, Admission& admission, TlsContext* tls,
                   std::string overload_answer, Deal deal)
    : listener_(std::move(listener)),
      stop_fd_(std::move(stop_fd)),
      spare_(OpenSpare()),
      admission_(admission),
      tls_(tls),
      overload_answer_(std::move(overload_answer)),
      deal_(std::move(deal)) {}

Acceptor::~Acceptor() { Stop(); }

void Acceptor::Stop() {
  ::eventfd_write(stop_fd_.get(), 1);
  if (thread_.joinable()) {
    thread_.join();
  }
  listener_.socket.Close();
}

void Acceptor::Run() {
  std::array<pollfd, 2> watched{{{.fd = stop_fd_.get(), .events = POLLIN, .revents = 0},
                                 {.fd = listener_.socket.get(), .events = POLLIN, .revents = 0}}};
  while (watched[0].revents == 0) {
    // While exhausted only the stop descriptor is watched, and the pause ends by itself.
    const nfds_t count = exhausted_ ? 1 : watched.size();
    ::poll(watched.data(), count, exhausted_ ? kExhaustedPauseMilliseconds : -1);
    exhausted_ = false;
    while (watched[0].revents == 0 && AcceptOne()) {
    }
  }
}

bool Acceptor::AcceptOne() {
  sockaddr_storage storage{};
  socklen_t bytes = sizeof(storage);
  UniqueFd socket{::accept4(listener_.socket.get(), reinterpret_cast<sockaddr*>(&storage), &bytes,
                            SOCK_NONBLOCK | SOCK_CLOEXEC)};
  if (socket.valid()) {
    Admit(std::move(socket), ToPeer(storage));
    return true;
  }
  switch (errno) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: return TurnOneAway();
    case EAGAIN: return false;
    default: return true;  // that client has gone; the next may be there
  }
}

void Acceptor::Admit(UniqueFd socket, PeerAddress peer) {
  if (!spare_.valid()) {
    spare_ = OpenSpare();
  }
  const int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (!admission_.Enter(peer.host)) {
    if (tls_ == nullptr) {
      ::send(socket.get(), overload_answer_.data(), overload_answer_.size(), MSG_NOSIGNAL);
    }
    return;
  }
  SslPtr ssl = tls_ == nullptr ? nullptr : tls_->NewSession(socket.get());
  if (tls_ != nullptr && ssl == nullptr) {
    admission_.Leave(peer.host);
    return;
  }
  deal_(Channel{std::move(socket), std::move(ssl)}, std::move(peer));
}

bool Acceptor::TurnOneAway() {
  spare_.Close();
  UniqueFd refused{::accept4(listener_.socket.get(), nullptr, nullptr, SOCK_CLOEXEC)};
  const bool turned_away = refused.valid();
  // The kernel asks for a descriptor before it looks whether anybody waits: EAGAIN is no shortage.
  exhausted_ = !turned_away && errno != EAGAIN;
  refused.Close();  // first: the spare needs the descriptor that this frees
  spare_ = OpenSpare();
  return turned_away;
}

}  // namespace kms::api
