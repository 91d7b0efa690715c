// SPDX-License-Identifier: Apache-2.0
// LoginGuard: whoever fails to log in has to wait, each time longer. Counts three things, each with
// its own patience, so that guessing is slow and locking somebody out is not cheap (U22):
//   - a name from one address: after 5 failures 1 s, doubling up to 15 min;
//   - an address, whatever the name: after 20 failures 1 s, doubling up to 15 min;
//   - a name from anywhere: after 50 failures 1 s, doubling up to 30 s, and not for addresses from
//     which that name logged in within a day.
// A success forgets the failures of that name from that address and no others: whoever has an
// account of his own cannot buy back guesses at another. An hour without failure forgets all.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kms/auth/bounded_table.h"
#include "kms/auth/cidr.h"
#include "kms/base/clock.h"

namespace kms {

enum class LoginBlockKind : std::uint8_t { kAddress, kNameAtAddress, kName };
std::string_view LoginBlockKindName(LoginBlockKind kind);  // "address", "name-at-address", "name"

struct LoginBlock {
  LoginBlockKind kind = LoginBlockKind::kAddress;
  std::string address;  // network; empty for kName
  std::string name;     // as the login named it, cut to 128 bytes; empty for kAddress
  std::int64_t failures = 0;
  std::chrono::seconds remaining{0};
};

// Thread rule: any thread. Memory is fixed; who failed least makes room. The time from the steady
// clock only: setting the wall clock lifts no block.
class LoginGuard {
 public:
  static constexpr std::size_t kCapacity = 8192;

  // Loopback addresses and those of `exempt` (trusted proxies), which must outlive it, are never
  // blocked themselves; a name that fails at one is treated as patiently as a name from anywhere.
  explicit LoginGuard(std::span<const CidrBlock> exempt = {}, std::size_t capacity = kCapacity);

  // Before anything is done for a login: how long the address has to wait; nullopt: go on.
  // Once an address has used up its free failures it is admitted once in 2 s, so that guesses in
  // parallel are no way around the wait.
  std::optional<std::chrono::nanoseconds> RefusalByAddress(std::string_view address,
                                                           SteadyTime now);
  // Before credentials are verified: the same for who wants to log in. `name` is canonical and
  // unique over all mounts, for example "userpass/alice".
  std::optional<std::chrono::nanoseconds> RefusalByName(std::string_view address,
                                                        std::string_view name, SteadyTime now);

  // Wrong credentials. `name` empty: not known, only the address is to blame.
  void Failed(std::string_view address, std::string_view name, SteadyTime now);
  void Succeeded(std::string_view address, std::string_view name, SteadyTime now);

  // What is blocked now, longest first.
  [[nodiscard]] std::vector<LoginBlock> List(SteadyTime now);
  // Forgets every block and failure of an address, a name, both together, or (both empty) all.
  // Returns how many counters went.
  std::size_t Clear(std::string_view address, std::string_view name);

  [[nodiscard]] std::uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }

 private:
  struct Patience;
  struct Attempts {
    LoginBlockKind kind = LoginBlockKind::kAddress;
    std::string address;
    std::string name;
    std::int64_t failures = 0;
    SteadyTime last_failure{};
    SteadyTime blocked_until{};
    std::optional<SteadyTime> last_success;
    [[nodiscard]] std::int64_t Weight(SteadyTime now) const;
  };
  struct Source;  // an address as it is counted

  [[nodiscard]] Source SourceOf(std::string_view address) const;
  [[nodiscard]] std::uint64_t KeyOf(LoginBlockKind kind, const Source& source,
                                    std::string_view name) const;
  [[nodiscard]] static const Patience& PatienceOf(LoginBlockKind kind, const Source& source);
  std::optional<std::chrono::nanoseconds> Admit(LoginBlockKind kind, const Source& source,
                                                std::string_view name, SteadyTime now);
  void CountFailure(LoginBlockKind kind, const Source& source, std::string_view name,
                    SteadyTime now);

  const std::span<const CidrBlock> exempt_;
  const TableKeys keys_;
  std::atomic<std::uint64_t> refused_{0};
  BoundedTable<Attempts> table_;
};

}  // namespace kms
