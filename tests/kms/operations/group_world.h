// SPDX-License-Identifier: Apache-2.0
// GroupWorld: a service with the tokens "default" (of `sys`), "a", "b" and "c", and an environment
// "prod" that some of those open.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kms/master/guarded_device.h"
#include "tests/fakes/memory_audit_log.h"
#include "tests/kms/operations/world.h"

namespace kms::testing {

// A token whose unwrap succeeds with other bytes (H26).
class LyingToken final : public FakeMasterKeyDevice {
 public:
  using FakeMasterKeyDevice::FakeMasterKeyDevice;
  Result<SecretBytes> Unwrap(const MasterKeyRecord& master, const WrappedKey& wrapped,
                             ByteView context, Deadline deadline) override {
    SecretBytes key = KMS_TRY(FakeMasterKeyDevice::Unwrap(master, wrapped, context, deadline));
    key.MutableView()[0] ^= lies ? 1U : 0U;
    return key;
  }
  bool lies = false;
};

class GroupWorld : public World {
 public:
  explicit GroupWorld(std::vector<std::string> members = {"a", "b"}) {
    for (const char* name : {"a", "b", "c"}) {
      auto token = std::make_shared<FakeToken>();
      token->label = name;
      more.emplace(name, std::make_unique<LyingToken>(std::move(token), &clock));
    }
    options.audit = &audit;
    options.alarm = [this](std::string_view what) { alarms.emplace_back(what); };
    Start();
    CreateEnvironmentRequest request;
    request.hsms = std::move(members);
    const auto made = environments().Create(EnvName("prod"), request);
    EXPECT_THAT(made, IsOk());
    EXPECT_THAT(MakeKey("prod", "app"), IsOk());
  }

  FakeMasterKeyDevice& Token(const std::string& name) { return *more.at(name); }
  LyingToken& Liar(const std::string& name) { return static_cast<LyingToken&>(*more.at(name)); }
  // Only these answer from now on; "default" always does.
  void OnlyPresent(const std::set<std::string>& present) {
    for (const auto& [name, token] : more) {
      token->SetPresent(present.contains(name));
    }
  }
  bool Sealed() { return StatusOf("prod").sealed; }
  MemberStatus MemberOf(const std::string& hsm) {
    for (MemberStatus& member : StatusOf("prod").members) {
      if (member.hsm == hsm) {
        return std::move(member);
      }
    }
    return {};
  }
  Status Join(const std::string& hsm, std::uint32_t order = 0, std::uint32_t weight = 1) {
    return environments().JoinHsm("prod", {.hsm = hsm, .order = order, .weight = weight});
  }
  // Lease rounds at their interval for `time`.
  void RoundsFor(std::chrono::milliseconds time) {
    for (std::chrono::milliseconds passed{0}; passed < time; passed += options.lease_interval) {
      clock.Advance(options.lease_interval);
      ProveLeases();
    }
  }
  GroupMaterial Stored() { return environments().ReadKeys("prod").value(); }
  // A restart during which only `hsm` answers opens everything.
  void ExpectOpensAlone(const std::string& hsm) {
    OnlyPresent({hsm});
    Start();
    EXPECT_FALSE(Sealed()) << "by " << hsm << " alone: " << StatusOf("prod").reason;
    EXPECT_THAT(FindKey("prod", "app"), IsOk());
    OnlyPresent({"a", "b", "c"});
    Start();
  }
  // Of the audit log's records that nobody asked for.
  int Events(const std::string& operation) {
    int count = 0;
    for (const std::string& record : audit.records()) {
      count += record.find("\"" + operation + "\"") != std::string::npos ? 1 : 0;
    }
    return count;
  }

  MemoryAuditLog audit;
  std::vector<std::string> alarms;
};

}  // namespace kms::testing
