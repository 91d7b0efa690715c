// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/login_guard.h"

#include <algorithm>
#include <array>

namespace kms {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr seconds kForgetAfter{3600};
constexpr seconds kKnownFor{24 * 3600};  // since the last login of a name from an address
constexpr seconds kBetweenAttempts{2};
constexpr seconds kFirstDelay{1};
constexpr std::size_t kMaxNameBytes = 128;

constexpr unsigned kIpv4Bits = 32;
constexpr unsigned kIpv6Bits = 64;

}  // namespace

struct LoginGuard::Patience {
  std::int64_t free_failures;
  seconds longest_delay;

  // What the failure that made it `failures` costs.
  [[nodiscard]] seconds DelayAfter(std::int64_t failures) const {
    if (failures <= free_failures) {
      return seconds(0);
    }
    const std::int64_t doublings = std::min<std::int64_t>(failures - free_failures - 1, 20);
    return std::min(kFirstDelay * (std::int64_t{1} << doublings), longest_delay);
  }
};

struct LoginGuard::Source {
  std::string text;  // the network; empty when the address is none
  std::array<std::uint8_t, 16> network{};
  bool exempt = false;
};

std::string_view LoginBlockKindName(LoginBlockKind kind) {
  switch (kind) {
    case LoginBlockKind::kAddress: return "address";
    case LoginBlockKind::kNameAtAddress: return "name-at-address";
    case LoginBlockKind::kName: break;
  }
  return "name";
}

// A login that succeeded counts for little, a failure for more, a block for most.
std::int64_t LoginGuard::Attempts::Weight(SteadyTime now) const {
  const bool recent = failures > 0 && now - last_failure < kForgetAfter;
  const bool known = last_success && now - *last_success < kKnownFor;
  return (recent ? failures * 2 : 0) + (known ? 1 : 0);
}

LoginGuard::LoginGuard(std::span<const CidrBlock> exempt, std::size_t capacity)
    : exempt_(exempt), table_(capacity) {}

LoginGuard::Source LoginGuard::SourceOf(std::string_view address) const {
  const std::optional<IpAddress> parsed = IpAddress::Parse(address);
  if (!parsed) {
    return {.text = {}, .network = {}, .exempt = true};
  }
  const IpAddress network = parsed->Network(kIpv4Bits, kIpv6Bits);
  const auto contains = [&](const CidrBlock& block) { return block.Contains(*parsed); };
  return {.text = network.ToText(),
          .network = network.bytes(),
          .exempt = parsed->is_loopback() || std::ranges::any_of(exempt_, contains)};
}

const LoginGuard::Patience& LoginGuard::PatienceOf(LoginBlockKind kind, const Source& source) {
  static constexpr Patience kOfAddress{.free_failures = 20, .longest_delay = seconds(900)};
  static constexpr Patience kOfNameAtAddress{.free_failures = 5, .longest_delay = seconds(900)};
  static constexpr Patience kOfName{.free_failures = 50, .longest_delay = seconds(30)};
  // Many may stand behind one: what would lock out a guesser would lock out them all.
  static constexpr Patience kOfNameBehindProxy{.free_failures = 5, .longest_delay = seconds(30)};
  switch (kind) {
    case LoginBlockKind::kAddress: return kOfAddress;
    case LoginBlockKind::kNameAtAddress:
      return source.exempt ? kOfNameBehindProxy : kOfNameAtAddress;
    case LoginBlockKind::kName: break;
  }
  return kOfName;
}

std::uint64_t LoginGuard::KeyOf(LoginBlockKind kind, const Source& source,
                                std::string_view name) const {
  const ByteView network = source.network;
  return keys_.Of(static_cast<std::uint8_t>(kind),
                  kind == LoginBlockKind::kName ? ByteView{} : network,
                  kind == LoginBlockKind::kAddress ? ByteView{} : AsBytes(name));
}

std::optional<nanoseconds> LoginGuard::RefusalByAddress(std::string_view address, SteadyTime now) {
  const Source source = SourceOf(address);
  return source.exempt ? std::nullopt : Admit(LoginBlockKind::kAddress, source, {}, now);
}

std::optional<nanoseconds> LoginGuard::RefusalByName(std::string_view address,
                                                     std::string_view name, SteadyTime now) {
  const Source source = SourceOf(address);
  if (const auto wait = Admit(LoginBlockKind::kNameAtAddress, source, name, now)) {
    return wait;
  }
  bool known = false;
  table_.IfPresent(KeyOf(LoginBlockKind::kNameAtAddress, source, name),
                   [&](const Attempts& attempts) {
                     known = attempts.last_success && now - *attempts.last_success < kKnownFor;
                   });
  return known ? std::nullopt : Admit(LoginBlockKind::kName, source, name, now);
}

// Makes no counter: only failures and successes do, so that asking costs no memory.
std::optional<nanoseconds> LoginGuard::Admit(LoginBlockKind kind, const Source& source,
                                             std::string_view name, SteadyTime now) {
  std::optional<nanoseconds> wait;
  const Patience& patience = PatienceOf(kind, source);
  table_.IfPresent(KeyOf(kind, source, name), [&](Attempts& attempts) {
    if (now < attempts.blocked_until) {
      wait = attempts.blocked_until - now;
    } else if (attempts.failures >= patience.free_failures &&
               now - attempts.last_failure < kForgetAfter) {
      attempts.blocked_until = now + kBetweenAttempts;
    }
  });
  if (wait) {
    refused_.fetch_add(1, std::memory_order_relaxed);
  }
  return wait;
}

void LoginGuard::Failed(std::string_view address, std::string_view name, SteadyTime now) {
  const Source source = SourceOf(address);
  if (!source.exempt) {
    CountFailure(LoginBlockKind::kAddress, source, {}, now);
  }
  if (!name.empty()) {
    CountFailure(LoginBlockKind::kNameAtAddress, source, name, now);
    CountFailure(LoginBlockKind::kName, source, name, now);
  }
}

void LoginGuard::CountFailure(LoginBlockKind kind, const Source& source, std::string_view name,
                              SteadyTime now) {
  const Patience& patience = PatienceOf(kind, source);
  table_.With(KeyOf(kind, source, name), now, [&](Attempts& attempts) {
    if (attempts.failures > 0 && now - attempts.last_failure >= kForgetAfter) {
      attempts.failures = 0;
    }
    if (attempts.failures == 0) {
      attempts.kind = kind;
      attempts.address = kind == LoginBlockKind::kName ? std::string() : source.text;
      attempts.name = name.substr(0, kMaxNameBytes);
    }
    ++attempts.failures;
    attempts.last_failure = now;
    attempts.blocked_until =
        std::max(attempts.blocked_until, now + patience.DelayAfter(attempts.failures));
  });
}

void LoginGuard::Succeeded(std::string_view address, std::string_view name, SteadyTime now) {
  if (name.empty()) {
    return;
  }
  const Source source = SourceOf(address);
  table_.With(KeyOf(LoginBlockKind::kNameAtAddress, source, name), now, [&](Attempts& attempts) {
    attempts.kind = LoginBlockKind::kNameAtAddress;
    attempts.address = source.text;
    attempts.name = name.substr(0, kMaxNameBytes);
    attempts.failures = 0;
    attempts.blocked_until = {};
    attempts.last_success = now;
  });
}

std::vector<LoginBlock> LoginGuard::List(SteadyTime now) {
  std::vector<LoginBlock> blocks;
  table_.ForEach([&](const Attempts& attempts) {
    if (now < attempts.blocked_until) {
      blocks.push_back({.kind = attempts.kind,
                        .address = attempts.address,
                        .name = attempts.name,
                        .failures = attempts.failures,
                        .remaining = std::chrono::ceil<seconds>(attempts.blocked_until - now)});
    }
    return true;
  });
  std::ranges::sort(blocks, std::ranges::greater{}, &LoginBlock::remaining);
  return blocks;
}

std::size_t LoginGuard::Clear(std::string_view address, std::string_view name) {
  const Source source = SourceOf(address);
  if (!address.empty() && source.text.empty()) {
    return 0;
  }
  const std::string_view label = name.substr(0, kMaxNameBytes);
  std::size_t cleared = 0;
  table_.ForEach([&](const Attempts& attempts) {
    const bool hit = attempts.failures > 0 &&
                     (address.empty() || attempts.address == source.text) &&
                     (name.empty() || attempts.name == label);
    cleared += hit ? 1 : 0;
    return !hit;
  });
  return cleared;
}

}  // namespace kms
