// SPDX-License-Identifier: Apache-2.0
// World: a whole service without its edge: store, HSM and clock, and the environments over them.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kms/master/hsm_registry.h"
#include "kms/master/key_group.h"
#include "kms/operations/create_key.h"
#include "kms/operations/environments.h"
#include "kms/operations/rotate_key.h"
#include "tests/fakes/fake_master_key_device.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/memory_store.h"
#include "tests/support/matchers.h"

namespace kms::testing {

// The change that sets everything.
inline SettingsChange To(EnvironmentSettings wanted) {
  return [wanted = std::move(wanted)](EnvironmentSettings& settings) {
    settings = wanted;
    return Ok();
  };
}

inline EnvironmentName EnvName(std::string_view text) {
  return EnvironmentName::Parse(text).value();
}

class World {
 public:
  // Starts the service as a process would; again to play a restart.
  Status TryStart() {
    environments_.reset();
    hsms_ = std::make_unique<HsmRegistry>(clock);
    KMS_TRY(AddHsms());
    Result<std::unique_ptr<Environments>> opened =
        Environments::Open(store, *hsms_, clock, options, first_hsms);
    if (!opened.has_value()) {
      return std::move(opened).error();
    }
    environments_ = *std::move(opened);
    return Ok();
  }
  void Start() { ASSERT_THAT(TryStart(), IsOk()); }

  Environments& environments() { return *environments_; }
  HsmRegistry& hsms() { return *hsms_; }
  // A lease round of every token.
  void ProveLeases() {
    for (const std::string& hsm : hsms_->Names()) {
      environments().ProveLeases(hsm);
    }
    environments().SealExpired();
  }
  [[nodiscard]] bool running() const { return environments_ != nullptr; }

  std::shared_ptr<Environment> Make(std::string_view name) {
    return environments().Create(EnvName(name), {}).value();
  }
  Result<KeyHandle> MakeKey(std::string_view environment, std::string_view key) {
    const std::shared_ptr<Environment> found = environments().Find(environment);
    if (found == nullptr) {
      return NotFound("no such environment");
    }
    return KMS_TRY(CreateKey(*found, KeyName::Parse(key).value(), {})).key;
  }
  Result<KeyHandle> FindKey(std::string_view environment, std::string_view key) {
    const std::shared_ptr<Environment> found = environments().Find(environment);
    if (found == nullptr) {
      return NotFound("no such environment");
    }
    return found->FindKey(KeyName::Parse(key).value());
  }

  EnvironmentStatus StatusOf(std::string_view name) {
    for (EnvironmentStatus& status : environments().Statuses()) {
      if (status.name == name) {
        return std::move(status);
      }
    }
    ADD_FAILURE() << "no status of " << name;
    return {};
  }

  // The master key record as it is stored.
  MasterKeyRecord MasterOf(const Environment& environment, std::string_view hsm = kDefaultHsm,
                           MasterKeyVersion version = 1) {
    const std::string path = MasterPath(environment.identity().id, hsm, version);
    return MasterKeyRecord::Decode(store.Contents().at(path).value).value();
  }

  MemoryStore store;
  ManualClock clock;
  FakeMasterKeyDevice device{std::make_shared<FakeToken>(), &clock};
  // Further tokens by name; add before Start.
  std::map<std::string, std::unique_ptr<FakeMasterKeyDevice>> more;
  std::vector<std::string> first_hsms{std::string(kDefaultHsm)};
  EnvironmentsOptions options;

 private:
  Status AddHsms() {
    KMS_TRY(AddHsm(std::string(kDefaultHsm), device));
    for (const auto& [name, one] : more) {
      KMS_TRY(AddHsm(name, *one));
    }
    return Ok();
  }
  Status AddHsm(const std::string& name, FakeMasterKeyDevice& one) {
    return hsms_->Add(
        name,
        {.owner = nullptr, .master_keys = &one, .resident_keys = &one, .epochs = &one});
  }

  std::unique_ptr<HsmRegistry> hsms_;
  std::unique_ptr<Environments> environments_;
};

}  // namespace kms::testing
