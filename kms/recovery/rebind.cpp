// SPDX-License-Identifier: Apache-2.0
// Reads what is stored by its paths alone: records of tokens that are gone may be damaged, and the
// recovery must go on.
#include "kms/recovery/rebind.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "kms/master/guarded_device.h"
#include "kms/recovery/recipients.h"
#include "kms/store/list_all.h"

namespace kms {

namespace {


// Of "master/<id>/<hsm>/<version>"; 1 for the path of earlier releases, "master/<id>".
MasterKeyVersion VersionOfPath(std::string_view path, std::string_view prefix) {
  if (!path.starts_with(prefix)) {
    return 1;
  }
  const std::string_view digits = path.substr(path.rfind('/') + 1);
  MasterKeyVersion version = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), version);
  return version;
}

Status CollectPaths(Store& store, const std::string& prefix, std::vector<std::string>& paths) {
  for (const ListedEntry& entry : KMS_TRY(ListAll(store, prefix))) {
    paths.push_back(entry.path);
  }
  return Ok();
}

// Order and weight that the token had; those of a damaged group are forgotten.
Result<std::vector<GroupMember>> MembersFor(Store& store, const Uuid& environment_id,
                                            const std::vector<std::string>& hsms) {
  const std::optional<StoredValue> stored = KMS_TRY(store.Get(GroupPath(environment_id)));
  const Result<KeyGroup> group =
      stored ? KeyGroup::Decode(stored->value) : Result<KeyGroup>(NotFound("no group"));
  std::vector<GroupMember> members;
  for (const std::string& name : hsms) {
    const GroupMember* before = group.has_value() ? group->Find(name) : nullptr;
    members.push_back(before != nullptr ? *before
                                        : GroupMember{.hsm = name, .order = 0, .weight = 1});
  }
  std::ranges::sort(members, {}, &GroupMember::hsm);
  return members;
}

Error AboutToken(const Error& error, const std::string& hsm, const std::string& environment) {
  return MakeError(error.code,
                   "HSM " + hsm + ", environment " + environment + ": " + error.public_message,
                   error.detail);
}

class Binder {
 public:
  Binder(GuardedDevice& device, const Clock& clock, std::chrono::milliseconds timeout,
         const OpenedEnvironment& environment)
      : device_(device), clock_(clock), timeout_(timeout), environment_(environment) {}

  // Adds what is to be stored for this token.
  Status Bind(const std::string& hsm, MasterKeyVersion version, std::vector<Mutation>& out) {
    const Uuid& id = environment_.id;
    const MasterKeyRecord master = KMS_TRY(device_.GenerateMasterKey(
        DeriveMasterKeyId(id, hsm, version), version,
        "kms/" + environment_.name + "/" + std::to_string(version), CallDeadline()));
    for (const auto& [key_version, key] : environment_.keys) {
      const Bytes context = EnvironmentKeyContext(id, key_version);
      const WrappedKey wrapped = KMS_TRY(device_.Wrap(master, key, context, CallDeadline()));
      const SecretBytes opened = KMS_TRY(device_.Unwrap(master, wrapped, context, CallDeadline()));
      if (!(opened == key)) {
        return Corrupted("the token does not open what it wrapped");
      }
      out.push_back({.path = WrappedPath(id, key_version, hsm, version),
                     .value = wrapped.Encode(),
                     .expected_revision = std::nullopt});
    }
    out.push_back({.path = MasterPath(id, hsm, version),
                   .value = master.Encode(),
                   .expected_revision = std::nullopt});
    return Ok();
  }

 private:
  Deadline CallDeadline() const { return clock_.SteadyNow() + timeout_; }

  GuardedDevice& device_;
  const Clock& clock_;
  const std::chrono::milliseconds timeout_;
  const OpenedEnvironment& environment_;
};

// Whoever recovers next must not be offered them again.
Status DropOtherShares(Store& store, const OpenedEnvironment& environment,
                       std::vector<Mutation>& out) {
  for (const ListedEntry& entry : KMS_TRY(ListAll(store, RecoveryPrefix(environment.id)))) {
    const bool kept = std::ranges::any_of(environment.keys, [&](const auto& one) {
      return RecoveryPath(environment.id, one.first) == entry.path;
    });
    if (!kept) {
      out.push_back({.path = entry.path, .value = std::nullopt, .expected_revision = std::nullopt});
    }
  }
  return Ok();
}

Result<Bytes> EncodeGroup(const RebindPlan& plan, const OpenedEnvironment& environment) {
  KeyGroup group{.members = plan.members, .current_master = plan.version, .key_checks = {}};
  for (const auto& [version, key] : environment.keys) {
    group.key_checks[version] = KMS_TRY(CheckOf(environment.id, key));
  }
  return group.Encode();
}

// A commit whose answer was lost has happened when the group is the new one.
Status CommitAll(Store& store, const std::vector<Mutation>& mutations,
                 const std::string& group_path, const Bytes& group) {
  const Result<Revision> committed = store.Commit(mutations);
  if (committed.has_value()) {
    return Ok();
  }
  if (committed.error().code != ErrorCode::kOutcomeUnknown) {
    return committed.error();
  }
  const auto reread = store.Get(group_path);
  const bool done = reread.has_value() && reread->has_value() && (**reread).value == group;
  return done ? Ok() : Status(committed.error());
}

}  // namespace

Result<RebindPlan> PlanRebind(Store& store, const Uuid& environment_id,
                              const std::vector<std::string>& hsms) {
  const std::set<std::string> distinct(hsms.begin(), hsms.end());
  if (hsms.empty() || distinct.size() != hsms.size()) {
    return InvalidArgument("name one HSM or more, each once");
  }
  RebindPlan plan;
  plan.members = KMS_TRY(MembersFor(store, environment_id, hsms));
  const std::string masters = MasterPrefix(environment_id);
  // Without the '/' at its end: the record of earlier releases is among them.
  const std::string masters_of_all_releases = masters.substr(0, masters.find_last_not_of('/') + 1);
  KMS_TRY(CollectPaths(store, masters_of_all_releases, plan.to_delete));
  for (const std::string& path : plan.to_delete) {
    plan.version = std::max(plan.version, VersionOfPath(path, masters));
  }
  ++plan.version;
  KMS_TRY(CollectPaths(store, WrappedPrefix(environment_id), plan.to_delete));
  return plan;
}

Result<RebindPlan> BindToTokens(Store& store, const RebindTokens& tokens,
                                const OpenedEnvironment& environment) {
  RebindPlan plan = KMS_TRY(PlanRebind(store, environment.id, tokens.names));
  std::vector<Mutation> mutations;
  for (const GroupMember& member : plan.members) {
    const std::shared_ptr<GuardedDevice> device = tokens.hsms.Find(member.hsm);
    if (device == nullptr) {
      return NotFound("no HSM is named " + member.hsm);
    }
    const Status bound = Binder(*device, tokens.clock, tokens.call_timeout, environment)
                             .Bind(member.hsm, plan.version, mutations);
    if (!bound.has_value()) {
      return AboutToken(bound.error(), member.hsm, environment.name);
    }
  }
  for (const std::string& path : plan.to_delete) {
    mutations.push_back({.path = path, .value = std::nullopt, .expected_revision = std::nullopt});
  }
  KMS_TRY(DropOtherShares(store, environment, mutations));
  const Bytes group = KMS_TRY(EncodeGroup(plan, environment));
  const std::string group_path = GroupPath(environment.id);
  mutations.push_back({.path = group_path, .value = group, .expected_revision = std::nullopt});
  KMS_TRY(CommitAll(store, mutations, group_path, group));
  return plan;
}

}  // namespace kms
