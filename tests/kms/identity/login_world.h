// SPDX-License-Identifier: Apache-2.0
// LoginWorld: a sealed store, a clock and an auth mount, for tests of login methods.
#pragma once

#include <gmock/gmock.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "kms/auth/identity_name.h"
#include "kms/auth/token_parameters.h"
#include "kms/identity/auth_mounts.h"
#include "kms/master/sealed_store.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/memory_store.h"
#include "tests/support/matchers.h"

namespace kms::testing {

inline IdentityName Named(std::string_view text) { return IdentityName::Parse(text).value(); }

inline CidrBlock Block(std::string_view text) { return CidrBlock::Parse(text).value(); }

inline Bytes BytesOfHex(std::string_view hex) {
  Bytes bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(
        static_cast<std::uint8_t>(std::stoul(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

class LoginWorld : public ::testing::Test {
 protected:
  LoginWorld() {
    EXPECT_THAT(keys_.Add(1, SecretBytes::CopyOf(Bytes(32, 0x11)).value()), IsOk());
    mount_.path = "login";
    mount_.accessor = "auth_login_1a2b3c4d";
    other_mount_.path = "other";
    other_mount_.accessor = "auth_login_5e6f7a8b";
  }

  // Paths of `sys` that hold something, without the environment's own prefix.
  [[nodiscard]] std::vector<std::string> Paths() const {
    std::vector<std::string> paths;
    for (const auto& [path, value] : store_.Contents()) {
      paths.push_back(path.substr(sys_.prefix().size()));
    }
    return paths;
  }

  // Runs `act` with the n-th store call failing, for n = 1, 2, … until it runs without meeting the
  // fault; `check` sees each failed outcome. Returns how many faults were met.
  int WithEveryFault(const std::function<Status()>& act,
                     const std::function<void(const Error&)>& check) {
    for (int n = 1; n < 100; ++n) {
      const int before = store_.calls();
      store_.FailCall(n);
      const Status outcome = act();
      const bool met = store_.calls() - before >= n;
      store_.Heal();
      if (!met) {
        EXPECT_THAT(outcome, IsOk());
        return n - 1;
      }
      EXPECT_FALSE(outcome.has_value()) << "fault " << n << " was swallowed";
      if (!outcome.has_value()) {
        check(outcome.error());
      }
    }
    ADD_FAILURE() << "no run without a fault";
    return 0;
  }

  MemoryStore store_;
  ManualClock clock_;
  EnvironmentKeyring keys_;
  SealedStore sys_{store_, keys_, Uuid::Parse("6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11").value()};
  AuthMount mount_;
  AuthMount other_mount_;
  LoginOrigin origin_{.address = "10.0.0.7"};
};

}  // namespace kms::testing
