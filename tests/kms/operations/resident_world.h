// SPDX-License-Identifier: Apache-2.0
// ResidentWorld: one environment whose keys may live in two tokens in memory.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kms/master/guarded_device.h"
#include "kms/master/hsm_registry.h"
#include "kms/operations/resident_census.h"
#include "kms/operations/resident_keys.h"
#include "kms/operations/resident_versions.h"
#include "tests/fakes/fake_master_key_device.h"
#include "tests/kms/operations/key_world.h"

namespace kms::testing {

class ResidentWorld : public KeyWorld {
 public:
  ResidentWorld() { Connect(); }

  // A new process over the same store and tokens.
  void Restart() {
    KeyWorld::Restart();
    Connect();
  }

  Result<KeyHandle> CreateInHsm(KeyType type = KeyType::kAes256Gcm96,
                                std::string_view name = "app") {
    return KMS_TRY(
               CreateKey(
                   environment(), Name(name),
                   {.type = type, .protection = KeyProtection::kHsm, .hsms = {"first", "second"}}))
        .key;
  }
  Result<KeyHandle> CreateExternal(const std::string& reference, std::string_view name = "app") {
    return KMS_TRY(
               CreateKey(environment(), Name(name),
                         {.protection = KeyProtection::kExternal, .external_key_ref = reference}))
        .key;
  }
  void AllowExternalKeys(const std::string& patterns) {
    EnvironmentSettings settings = environment().settings();
    settings.options[std::string(kExternalKeysOption)] = patterns;
    environment().ReplaceSettings(settings);
  }
  // Versions that were trimmed or deleted, and what was made and never stored, must be gone.
  void SweepLate() {
    clock.Advance(std::chrono::hours(1));
    EXPECT_THAT(SweepResidentKeys(environment()), IsOk());
  }
  [[nodiscard]] std::size_t Objects() const {
    return first.token()->resident_keys.size() + second.token()->resident_keys.size();
  }

  FakeMasterKeyDevice first{std::make_shared<FakeToken>(), &clock};
  FakeMasterKeyDevice second{std::make_shared<FakeToken>(), &clock};

 private:
  void Connect() {
    auto hsms = std::make_unique<HsmRegistry>(clock);
    // No breaker in the way of what the tests provoke.
    const BreakerOptions patient{.failures_to_open = 1'000'000};
    EXPECT_THAT(
        hsms->Add("first", {.owner = nullptr, .master_keys = &first, .resident_keys = &first},
                  patient),
        IsOk());
    EXPECT_THAT(
        hsms->Add("second", {.owner = nullptr, .master_keys = &second, .resident_keys = &second},
                  patient),
        IsOk());
    environment().set_hsms(*hsms);
    hsms_ = std::move(hsms);
  }

  std::unique_ptr<HsmRegistry> hsms_;
};

}  // namespace kms::testing
